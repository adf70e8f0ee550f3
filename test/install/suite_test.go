// Package install tests what people apply: the manifests under config and what
// the plugin prints.
package install_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

func TestInstall(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "install")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Kubectl(ctx, nil, "apply", "-k", kubetest.Path("config", "default"))
	server.AwaitGuards(ctx)
})
