package clearance_test

import (
	"context"
	"maps"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

const crashLooping = "KubePodCrashLooping"

var _ = Describe("Whether an alert fires for the target, by Alertmanager", func() {
	DescribeTable("is told", func(ctx SpecContext, firing func(*scene, *corev1.Pod) []map[string]string, want v1alpha1.AlertState) {
		s := set(ctx)
		rs := build.ReplicaSetOf(s.web, 1)
		server.Create(ctx, rs)
		pod := build.PodOf(rs, "x")
		other := build.Deployment(s.namespace, "other").Obj()
		server.Create(ctx, pod, other)
		s.deps.Alertmanager = says{alerts: firing(s, pod)}
		s.deps.Cluster, s.deps.ClusterLabel = "eu-1", "cluster"
		state, why, err := s.desk().AlertState(ctx, crashLooping, build.TargetOf(s.web, build.DeploymentKind))
		Expect(err).NotTo(HaveOccurred())
		Expect(state).To(Equal(want))
		Expect(why).NotTo(BeEmpty())
	},
		Entry("by an alert about it", func(s *scene, _ *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "deployment": "web"}}
		}, v1alpha1.AlertFiring),
		Entry("by an alert about any of its pods", func(s *scene, pod *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "pod": "web-gone"}, {"namespace": s.namespace, "pod": pod.Name}}
		}, v1alpha1.AlertFiring),
		Entry("by none about a pod that is gone", func(s *scene, _ *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "pod": "web-gone"}}
		}, v1alpha1.AlertResolved),
		Entry("by none about another workload", func(s *scene, _ *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "deployment": "other"}}
		}, v1alpha1.AlertResolved),
		Entry("by none about the same name in another namespace", func(*scene, *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": "default", "deployment": "web"}}
		}, v1alpha1.AlertResolved),
		Entry("by one about its pod, whatever an application's own label says", func(s *scene, pod *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "pod": pod.Name, "job_name": "enrich-orders", "deployment": "other"}}
		}, v1alpha1.AlertFiring),
		Entry("by none about another workload, whatever the scraped pod is of", func(s *scene, pod *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "deployment": "other", "pod": "web-gone"}}
		}, v1alpha1.AlertResolved),
		Entry("by none about a node", func(s *scene, _ *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "node": "web"}}
		}, v1alpha1.AlertResolved),
		Entry("by none in another cluster", func(s *scene, _ *corev1.Pod) []map[string]string {
			return []map[string]string{{"namespace": s.namespace, "deployment": "web", "cluster": "us-2"}}
		}, v1alpha1.AlertResolved),
		Entry("by none that names nothing", func(*scene, *corev1.Pod) []map[string]string {
			return []map[string]string{{"severity": "critical"}}
		}, v1alpha1.AlertResolved),
		Entry("by none where nothing fires", func(*scene, *corev1.Pod) []map[string]string { return nil }, v1alpha1.AlertResolved),
	)

	DescribeTable("is told by an Alertmanager that was started a moment ago", func(ctx SpecContext, age time.Duration, fires bool, want v1alpha1.AlertState) {
		s := set(ctx)
		am := says{since: s.deps.Clock.Now().Add(-age)}
		if fires {
			am.alerts = []map[string]string{{"namespace": s.namespace, "deployment": "web"}}
		}
		s.deps.Alertmanager = am
		state, _, err := s.desk().AlertState(ctx, crashLooping, build.TargetOf(s.web, build.DeploymentKind))
		Expect(state).To(Equal(want))
		if want == v1alpha1.AlertUnknown {
			Expect(err).To(MatchError(ContainSubstring("need not have been told of all that fires")))
			return
		}
		Expect(err).NotTo(HaveOccurred())
	},
		Entry("nothing, by its silence", 4*time.Minute, false, v1alpha1.AlertUnknown),
		Entry("nothing, by the silence of one whose clock is ahead", -time.Minute, false, v1alpha1.AlertUnknown),
		Entry("that it fires", time.Second, true, v1alpha1.AlertFiring),
		Entry("that it resolved, once it was told again of all that fires", 5*time.Minute, false, v1alpha1.AlertResolved),
	)

	It("waits, and does not end, where Alertmanager was started a moment ago or does not say when", func(ctx SpecContext) {
		s := set(ctx)
		for _, am := range []says{{since: s.deps.Clock.Now()}, {silent: errDown}} {
			s.deps.Alertmanager = am
			judged, err := s.desk().Judge(ctx, s.planned())
			Expect(err).NotTo(HaveOccurred())
			Expect(reasons(judged.Refusals)).To(Equal([]string{"Unreadable Waits"}))
		}
	})

	DescribeTable("lets a plan through while its alert fires", func(ctx SpecContext, named, fires string, want ...string) {
		s := set(ctx)
		s.ar.Spec.Alert.Name, s.ar.Spec.Alert.Labels = crashLooping, map[string]string{"namespace": s.namespace, "pod": named}
		s.deps.Alertmanager = says{alerts: []map[string]string{{"namespace": s.namespace, "pod": fires}}}
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(HaveExactElements(want))
	},
		Entry("though the pod that it names was replaced", "web-gone", "web-gone"),
		Entry("and no longer where it is of another pod that is gone", "web-gone", "web-other", "AlertResolved Resolved"),
	)

	It("lets a plan through while its alert fires, though the pod that it names was replaced and its Service exists", func(ctx SpecContext) {
		s := set(ctx)
		server.Create(ctx, build.Service(s.namespace, "web", "web"))
		labels := map[string]string{"namespace": s.namespace, "pod": "web-gone", "service": "web"}
		s.ar.Spec.Alert.Name, s.ar.Spec.Alert.Labels = "QueueFull", labels
		s.deps.Alertmanager = says{alerts: []map[string]string{maps.Clone(labels)}}
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(judged.Refusals).To(BeEmpty())

		labels["pod"] = "web-other"
		s.ar.Spec.Alert.Labels = labels
		judged, err = s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(HaveExactElements("AlertResolved Resolved"), "the alert of another pod that is gone")
	})

	It("is unknown while what an alert is about can't be read", func(ctx SpecContext) {
		s := set(ctx)
		s.deps.Alertmanager = says{alerts: []map[string]string{{"namespace": s.namespace, "pod": "web-x"}}}
		s.deps.Resolver = blind{}
		state, _, err := s.desk().AlertState(ctx, crashLooping, build.TargetOf(s.web, build.DeploymentKind))
		Expect(err).To(MatchError(errDown))
		Expect(state).To(Equal(v1alpha1.AlertUnknown))
	})
})

