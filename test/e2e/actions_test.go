//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"text/template"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Everything is broken at once, so that what is waited for passes side by side.
var _ = Describe("The other actions, on real pods", Ordered, func() {
	var t *tenant
	var w others

	BeforeAll(func(ctx SpecContext) {
		t = newTenant(ctx, "full")
		w = t.withOthers(ctx)
		t.stick(ctx, "statefulset", w.Set, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"busybox:0.0.1-never"}]`)
		t.stick(ctx, "deployment", w.Other, `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"busybox:0.0.2-never"}]`)
		t.stick(ctx, "daemonset", w.Daemons, `[{"op":"replace","path":"/spec/template/spec/containers/0/command","value":["sh","-c","echo 'error: no ledger'; exit 1"]}]`)
	}, NodeTimeout(3*time.Minute))

	It("RestartPod evicts one pod, and its owner makes another", func(ctx SpecContext) {
		pod := t.podOf(ctx, t.app)
		run := t.byHand(ctx, "RestartPod", "v1", pod, nil)
		Eventually(t.stateOf).WithContext(ctx).WithArguments(run).Should(Equal(metav1.ConditionTrue))
		Expect(t.podOf(ctx, t.app).GetUID()).NotTo(Equal(pod.GetUID()))
		Eventually(t.serves).WithContext(ctx).Should(Succeed())
		Expect(changes(t.ns)).To(ContainElement("create pods/" + pod.GetName()))
	}, SpecTimeout(2*time.Minute))

	It("Scale gives a Deployment twice as many pods", func(ctx SpecContext) {
		d := &appsv1.Deployment{}
		Expect(cluster.Get(ctx, t.key(t.app), d)).To(Succeed())
		run := t.byHand(ctx, "Scale", "apps/v1", d, map[string]string{"replicas": "2"})
		Eventually(t.stateOf).WithContext(ctx).WithArguments(run).Should(Equal(metav1.ConditionTrue))
		Expect(cluster.Get(ctx, t.key(t.app), d)).To(Succeed())
		Expect(d.Status.ReadyReplicas).To(BeEquivalentTo(2))
	}, SpecTimeout(2*time.Minute))

	It("SetImage brings a Deployment back to the image it was healthy with", func(ctx SpecContext) {
		d := &appsv1.Deployment{}
		Expect(cluster.Get(ctx, t.key(w.Other), d)).To(Succeed())
		run := t.byHand(ctx, "SetImage", "apps/v1", d, map[string]string{"container": t.container, "image": "busybox:1.36"})
		Eventually(t.stateOf).WithContext(ctx).WithArguments(run).Should(Equal(metav1.ConditionTrue))
		Expect(cluster.Get(ctx, t.key(w.Other), d)).To(Succeed())
		Expect(d.Spec.Template.Spec.Containers[0].Image).To(Equal("busybox:1.36"))
		Expect(d.Status.ReadyReplicas).To(BeEquivalentTo(2))
	}, SpecTimeout(2*time.Minute))

	It("RolloutUndo of a DaemonSet heals it from a bad release", func(ctx SpecContext) {
		ar := t.cured(ctx, v1alpha1.CauseCrashBadRelease, "daemonset", w.Daemons, func() (bool, error) {
			set := &appsv1.DaemonSet{}
			err := cluster.Get(ctx, t.key(w.Daemons), set)
			return set.Status.ObservedGeneration == set.Generation && min(set.Status.UpdatedNumberScheduled, set.Status.NumberReady) == set.Status.DesiredNumberScheduled, err
		})
		Expect(ar.Spec.Alert.Name).To(Equal("KubeDaemonSetRolloutStuck"))
		Expect(changes(t.ns)).To(ContainElement("patch daemonsets/" + w.Daemons))
	}, SpecTimeout(3*time.Minute))

	It("RolloutUndo of an ordered StatefulSet evicts the pod that would stay stuck, that one and no other", func(ctx SpecContext) {
		kept, stuck := &corev1.Pod{}, &corev1.Pod{}
		Expect(cluster.Get(ctx, t.key(w.Set+"-0"), kept)).To(Succeed())
		Expect(cluster.Get(ctx, t.key(w.Set+"-1"), stuck)).To(Succeed())
		t.cured(ctx, v1alpha1.CauseImageNotFound, "statefulset", w.Set, func() (bool, error) {
			set := &appsv1.StatefulSet{}
			err := cluster.Get(ctx, t.key(w.Set), set)
			return set.Status.ObservedGeneration == set.Generation && min(set.Status.UpdatedReplicas, set.Status.ReadyReplicas) == *set.Spec.Replicas, err
		})
		Expect(changes(t.ns)).To(ContainElements("patch statefulsets/"+w.Set, "create pods/"+w.Set+"-1"))
		Expect(changes(t.ns)).NotTo(ContainElement("create pods/" + w.Set + "-0"))
		Expect(changes(t.ns)).NotTo(ContainElement(HavePrefix("delete pods/")))
		now := &corev1.Pod{}
		Expect(cluster.Get(ctx, t.key(w.Set+"-0"), now)).To(Succeed())
		Expect(now.UID).To(Equal(kept.UID))
		Expect(cluster.Get(ctx, t.key(w.Set+"-1"), now)).To(Succeed())
		Expect(now.UID).NotTo(Equal(stuck.UID))
	}, SpecTimeout(3*time.Minute))

	It("RolloutUndo of an ordered StatefulSet evicts within the budget, and leaves a ready pod to the set's controller", func(ctx SpecContext) {
		cluster.kubectl(ctx, "-n", t.ns, "scale", "statefulset", w.Quorum, "--replicas=3")
		cluster.kubectl(ctx, "-n", t.ns, "rollout", "status", "statefulset/"+w.Quorum, "--timeout=60s")
		cluster.kubectl(ctx, "-n", t.ns, "create", "poddisruptionbudget", w.Quorum, "--selector=run="+w.Quorum, "--min-available=2")
		t.stick(ctx, "statefulset", w.Quorum, `[{"op":"replace","path":"/spec/template/spec/containers/0/command",
			"value":["sh","-c","case $(hostname) in *-1) exit 1;; esac; exec sleep 3600"]}]`)
		set, crashes, serves := &appsv1.StatefulSet{}, &corev1.Pod{}, &corev1.Pod{}
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, t.key(w.Quorum), set)).To(Succeed())
			g.Expect(cluster.Get(ctx, t.key(w.Quorum+"-1"), crashes)).To(Succeed())
			g.Expect(cluster.Get(ctx, t.key(w.Quorum+"-2"), serves)).To(Succeed())
			g.Expect(set.Status.ObservedGeneration).To(Equal(set.Generation))
			for _, p := range []*corev1.Pod{crashes, serves} {
				g.Expect(p.Labels[appsv1.ControllerRevisionHashLabelKey]).To(Equal(set.Status.UpdateRevision))
				g.Expect(p.Status.ContainerStatuses).To(HaveLen(1))
			}
			g.Expect(crashes.Status.ContainerStatuses[0].RestartCount).To(BeNumerically(">", 0))
			g.Expect(serves.Status.ContainerStatuses[0].Ready).To(BeTrue())
		}).WithContext(ctx).WithTimeout(time.Minute).Should(Succeed())

		run := t.byHand(ctx, "RolloutUndo", "apps/v1", set, nil)
		Eventually(t.stateOf).WithContext(ctx).WithTimeout(time.Minute).WithArguments(run).Should(Equal(metav1.ConditionTrue))
		Expect(changes(t.ns)).To(ContainElements("patch statefulsets/"+w.Quorum, "create pods/"+w.Quorum+"-1"))
		Expect(changes(t.ns)).NotTo(ContainElement("create pods/" + w.Quorum + "-0"))
		Expect(changes(t.ns)).NotTo(ContainElement("create pods/" + w.Quorum + "-2"))
		Expect(changes(t.ns)).NotTo(ContainElement(HavePrefix("delete pods/")))
		wr := &v1alpha1.WorkflowRun{}
		Expect(cluster.Get(ctx, t.key(run), wr)).To(Succeed())
		Expect(wr.Status.Steps[0].Operations).To(HaveLen(3))
		Expect(wr.Status.Steps[0].Operations[1].State).To(Equal(v1alpha1.OperationApplied))
		Expect(wr.Status.Steps[0].Operations[2].State).To(Equal(v1alpha1.OperationSkipped))
	}, SpecTimeout(4*time.Minute))
})

// others are the names of workloads beside a tenant's own.
type others struct{ Set, Quorum, Daemons, Other string }

// withOthers gives a tenant a StatefulSet, a DaemonSet and another Deployment, and
// waits until they are well.
func (t *tenant) withOthers(ctx context.Context) others {
	GinkgoHelper()
	w := others{Set: "s-" + rand.String(5), Quorum: "q-" + rand.String(5), Daemons: "d-" + rand.String(5), Other: "o-" + rand.String(5)}
	text, err := os.ReadFile(filepath.Join(cluster.root, "test", "e2e", "testdata", "sets.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var rendered bytes.Buffer
	workloads := []struct{ Kind, Name string }{{"StatefulSet", w.Set}, {"StatefulSet", w.Quorum}, {"DaemonSet", w.Daemons}, {"Deployment", w.Other}}
	Expect(template.Must(template.New("sets").Parse(string(text))).Execute(&rendered, map[string]any{
		"Namespace": t.ns, "Container": t.container, "Workloads": workloads,
	})).To(Succeed())
	cluster.apply(ctx, rendered.Bytes())
	for _, workload := range workloads {
		cluster.kubectl(ctx, "-n", t.ns, "rollout", "status", workload.Kind+"/"+workload.Name, "--timeout=60s")
	}
	return w
}

// stick rolls a change out that does not come up.
func (t *tenant) stick(ctx context.Context, kind, name, change string) {
	GinkgoHelper()
	cluster.kubectl(ctx, "-n", t.ns, "patch", kind, name, "--type=json", "-p", change)
}

func (t *tenant) key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: t.ns, Name: name}
}

// podOf returns a ready pod of a workload that is not on its way out.
func (t *tenant) podOf(ctx context.Context, workload string) client.Object {
	GinkgoHelper()
	var found *corev1.Pod
	Eventually(func(g Gomega) {
		var pods corev1.PodList
		g.Expect(cluster.List(ctx, &pods, client.InNamespace(t.ns), client.MatchingLabels{"run": workload})).To(Succeed())
		for i := range pods.Items {
			if pods.Items[i].DeletionTimestamp == nil {
				found = &pods.Items[i]
			}
		}
		g.Expect(found).NotTo(BeNil())
	}).WithContext(ctx).Should(Succeed())
	return found
}

// byHand makes a run of one action, as somebody who may act as the remediator does.
func (t *tenant) byHand(ctx context.Context, name, apiVersion string, target client.Object, params map[string]string) string {
	GinkgoHelper()
	gvk, err := cluster.GroupVersionKindFor(target)
	Expect(err).NotTo(HaveOccurred())
	run := &v1alpha1.WorkflowRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.ns, Name: "r-" + rand.String(6)},
		Spec: v1alpha1.WorkflowRunSpec{
			Target: v1alpha1.TargetReference{
				ObjectReference: v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: gvk.Kind, Namespace: t.ns, Name: target.GetName()}, UID: target.GetUID(),
			},
			Steps: []v1alpha1.Step{{Name: "only", Action: v1alpha1.StepAction{Name: name, Parameters: params}}},
		},
	}
	Expect(cluster.Create(ctx, run)).To(Succeed())
	return run.Name
}

// stateOf returns how a run ended; unknown while it has not.
func (t *tenant) stateOf(ctx context.Context, run string) (metav1.ConditionStatus, error) {
	wr := &v1alpha1.WorkflowRun{}
	if err := cluster.Get(ctx, t.key(run), wr); err != nil {
		return "", err
	}
	succeeded := meta.FindStatusCondition(wr.Status.Conditions, v1alpha1.Succeeded)
	if succeeded == nil || succeeded.Status == metav1.ConditionUnknown {
		return metav1.ConditionUnknown, nil
	}
	if succeeded.Status == metav1.ConditionFalse {
		return "", StopTrying(succeeded.Reason + ": " + succeeded.Message)
	}
	return succeeded.Status, nil
}

// rolloutAlerts are what Prometheus calls a set whose rollout does not end.
var rolloutAlerts = map[string]string{"statefulset": "KubeStatefulSetUpdateNotRolledOut", "daemonset": "KubeDaemonSetRolloutStuck"}

// cured posts the alert about a set, waits until all of its pods are of the new
// template and ready, says that it is over, and returns the remediation.
func (t *tenant) cured(ctx context.Context, cause v1alpha1.Cause, kind, name string, well func() (bool, error)) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	alert := t.alert(rolloutAlerts[kind], map[string]string{kind: name})
	t.post(ctx, "firing", alert)
	mine := func() (*v1alpha1.AlertRemediation, error) {
		all, err := t.remediations(ctx)
		for i := range all {
			if target := all[i].Status.Target; target != nil && target.Name == name {
				return &all[i], err
			}
		}
		return &v1alpha1.AlertRemediation{}, err
	}
	Eventually(func() (bool, error) {
		ar, err := mine()
		return meta.IsStatusConditionTrue(ar.Status.Conditions, v1alpha1.Executed), err
	}).WithContext(ctx).Should(BeTrue())
	Eventually(well).WithContext(ctx).Should(BeTrue())
	t.post(ctx, "resolved", alert)
	Eventually(func() (v1alpha1.Outcome, error) {
		ar, err := mine()
		return ar.Status.Outcome, err
	}).WithContext(ctx).Should(Equal(v1alpha1.OutcomeRemediated))
	ar, err := mine()
	Expect(err).NotTo(HaveOccurred())
	Expect(ar.Status.Diagnosis.Cause).To(Equal(cause))
	return ar
}
