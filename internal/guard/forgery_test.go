package guard_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

var _ = Describe("Forging an approval", Serial, func() {
	var w *guard.Watcher
	var clk *clocktesting.FakeClock
	look := func(ctx context.Context) guard.Standing {
		GinkgoHelper()
		found, err := w.Look(ctx, server.Operator(ctx))
		Expect(err).NotTo(HaveOccurred())
		return found
	}
	BeforeEach(func(ctx SpecContext) {
		var err error
		clk = clocktesting.NewFakeClock(time.Now())
		w, err = guard.NewWatcher(server.Operator(ctx), clk, kubetest.OperatorUser)
		Expect(err).NotTo(HaveOccurred())
		look(ctx)
		clk.Step(guard.SettleTime)
	})

	It("finds nothing where guard 1 refuses it, and leaves nothing behind", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		Expect(w.Forge(ctx, ns)).To(BeEmpty())
		Expect(look(ctx).Settled).To(BeTrue())
		for _, event := range server.AuditIn(ns) {
			if event.ObjectRef.Resource == "alertremediations" {
				Expect(event.RequestURI).To(ContainSubstring("dryRun=All"))
				Expect(event.ResponseStatus.Code).To(BeNumerically(">=", 400))
			}
		}
	})
	It("finds that guard 1 is not in force, and distrusts the guards from then on", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		binding := bindingNamed(ctx, "kubernaut-approval")
		Expect(server.Client.Delete(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { server.InstallGuards(ctx) })
		Eventually(func() (string, error) { return w.Forge(ctx, ns) }).WithContext(ctx).WithTimeout(time.Minute).
			Should(ContainSubstring("guard approval is stored but not in force"))
	})
	It("takes another's refusal for no refusal", func(ctx SpecContext) {
		fault, err := guard.Forge(ctx, server.Operator(ctx), server.Namespace(ctx), []string{"another"})
		Expect(err).NotTo(HaveOccurred())
		Expect(fault).To(ContainSubstring("refused, but not by guard approval"))
	})
	It("does not take an API server without an answer for either", func(ctx SpecContext) {
		ended, end := context.WithCancel(ctx)
		end()
		_, err := w.Forge(ended, "default")
		Expect(err).To(MatchError(ContainSubstring("trying in namespace default whether guard approval is in force")))
	})
})