var _ = Describe("Whether an alert fires for the target, by the webhook's word", func() {
	heard := func(s *scene, name, fingerprint string, state v1alpha1.AlertState) *v1alpha1.AlertRemediation {
		return build.Remediation(s.namespace, name).FromAlertmanager(fingerprint).Admitted(build.TargetOf(s.web, build.DeploymentKind)).
			With(func(ar *v1alpha1.AlertRemediation) { ar.Status.Alert = &v1alpha1.AlertStatus{State: state} }).Obj()
	}
	state := func(ctx context.Context, s *scene) v1alpha1.AlertState {
		state, why, err := s.desk().AlertState(ctx, crashLooping, build.TargetOf(s.web, build.DeploymentKind))
		Expect(err).NotTo(HaveOccurred())
		Expect(why).NotTo(BeEmpty())
		return state
	}
	resolve := func(ctx context.Context, s *scene) {
		s.ar.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
		Expect(server.Client.Status().Update(ctx, s.ar)).To(Succeed())
	}

	It("fires as long as nothing else was heard", func(ctx SpecContext) {
		Expect(state(ctx, set(ctx))).To(Equal(v1alpha1.AlertFiring))
	})

	It("is resolved once that was heard of it", func(ctx SpecContext) {
		s := set(ctx)
		resolve(ctx, s)
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertResolved))
	})

	It("fires while another alert of that name fires for the same target", func(ctx SpecContext) {
		s := set(ctx)
		resolve(ctx, s)
		server.Create(ctx, heard(s, "ar-2", "f2", v1alpha1.AlertFiring))
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertFiring))
	})

	It("fires where it resolved before and the one that is judged is not stored with its target yet", func(ctx SpecContext) {
		s := set(ctx)
		resolve(ctx, s)
		again := build.Remediation(s.namespace, "again").FromAlertmanager("f1").Obj()
		server.Create(ctx, again)
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertResolved), "to anybody else")

		planned := s.planned()
		planned.Remediation = again.DeepCopy()
		planned.Remediation.Status = *s.ar.Status.DeepCopy()
		planned.Remediation.Status.Alert = nil
		judged, err := s.desk().Judge(ctx, planned)
		Expect(err).NotTo(HaveOccurred())
		Expect(judged.Refusals).To(BeEmpty())

		planned.Remediation.Status.Alert = &v1alpha1.AlertStatus{State: v1alpha1.AlertResolved}
		judged, err = s.desk().Judge(ctx, planned)
		Expect(err).NotTo(HaveOccurred())
		Expect(reasons(judged.Refusals)).To(Equal([]string{"AlertResolved Resolved"}))
	})

	It("is known to fire by the first remediation, before that is stored", func(ctx SpecContext) {
		s := set(ctx)
		planned := s.planned()
		Expect(server.Client.Delete(ctx, s.ar.DeepCopy())).To(Succeed())
		judged, err := s.desk().Judge(ctx, planned)
		Expect(err).NotTo(HaveOccurred())
		Expect(judged.Refusals).To(BeEmpty())
	})

	It("is not kept firing by alerts of other names, or for other targets", func(ctx SpecContext) {
		s := set(ctx)
		resolve(ctx, s)
		named := heard(s, "ar-2", "f2", v1alpha1.AlertFiring)
		named.Spec.Alert.Name = "KubeDeploymentReplicasMismatch"
		other := heard(s, "ar-3", "f3", v1alpha1.AlertFiring)
		other.Status.Target.UID = "another"
		server.Create(ctx, named, other)
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertResolved))
	})

	It("is unknown where nothing was ever heard of it", func(ctx SpecContext) {
		s := set(ctx)
		Expect(server.Client.Delete(ctx, s.ar)).To(Succeed())
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertUnknown))
	})

	It("counts what a trigger saw only until its remediation has ended", func(ctx SpecContext) {
		s := set(ctx)
		resolve(ctx, s)
		seen := heard(s, "seen", "seen", v1alpha1.AlertFiring)
		seen.Spec.Alert.Source = v1alpha1.SourceWatch
		server.Create(ctx, seen)
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertFiring))
		seen.Status.Conditions = append(seen.Status.Conditions, metav1.Condition{
			Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue, Reason: string(v1alpha1.OutcomeRemediated), LastTransitionTime: metav1.Now(),
		})
		Expect(server.Client.Status().Update(ctx, seen)).To(Succeed())
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertResolved))
	})

	DescribeTable("is not kept firing by what a user writes", func(ctx SpecContext, fingerprint string) {
		s := set(ctx)
		resolve(ctx, s)
		forged := heard(s, "by-hand", fingerprint, v1alpha1.AlertFiring)
		forged.Spec.Alert.Source = v1alpha1.SourceManual
		server.Create(ctx, forged)
		Expect(state(ctx, s)).To(Equal(v1alpha1.AlertResolved))
	},
		Entry("without a fingerprint", ""),
		Entry("with a fingerprint of its own", "f2"),
		Entry("with the fingerprint of the alert that resolved", "f1"),
	)

	It("judges a person's remediation by its own word, whatever Alertmanager knows", func(ctx SpecContext) {
		s := set(ctx)
		s.deps.Alertmanager = says{err: errDown}
		s.ar.Spec.Alert.Source = v1alpha1.SourceManual
		judged, err := s.desk().Judge(ctx, s.planned())
		Expect(err).NotTo(HaveOccurred())
		Expect(judged.Refusals).To(BeEmpty())
	})
})

// blind is a resolver to which the API server gives no answer.
type blind struct{}

func (blind) Resolve(context.Context, string, v1alpha1.Alert) (evidence.Found, error) {
	return evidence.Found{}, errDown
}
