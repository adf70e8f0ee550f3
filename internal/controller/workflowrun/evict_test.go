package workflowrun_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

var statefulSetKind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")

func rolloutUndo() action.Action {
	for _, act := range actions.All() {
		if act.Spec().Name == "RolloutUndo" {
			return act
		}
	}
	panic("the catalogue has no RolloutUndo")
}

// setScene is a scene with a StatefulSet in an update that stays stuck. Its
// controller does what a test says.
type setScene struct {
	*scene
	set  *appsv1.StatefulSet
	line *mortal // of a process that dies
}

// Names of the revisions, and the images they have.
const (
	firstRevision, secondRevision = "ledger-first", "ledger-second"
	firstImage, secondImage       = "example.test/ledger:1", "example.test/ledger:2"
)

// stuckSet makes a set whose pod 0 is ready at the first revision; the others are at
// the second, and ready as given.
func stuckSet(ctx context.Context, others ...bool) *setScene {
	GinkgoHelper()
	s := &setScene{scene: set(ctx)}
	own := map[string]string{"app": "ledger"}
	template := build.Deployment("", "ledger").Image(secondImage).Obj().Spec.Template
	template.Labels = own
	s.set = &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "ledger"},
		Spec:       appsv1.StatefulSetSpec{Replicas: new(int32(len(others) + 1)), Selector: &metav1.LabelSelector{MatchLabels: own}, Template: template},
	}
	server.Create(ctx, s.set)
	for number, name := range []string{firstRevision, secondRevision} {
		kept := s.set.Spec.Template.DeepCopy()
		kept.Spec.Containers[0].Image = []string{firstImage, secondImage}[number]
		raw, err := json.Marshal(map[string]any{"spec": map[string]any{"template": kept}})
		Expect(err).NotTo(HaveOccurred())
		server.Create(ctx, &appsv1.ControllerRevision{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: own, OwnerReferences: s.owner()},
			Data:       runtime.RawExtension{Raw: raw}, Revision: int64(number + 1),
		})
	}
	s.pod(ctx, 0, firstRevision, true)
	for i, isReady := range others {
		s.pod(ctx, i+1, secondRevision, isReady)
	}
	s.observes(ctx, 1)
	server.Grant(ctx, s.namespace, kubetest.RemediatorUser(s.namespace),
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"statefulsets"}, Verbs: []string{"patch"}},
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}})
	return s
}

func (s *setScene) owner() []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(s.set, statefulSetKind)}
}

// pod makes the pod of an ordinal, which is not scheduled: an eviction removes it at once.
func (s *setScene) pod(ctx context.Context, at int, revision string, isReady bool) {
	GinkgoHelper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: fmt.Sprintf("ledger-%d", at), OwnerReferences: s.owner(),
			Labels: map[string]string{"app": "ledger", appsv1.ControllerRevisionHashLabelKey: revision},
		},
		Spec: s.set.Spec.Template.Spec,
	}
	server.Create(ctx, p)
	s.becomes(ctx, at, isReady)
}

// becomes makes a pod ready, or not.
func (s *setScene) becomes(ctx context.Context, at int, isReady bool) {
	GinkgoHelper()
	p := s.podNow(ctx, at)
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodReady, Status: map[bool]corev1.ConditionStatus{true: corev1.ConditionTrue, false: corev1.ConditionFalse}[isReady],
		LastTransitionTime: metav1.NewTime(s.clock.Now()),
	}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "ledger", Ready: isReady, RestartCount: 1}}
	Expect(server.Client.Status().Update(ctx, p)).To(Succeed())
}

// podNow is the pod of an ordinal; nil if it does not exist.
func (s *setScene) podNow(ctx context.Context, at int) *corev1.Pod {
	GinkgoHelper()
	p := &corev1.Pod{}
	err := server.Client.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: fmt.Sprintf("ledger-%d", at)}, p)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return p
}

// observes writes the set's status as its controller would, with so many ready pods.
func (s *setScene) observes(ctx context.Context, updated int32) {
	GinkgoHelper()
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(s.set), s.set)).To(Succeed())
	s.set.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: s.set.Generation, Replicas: *s.set.Spec.Replicas, UpdatedReplicas: updated, ReadyReplicas: updated, AvailableReplicas: updated,
	}
	Expect(server.Client.Status().Update(ctx, s.set)).To(Succeed())
}

// replaces makes the successor of a pod, of the first revision, ready.
func (s *setScene) replaces(ctx context.Context, at int) { s.pod(ctx, at, firstRevision, true) }

