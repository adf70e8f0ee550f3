package workflowrun_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var _ = Describe("The lease of a run", func() {
	It("is given back when the verdict has fallen, and the run may then be deleted", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		Expect(run.Finalizers).To(ContainElement(v1alpha1.RunFinalizer))
		s.concluded(ctx)
		s.driven(ctx, run)
		Expect(run).To(kubetest.HaveCondition(v1alpha1.Claimed, metav1.ConditionFalse, v1alpha1.ReasonReleased))
		Expect(run.Finalizers).To(BeEmpty())
		Expect(s.holder(ctx)).To(BeEmpty())
	})

	It("is given back at once by a run made by hand", func(ctx SpecContext) {
		s := set(ctx)
		run := s.byHand(ctx, "mine", good)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.holder(ctx)).To(BeEmpty())
	})

	It("is taken over from a run that is gone, and another run of its name is no such run", func(ctx SpecContext) {
		s := set(ctx)
		identity := s.namespace + "/mine/an-earlier-one"
		server.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: lease.Name(s.web.UID)},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &identity},
		})
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		run := s.byHand(ctx, "mine", good)
		s.driven(ctx, run)
		Expect(s.holder(ctx)).To(Equal(lease.Identity(run)))
	})

	It("that another run took over stays that run's", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		identity := s.namespace + "/other/0"
		held := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: lease.Name(s.web.UID)}}
		change(ctx, held, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = &identity })
		s.concluded(ctx)
		s.driven(ctx, run)
		Expect(s.holder(ctx)).To(Equal(identity))
	})
})

var _ = Describe("Deleting a run", func() {
	It("settles what was claimed by looking, undoes nothing, and gives the lease back", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		s.driven(ctx, run)
		Expect(server.Client.Delete(ctx, run)).To(Succeed())
		_, err := s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run))).To(BeTrue())
		Expect(s.running(ctx)).To(Equal(good))
		Expect(s.holder(ctx)).To(BeEmpty())
		Expect(s.effects()).To(Equal(1))
	})

	It("keeps it while that can't be done, but not for ever, and says so", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		s.restart(deaf("/leases"))
		Expect(server.Client.Delete(ctx, run)).To(Succeed())
		result, err := s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(5 * time.Second))
		Expect(run.Finalizers).NotTo(BeEmpty())

		s.clock.SetTime(run.DeletionTimestamp.Add(10 * time.Minute))
		_, err = s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run))).To(BeTrue())
		Expect(s.told()).To(ContainElement(HavePrefix("Warning LetGo")))
	})

	It("never holds up a namespace", func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.driven(ctx, run)
		s.restart(deaf("/leases"))
		Expect(server.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})).To(Succeed())
		Expect(server.Client.Delete(ctx, run)).To(Succeed())
		_, err := s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run))).To(BeTrue())
	})

	It("never holds up the deletion of its CustomResourceDefinition", Serial, func(ctx SpecContext) {
		s := set(ctx)
		run := s.owned(ctx, "ar-1-run-1")
		s.image.arrived = action.Progress{Message: "1 of 2 pods"}
		s.driven(ctx, run)
		Expect(run.Status.Steps[0].State).To(Equal(v1alpha1.StepRunning), "it is under way, and holds its lease")
		s.restart(deaf("/leases"))
		DeferCleanup(restoreDefinitions)
		for _, name := range []string{"alertremediations.kubernaut.io", "workflowruns.kubernaut.io"} {
			server.Kubectl(ctx, nil, "delete", "crd", name, "--wait=false")
		}
		Eventually(ctx, func(g Gomega) { // the API server deletes the runs in the background
			g.Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())
			g.Expect(run.DeletionTimestamp).NotTo(BeNil())
		}).WithTimeout(time.Minute).Should(Succeed())
		_, err := s.process.Reconcile(ctx, run.DeepCopy())
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsNotFound(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run))).To(BeTrue(), "the finalizer is gone")
		Expect(s.told()).To(ContainElement(HavePrefix("Warning LetGo")))
		Expect(s.running(ctx)).To(Equal(good), "nothing is undone")
	})
})

// restoreDefinitions waits until the definitions of remediations and runs are gone
// with all that other specs left of them, and creates them anew.
func restoreDefinitions(ctx SpecContext) {
	Eventually(ctx, func(g Gomega) {
		var runs v1alpha1.WorkflowRunList
		if err := server.Client.List(ctx, &runs); !apierrors.IsNotFound(err) {
			g.Expect(err).NotTo(HaveOccurred())
		}
		for i := range runs.Items {
			runs.Items[i].Finalizers = nil
			g.Expect(client.IgnoreNotFound(server.Client.Update(ctx, &runs.Items[i]))).To(Succeed())
		}
		g.Expect(string(server.Kubectl(ctx, nil, "get", "crd", "-o", "name"))).NotTo(Or(ContainSubstring("alertremediations"), ContainSubstring("workflowruns")))
	}).WithTimeout(time.Minute).Should(Succeed())
	server.Install(ctx, "config", "crd")
	server.Kubectl(ctx, nil, "wait", "--for=condition=Established", "--timeout=60s", "crd/alertremediations.kubernaut.io", "crd/workflowruns.kubernaut.io")
	Eventually(ctx, func() error { return server.Client.List(ctx, &v1alpha1.WorkflowRunList{}) }).WithTimeout(time.Minute).Should(Succeed())
}
