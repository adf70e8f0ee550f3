package evidence

import (
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

// proxies are images that only stand before or beside the program of a pod.
var proxies = []string{"kube-rbac-proxy", "oauth2-proxy", "oauth-proxy", "istio-proxy", "proxyv2", "proxy", "envoy", "addon-resizer", "config-reloader"}

// exportingByImages judges a pod by what it runs. A pod that also runs something
// else than an exporter is that application, with the exporter as a sidecar.
func exportingByImages(pod *corev1.Pod) alert.Exporting {
	judged := alert.NotExporting
	for _, c := range pod.Spec.Containers {
		name := imageName(c.Image)
		exporting := alert.ExportingByName(name)
		switch {
		case exporting != alert.NotExporting:
			judged = max(judged, exporting)
		case !slices.Contains(proxies, name):
			return alert.NotExporting
		}
	}
	return judged
}

// imageName returns the last part of an image's path, without tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name, _, _ := strings.Cut(path.Base(image), ":")
	return name
}