// undoes makes a run by hand that goes back to the first revision.
func (s *setScene) undoes(ctx context.Context) *v1alpha1.WorkflowRun {
	run := build.Run(s.namespace, "back", build.TargetOf(s.set, statefulSetKind)).Step("back", "RolloutUndo", nil).Obj()
	server.Create(ctx, run)
	// The API server's clock may have begun another second since the scene was made, and
	// what was reserved before a run was made is not taken for its own.
	s.clock.Step(time.Second)
	return run
}

// image of the set's template now.
func (s *setScene) image(ctx context.Context) string {
	GinkgoHelper()
	Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(s.set), s.set)).To(Succeed())
	return s.set.Spec.Template.Spec.Containers[0].Image
}

// removals are the pods that the remediator evicted or deleted, in order, by the audit log.
func (s *setScene) removals() []string {
	var found []string
	for _, e := range server.AuditIn(s.namespace) {
		if e.ImpersonatedUser != nil && e.ObjectRef.Resource == "pods" && e.ResponseStatus.Code < 300 && !strings.Contains(e.RequestURI, "dryRun") {
			found = append(found, strings.TrimSpace(e.Verb+" "+e.ObjectRef.Subresource)+" "+e.ObjectRef.Name)
		}
	}
	return found
}

// states of the operations of a run's only step.
func states(run *v1alpha1.WorkflowRun) []v1alpha1.OperationState {
	var all []v1alpha1.OperationState
	for _, op := range run.Status.Steps[0].Operations {
		all = append(all, op.State)
	}
	return all
}

// budget is a PodDisruptionBudget that the set's pods need, with nothing to spare.
func (s *setScene) budget(ctx context.Context, name string) {
	GinkgoHelper()
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(3)), Selector: s.set.Spec.Selector},
	}
	server.Create(ctx, b)
	b.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: b.Generation, ExpectedPods: 3, DesiredHealthy: 3, CurrentHealthy: 2}
	Expect(server.Client.Status().Update(ctx, b)).To(Succeed())
}

const (
	opApplied = v1alpha1.OperationApplied
	opSkipped = v1alpha1.OperationSkipped
	opRefused = v1alpha1.OperationRefused
	opUndone  = v1alpha1.OperationUndone
	opPending = v1alpha1.OperationState("")
)

// forgetful drops a field from every status that is written, as an API server does whose
// CustomResourceDefinition does not have it.
type forgetful struct{ next http.RoundTripper }

func (f forgetful) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodPut && strings.HasSuffix(req.URL.Path, "/status") {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		body = bytes.ReplaceAll(body, []byte(`,"unready":true`), nil)
		req = req.Clone(req.Context())
		req.Body, req.ContentLength, req.GetBody = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	return f.next.RoundTrip(req)
}

