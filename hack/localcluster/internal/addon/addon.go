// Package addon holds what most clusters have beside Kubernetes: metrics of nodes
// and pods for `kubectl top` and autoscalers, and volumes for whoever claims one.
package addon

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"os"
	"text/template"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/image"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// provisioner is what the storage class calls the program that makes its volumes.
const provisioner = "localcluster.invalid/disk"

// MetricsServer is the pod, its certificate and its place in the API. The API server
// knows the certificate's authority, and the pod that of the kubelets: nothing is skipped.
func MetricsServer(c topology.Cluster) ([]byte, error) {
	values := map[string]string{"Image": image.MetricsServer}
	for name, file := range map[string]string{"Authority": "ca.crt", "Certificate": "metrics-server.crt", "Key": "metrics-server.key"} {
		b, err := os.ReadFile(c.Path("pki", file))
		if err != nil {
			return nil, fmt.Errorf("writing manifest of metrics-server: %w", err)
		}
		values[name] = base64.StdEncoding.EncodeToString(b)
	}
	return render("metrics-server.yaml", values)
}

// Storage is the default storage class, and the rights of who serves it.
func Storage() ([]byte, error) {
	return render("storage.yaml", map[string]string{"Provisioner": provisioner})
}

func render(file string, values map[string]string) ([]byte, error) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, file, values); err != nil {
		return nil, fmt.Errorf("writing %s: %w", file, err)
	}
	return out.Bytes(), nil
}

// Provisioner runs on the host, where the disks of all nodes are.
func Provisioner(c topology.Cluster, bin string) process.Command {
	return process.Command{Name: "storage-provisioner", Path: bin + "/storage-provisioner", Args: []string{
		"--kubeconfig=" + c.Kubeconfig("storage-provisioner"), "--name=" + provisioner, "--nodes=" + c.Dir(),
	}}
}
