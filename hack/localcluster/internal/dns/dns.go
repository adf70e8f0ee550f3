// Package dns holds the cluster's name service.
package dns

import (
	"bytes"
	_ "embed"
	"fmt"
	"text/template"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/image"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/topology"
)

//go:embed files/coredns.yaml
var manifest string

var objects = template.Must(template.New("coredns.yaml").Parse(manifest))

// Manifest is CoreDNS as kubectl applies it.
func Manifest(c topology.Cluster) ([]byte, error) {
	var out bytes.Buffer
	values := struct {
		Image, Address string
		Replicas       int
	}{image.CoreDNS, c.DNS(), min(2, len(c.Nodes))}
	if err := objects.Execute(&out, values); err != nil {
		return nil, fmt.Errorf("writing manifest of the name service: %w", err)
	}
	return out.Bytes(), nil
}