var _ = Describe("Evicting the pods of an ordered set, one at a time", func() {
	It("does nothing where the API server does not keep that only unready pods are evicted", func(ctx SpecContext) {
		s := stuckSet(ctx, true, false)
		s.restart(func(next http.RoundTripper) http.RoundTripper { return forgetful{next} })
		run := s.undoes(ctx)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonStepFailed))
		Expect(s.removals()).To(BeEmpty())
		Expect(s.image(ctx)).To(Equal(secondImage))
	})

	It("waits for each successor, and leaves what is ready to the set's controller", func(ctx SpecContext) {
		s := stuckSet(ctx, false, true, false)
		run := s.undoes(ctx)
		s.driven(ctx, run)
		Expect(s.image(ctx)).To(Equal(firstImage))
		Expect(run.Status.Steps[0].Message).To(Equal("waiting: the controller of StatefulSet/ledger has not seen the change yet"))
		Expect(s.removals()).To(BeEmpty(), "what is removed now may come back from the old template")

		s.observes(ctx, 1)
		Expect(s.driven(ctx, run).RequeueAfter).To(Equal(time.Second))
		Expect(s.removals()).To(Equal([]string{"create eviction ledger-1"}))
		Expect(run.Status.Steps[0].Message).To(ContainSubstring("Pod/ledger-1 was removed and its successor does not exist yet"))

		s.pod(ctx, 1, firstRevision, false)
		s.driven(ctx, run)
		Expect(run.Status.Steps[0].Message).To(ContainSubstring("the successor of Pod/ledger-1 is not ready yet"))
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opApplied, opPending, opPending}))

		s.becomes(ctx, 1, true)
		s.driven(ctx, run)
		Expect(s.removals()).To(Equal([]string{"create eviction ledger-1", "create eviction ledger-3"}))
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opApplied, opSkipped, opApplied}))

		s.replaces(ctx, 3)
		s.observes(ctx, 4)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.told()).To(ContainElement(HavePrefix("Normal OperationSkipped evict of Pod/ledger-2 was not needed")))
		Expect(s.told()).To(BeEmpty())
	})

	It("evicts nothing that was removed or replaced before its turn", func(ctx SpecContext) {
		s := stuckSet(ctx, false, false)
		run := s.undoes(ctx)
		s.driven(ctx, run)
		for at := range 2 {
			Expect(server.Client.Delete(ctx, s.podNow(ctx, at+1), client.GracePeriodSeconds(0))).To(Succeed())
		}
		s.replaces(ctx, 1)
		s.observes(ctx, 2)
		s.driven(ctx, run)
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opSkipped, opSkipped}))
		Expect(s.removals()).To(BeEmpty())
	})

	It("evicts a pod that was ready for a moment once it has not been for half a minute", func(ctx SpecContext) {
		s := stuckSet(ctx, true, true)
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		s.driven(ctx, run)
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opSkipped, opSkipped}))

		s.becomes(ctx, 2, false)
		s.clock.Step(20 * time.Second)
		s.driven(ctx, run)
		Expect(s.removals()).To(BeEmpty(), "a probe may fail once")
		s.clock.Step(11 * time.Second)
		s.driven(ctx, run)
		Expect(s.removals()).To(Equal([]string{"create eviction ledger-2"}))
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opSkipped, opApplied}))
	})

	It("ends when a budget refuses for the whole time, says which, and leaves the template as it is", func(ctx SpecContext) {
		s := stuckSet(ctx, false, true)
		s.budget(ctx, "quorum")
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		s.waits(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonRunning))
		Expect(run.Status.Steps[0].Message).To(ContainSubstring("The disruption budget quorum needs 3 healthy pods and has 2 currently"))

		s.clock.Step(11 * time.Minute)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonPodsLeft))
		Expect(run.Status.Steps[0].Message).To(And(
			HavePrefix("the run's time of 10m0s was over before Pod/ledger-1 was evicted: "), ContainSubstring("The disruption budget quorum needs 3"),
			ContainSubstring("stays in place"), HaveSuffix("kubectl -n "+s.namespace+" delete pod ledger-1")))
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opRefused, opPending}))
		Expect(s.image(ctx)).To(Equal(firstImage))
		Expect(s.removals()).To(BeEmpty())
	})

	It("ends in the same way where two budgets cover a pod, which the API server never evicts", func(ctx SpecContext) {
		s := stuckSet(ctx, false)
		s.budget(ctx, "quorum")
		s.budget(ctx, "everything")
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		_, err := s.reconciled(ctx, run)
		Expect(err).To(HaveOccurred(), "it is tried again, more and more rarely")
		s.clock.Step(11 * time.Minute)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonPodsLeft))
		Expect(run.Status.Steps[0].Message).To(ContainSubstring("more than one PodDisruptionBudget"))
		Expect(s.image(ctx)).To(Equal(firstImage))
		Expect(s.removals()).To(BeEmpty())
	})

	It("skips a pod that becomes ready while a budget holds its eviction back", func(ctx SpecContext) {
		s := stuckSet(ctx, false)
		s.budget(ctx, "quorum")
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		s.waits(ctx, run)
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, v1alpha1.OperationClaimed}))
		s.becomes(ctx, 1, true)
		s.driven(ctx, run)
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opSkipped}))
		Expect(run.Status.Steps[0].Message).NotTo(ContainSubstring("budget"))
		Expect(s.removals()).To(BeEmpty())
	})

	It("says what is awaited when a successor is not ready in time, and evicts no further pod", func(ctx SpecContext) {
		s := stuckSet(ctx, false, false)
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		s.driven(ctx, run)
		s.pod(ctx, 1, firstRevision, false)
		s.clock.Step(11 * time.Minute)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonPodsLeft))
		Expect(run.Status.Steps[0].Message).To(ContainSubstring("the successor of Pod/ledger-1 is not ready yet"))
		Expect(s.removals()).To(Equal([]string{"create eviction ledger-1"}))
	})

	It("says which pod was evicted and does not go", func(ctx SpecContext) {
		s := stuckSet(ctx, false)
		p := s.podNow(ctx, 1)
		p.Finalizers = []string{"example.test/held"}
		Expect(server.Client.Update(ctx, p)).To(Succeed())
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		s.driven(ctx, run)
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opApplied, opApplied}))
		s.clock.Step(11 * time.Minute)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonPodsLeft))
		Expect(run.Status.Steps[0].Message).To(HavePrefix("Pod/ledger-1 was evicted, and after 10m0s it is still there, on no node."))
		Expect(s.image(ctx)).To(Equal(firstImage))
	})

	It("holds between two evictions while it is paused", func(ctx SpecContext) {
		s := stuckSet(ctx, false, false)
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		s.driven(ctx, run)
		change(ctx, run, func(r *v1alpha1.WorkflowRun) { r.Spec.Paused = true })
		s.replaces(ctx, 1)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionUnknown, v1alpha1.ReasonPaused))
		Expect(s.removals()).To(Equal([]string{"create eviction ledger-1"}))
	})

	It("takes only the template back, in a cancelled run and in a run that undoes it", func(ctx SpecContext) {
		s := stuckSet(ctx, false, false)
		run := s.undoes(ctx)
		s.driven(ctx, run)
		s.observes(ctx, 1)
		s.driven(ctx, run)
		change(ctx, run, cancelled)
		s.driven(ctx, run)
		Expect(run).To(succeeded(metav1.ConditionFalse, v1alpha1.ReasonCancelled))
		Expect(run).To(kubetest.HaveCondition(v1alpha1.RolledBack, metav1.ConditionTrue, v1alpha1.ReasonRolledBack))
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opUndone, opUndone, opPending}))
		Expect(s.image(ctx)).To(Equal(secondImage))

		s = stuckSet(ctx, false, true)
		s.dies(0, false)
		run = s.undoes(ctx)
		s.ends(ctx, run)
		back := build.Run(s.namespace, "forth", run.Spec.Target).Undoes(run.Name).Obj()
		server.Create(ctx, back)
		s.driven(ctx, back)
		Expect(back).To(succeeded(metav1.ConditionTrue, v1alpha1.ReasonCompleted))
		Expect(s.image(ctx)).To(Equal(secondImage))
		Expect(back.Status.Steps[0].Operations).To(HaveLen(1))
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(run), run)).To(Succeed())
		Expect(states(run)).To(Equal([]v1alpha1.OperationState{opUndone, opUndone, opSkipped}))
		Expect(s.removals()).To(Equal([]string{"create eviction ledger-1"}))
	})

	// What comes before the first effect and after the last one is alike for every plan:
	// crash_test.go has it.
	It("comes to the same end after a death at any write between the first effect and the last, with no pod evicted twice", func(ctx SpecContext) {
		undisturbed := stuckSet(ctx, false, true)
		undisturbed.dies(0, false)
		counted := undisturbed.line
		run := undisturbed.undoes(ctx)
		undisturbed.ends(ctx, run)
		want := final(run)
		Expect(want).To(ContainElements("evictPod/ledger-1Applied", "evictPod/ledger-2Skipped"))
		Expect(counted.effects).To(HaveLen(2), "the patch and one eviction")
		for n := counted.effects[0]; n <= counted.effects[1]+1; n++ {
			for _, after := range []bool{false, true} {
				By(fmt.Sprintf("dying at write %d of %d, after it: %t", n, counted.writes, after))
				s := stuckSet(ctx, false, true)
				s.dies(n, after)
				run := s.undoes(ctx)
				s.ends(ctx, run)
				Expect(final(run)).To(Equal(want))
				Expect(s.removals()).To(Equal([]string{"create eviction ledger-1"}))
			}
		}
	})
})

