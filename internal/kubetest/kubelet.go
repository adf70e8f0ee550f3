package kubetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kubelet answers the API server in place of the kubelets of some nodes. It
// serves the logs of their containers and runs nothing.
type Kubelet struct {
	mu    sync.Mutex
	logs  map[string]string // by the path of the kubelet's API
	reads map[string]int
}

// RunKubelet creates ready nodes of these names, and returns their kubelet.
func (s *Server) RunKubelet(ctx context.Context, nodes ...string) *Kubelet {
	s.tb.Helper()
	k := &Kubelet{logs: map[string]string{}, reads: map[string]int{}}
	// The API server does not verify the certificate of a kubelet unless it is told an authority.
	server := httptest.NewTLSServer(k)
	s.tb.Cleanup(server.Close)
	address := server.Listener.Addr().(*net.TCPAddr)
	for _, name := range nodes {
		node := &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Status: corev1.NodeStatus{
				Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address.IP.String()}},
				DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(address.Port)}},
				Conditions: []corev1.NodeCondition{{
					Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
					LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
				}},
			},
		}
		s.Create(ctx, node)
		// The API server taints every new node until the node controller, which does not run here, finds it ready.
		node.Spec.Taints = nil
		if err := s.Client.Update(ctx, node); err != nil {
			s.tb.Fatalf("removing the taints of node %s: %v", name, err)
		}
	}
	return k
}

// Log sets the log of a container of a pod, both the current one and that of its
// previous instance.
func (k *Kubelet) Log(pod *corev1.Pod, container string, lines ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.logs[logPath(pod, container)] = strings.Join(lines, "\n") + "\n"
}

// Reads returns how often the log of a container was read.
func (k *Kubelet) Reads(pod *corev1.Pod, container string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reads[logPath(pod, container)]
}

func logPath(pod *corev1.Pod, container string) string {
	return "/containerLogs/" + pod.Namespace + "/" + pod.Name + "/" + container
}

// ServeHTTP serves the log of a container, which is empty unless it was set.
func (k *Kubelet) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if !strings.HasPrefix(request.URL.Path, "/containerLogs/") {
		http.NotFound(w, request)
		return
	}
	k.mu.Lock()
	k.reads[request.URL.Path]++
	text := k.logs[request.URL.Path]
	k.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, text)
}
