// Package kubetest is the test harness: a real API server for each test
// binary, people and accounts to act as, builders (package build) and
// expectations. Nothing but tests imports it.
package kubetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Server is a real API server with our kinds and an audit log. There are no
// controllers and no nodes behind it: nothing happens that a test does not do.
type Server struct {
	// Config is the administrator's (system:masters).
	Config *rest.Config
	// Client is the administrator's, uncached.
	Client client.Client
	// Scheme knows Kubernetes' kinds and ours.
	Scheme *runtime.Scheme
	// Kubeconfig is the path of the administrator's, for programs a test starts.
	Kubeconfig string

	tb      testing.TB
	kubectl string
	audit   auditLog
	plane   *envtest.ControlPlane
}

// Option changes the API server or its etcd before they start.
type Option func(*envtest.ControlPlane)

// Start brings up the API server and takes it down when tb ends: in a Ginkgo
// BeforeSuite, call kubetest.Start(GinkgoTB()). It fails with the command that
// helps if the binaries are not there.
func Start(tb testing.TB, options ...Option) *Server {
	tb.Helper()
	assets, err := binaries()
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kubetest-")
	if err != nil {
		tb.Fatalf("making a folder for the API server: %v", err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	env := environment(assets)
	s := &Server{tb: tb, kubectl: filepath.Join(assets, "kubectl"), audit: auditLog{path: filepath.Join(dir, "audit.log")}}
	if err := s.logWrites(env, dir); err != nil {
		tb.Fatal(err)
	}
	for _, option := range options {
		option(&env.ControlPlane)
	}
	// Registered before the start: it may fail half way, with etcd running.
	tb.Cleanup(func() { _ = env.Stop() })
	if s.Config, err = env.Start(); err != nil {
		tb.Fatalf("starting the API server from %s: %v", assets, err)
	}
	if s.Scheme, err = Scheme(); err != nil {
		tb.Fatal(err)
	}
	s.Kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(s.Kubeconfig, env.KubeConfig, 0o600); err != nil {
		tb.Fatalf("writing the kubeconfig: %v", err)
	}
	s.Client, s.plane = s.clientFor(s.Config), &env.ControlPlane
	return s
}

// binaries returns the folder that KUBEBUILDER_ASSETS names, if it holds all that is needed.
func binaries() (string, error) {
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	for _, name := range []string{"kube-apiserver", "etcd", "kubectl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); dir == "" || err != nil {
			return "", fmt.Errorf("the API server's binaries are missing: KUBEBUILDER_ASSETS=%q holds no %s; "+
				"run `make binaries` once, then `make test`, or set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and kubectl", dir, name)
		}
	}
	return dir, nil
}

func environment(assets string) *envtest.Environment {
	return &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		CRDDirectoryPaths:        []string{Path("config", "crd", "bases")},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: 2 * time.Minute, // two cores may be shared by several suites
		ControlPlaneStopTimeout:  time.Minute,
	}
}

// Scheme returns a scheme with Kubernetes' kinds and ours.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building the scheme: %w", err)
	}
	return scheme, nil
}

// Path returns the path of a file of the repository, wherever the test runs.
func Path(parts ...string) string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(append([]string{dir}, parts...)...)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			panic("the test does not run inside the repository: no go.mod above " + dir)
		}
		dir = parent
	}
}

// Namespace makes a namespace of its own for one test.
func (s *Server) Namespace(ctx context.Context) string {
	s.tb.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := s.Client.Create(ctx, ns); err != nil {
		s.tb.Fatalf("creating a namespace: %v", err)
	}
	return ns.Name
}

func (s *Server) clientFor(cfg *rest.Config) client.Client {
	s.tb.Helper()
	c, err := client.New(cfg, client.Options{Scheme: s.Scheme})
	if err != nil {
		s.tb.Fatalf("building a client: %v", err)
	}
	return c
}
