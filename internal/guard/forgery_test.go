package guard_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

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
		clk = clocktesting.NewFakeClock(time.Now())
		w = guard.NewWatcher(server.Operator(ctx), clk, kubetest.OperatorUser)
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

var _ = Describe("The reporter", Serial, func() {
	It("sets the gauge of a guard and leaves an event, with the rights that are shipped", func(ctx SpecContext) {
		operator, reg, recorder := server.Operator(ctx), prometheus.NewRegistry(), events.NewFakeRecorder(10)
		w := guard.NewWatcher(operator, clocktesting.NewFakeClock(time.Now()), kubetest.OperatorUser)
		reporter := guard.NewReporter(w, operator, recorder, kubetest.OperatorNamespace, reg)
		look := func() string {
			GinkgoHelper()
			_, err := reporter.Reconcile(ctx, reconcile.Request{})
			Expect(err).NotTo(HaveOccurred())
			families, err := reg.Gather()
			Expect(err).NotTo(HaveOccurred())
			said := ""
			for _, metric := range families[0].Metric {
				said += fmt.Sprintf("%s=%v ", metric.Label[0].GetValue(), metric.Gauge.GetValue())
			}
			return said
		}
		Expect(look()).To(Equal("approval=1 origin=1 run=1 status=1 "))
		Expect(recorder.Events).To(BeEmpty())

		Expect(server.Client.Delete(ctx, bindingNamed(ctx, "kubernaut-run"))).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { server.InstallGuards(ctx) })
		Expect(look()).To(Equal("approval=1 origin=1 run=0 status=1 "))
		Expect(recorder.Events).To(Receive(ContainSubstring("Warning GuardMissing")))
	})
})