// dies makes the process die at a write.
func (s *setScene) dies(at int, after bool) {
	line := &mortal{at: at, after: after}
	s.line = line
	s.restart(func(next http.RoundTripper) http.RoundTripper {
		line.next = next
		return line
	})
}

// waits is three passes over a run that tries the same again in each.
func (s *setScene) waits(ctx context.Context, run *v1alpha1.WorkflowRun) {
	GinkgoHelper()
	for range 3 {
		result, err := s.reconciled(ctx, run)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).NotTo(BeZero())
	}
}

// ends drives a run to its end beside a controller that replaces pods; each process
// that dies is followed by another.
func (s *setScene) ends(ctx context.Context, run *v1alpha1.WorkflowRun) {
	GinkgoHelper()
	for range 40 {
		_, err := s.reconciled(ctx, run)
		if s.line.dead {
			s.dies(0, false)
		} else {
			Expect(err).NotTo(HaveOccurred())
		}
		for at := range int(*s.set.Spec.Replicas) {
			if s.podNow(ctx, at) == nil {
				s.replaces(ctx, at)
			}
		}
		if s.image(ctx) == firstImage && s.set.Status.ObservedGeneration < s.set.Generation {
			s.observes(ctx, *s.set.Spec.Replicas)
		}
		if run.Finished() && len(run.Finalizers) == 0 {
			return
		}
	}
	Fail(fmt.Sprintf("the run never ends: %v", final(run)))
}
