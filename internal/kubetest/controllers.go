package kubetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// RunControllers starts Kubernetes' own controllers of these names, for tests of
// what they do. It takes kube-controller-manager from beside the API server.
func (s *Server) RunControllers(names ...string) {
	s.tb.Helper()
	dir := s.tb.TempDir()
	log, err := os.Create(filepath.Join(dir, "controllers.log"))
	if err != nil {
		s.tb.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), filepath.Join(filepath.Dir(s.kubectl), "kube-controller-manager"),
		"--kubeconfig="+s.Kubeconfig, "--controllers="+strings.Join(names, ","), "--leader-elect=false",
		"--cert-dir="+dir, "--bind-address=127.0.0.1", "--secure-port="+port(FreeAddress(s.tb)))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.tb.Fatalf("starting Kubernetes' controllers (`make e2e` builds them beside the API server): %v", err)
	}
	s.tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if !s.tb.Failed() {
			return
		}
		if said, err := os.ReadFile(log.Name()); err == nil {
			s.tb.Logf("Kubernetes' controllers said last:\n%s", said[max(0, len(said)-8<<10):])
		}
	})
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }
