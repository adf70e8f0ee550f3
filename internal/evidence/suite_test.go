package evidence_test

import (
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

var server *kubetest.Server

func TestEvidence(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Evidence")
}

var _ = BeforeSuite(func() { server = kubetest.Start(GinkgoTB()) })
