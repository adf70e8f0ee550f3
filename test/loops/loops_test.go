// Package loops shows with the real operator, from the webhook to the verdict, what
// it must not change. An API server without controllers has the Deployments as their
// controllers and kubelets would leave them; its audit log has every write.
package loops

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const day = 24 * time.Hour

func TestLoops(t *testing.T) {
	s := open(t)
	t.Run("a healthy Deployment after a reboot of a node is not changed", func(t *testing.T) { reboot(t, s) })
	t.Run("a cure beside evicted pods is kept", func(t *testing.T) { evicted(t, s) })
	t.Run("no Deployment is changed when the database of ten of them fails", func(t *testing.T) { dependency(t, s) })
}

// reboot: all pods are ready. One of them came back 100 s ago from a reboot of its
// node, and its restart counter has counted five restarts in 40 days.
func reboot(t *testing.T, s *site) {
	t.Parallel()
	ctx, g, ns := t.Context(), NewWithT(t), s.tenant(t)
	w := s.deploy(ctx, ns, app{
		name: "ledger", replicas: 3,
		releases: []release{{age: 60 * day}, {age: 40 * day, pods: 3, ready: 3}},
	})
	s.pod(ctx, w, 2, podState{name: "a", age: 40 * day, ready: 9 * day})
	s.pod(ctx, w, 2, podState{name: "b", age: 40 * day, ready: 9 * day})
	s.pod(ctx, w, 2, podState{name: "c", age: 40 * day, ready: 95 * time.Second, restarts: 5, exitCode: 255, ended: 160 * time.Second})

	s.post(t, alert.Firing, labels{"alertname": "KubeDeploymentReplicasMismatch", "namespace": ns, "deployment": "ledger", "severity": "warning"})
	ar := s.settled(t, ns)

	if ar.Finished() {
		g.Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeNoActionNeeded))
	}
	g.Expect(ar.Status.Plan).To(BeNil(), "a plan for a Deployment that is healthy")
	g.Expect(s.statusWrites(ns)).To(BeNumerically(">", 0), "the audit log has to have what the operator writes")
	g.Expect(s.writes(ns)).To(BeEmpty())
}

// evicted: a release crashes beside a ready pod of the release before, and 14 pods
// of that one were evicted days ago. The undo cures it.
func evicted(t *testing.T, s *site) {
	t.Parallel()
	ctx, g, ns := t.Context(), NewWithT(t), s.tenant(t)
	w := s.deploy(ctx, ns, app{
		name: "checkout", replicas: 2, unavailable: 1, rolling: true,
		releases: []release{{age: 40 * day, pods: 1, ready: 1}, {age: 8 * time.Minute, pods: 1}},
	})
	s.pod(ctx, w, 1, podState{name: "a", age: 40 * day, ready: 40 * day})
	crashing := s.pod(ctx, w, 2, podState{name: "x", age: 8 * time.Minute, restarts: 6, exitCode: 1, ended: 40 * time.Second})
	s.evict(ctx, w, 1, 14)
	firing := labels{"alertname": "KubePodCrashLooping", "namespace": ns, "pod": crashing.Name, "container": "checkout", "severity": "warning"}

	s.post(t, alert.Firing, firing)
	s.await(t, 30*time.Second, "the release to be undone", func(ctx context.Context) (bool, error) {
		image, err := s.image(ctx, w)
		return image == w.imageOf(1), err
	})
	s.restore(t, w, crashing)
	s.post(t, alert.Resolved, firing)
	ar := s.finished(t, ns, 1, s.cured)[0]

	g.Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated))
	g.Expect(ar.Status.Diagnosis.Cause).To(Equal(v1alpha1.CauseCrashBadRelease))
	g.Expect(s.writes(ns)).To(Equal([]string{"patch deployments/checkout"}), "the cure, which is not taken back")
	g.Expect(s.image(ctx, w)).To(Equal(w.imageOf(1)))
}

// cured returns an error as soon as the operator wrote anything but the cure.
func (s *site) cured(ns string) error {
	if found := s.writes(ns); len(found) > 1 {
		return fmt.Errorf("the operator changed more than the cure does: %s", strings.Join(found, ", "))
	}
	return nil
}

// crashDependency is the cause of containers that crash because what they need does not answer.
const crashDependency v1alpha1.Cause = "CrashDependency"

// dependency: the database of ten Deployments failed 150 s ago. The releases of five
// of them are 40 days old. Those of the other five changed only the image's tag: four
// were rolled out 30 s before the database failed, and one just after.
func dependency(t *testing.T, s *site) {
	t.Parallel()
	ctx, g, ns := t.Context(), NewWithT(t), s.tenant(t)
	s.database(ctx, ns)
	var firing []labels
	var deployments []*workload
	for i := range 10 {
		w, about := s.client(ctx, ns, i)
		deployments, firing = append(deployments, w), append(firing, about)
	}

	s.post(t, alert.Firing, firing...)
	for _, ar := range s.finished(t, ns, len(firing), s.unchanged) {
		g.Expect(ar.Status.Outcome).To(Equal(v1alpha1.OutcomeEscalated), "%s", ar.Status.Target)
		g.Expect(ar.Status.Diagnosis.Cause).To(Equal(crashDependency), "%s", ar.Status.Target)
		g.Expect(ar.Status.Diagnosis.Summary).To(ContainSubstring("db." + ns + ".svc"))
	}

	g.Expect(s.statusWrites(ns)).To(BeNumerically(">=", len(firing)), "the audit log has to have what the operator writes")
	g.Expect(s.writes(ns)).To(BeEmpty())
	for _, w := range deployments {
		g.Expect(s.kubelet.Reads(w.pods[0], w.app.name)).To(BeNumerically(">", 0), "%s: its log was not read", w.app.name)
		g.Expect(s.image(ctx, w)).To(Equal(w.imageOf(2)))
	}
}

// down is how long ago the database of these loops failed, and backedOff is how long
// after the first of five crashes the kubelet counts the last one.
const (
	down      = 150 * time.Second
	backedOff = 74 * time.Second
)

// refusals are how programs say that the database refuses the connection.
var refusals = []string{
	"fatal: dial tcp %s: connect: connection refused",
	"org.postgresql.util.PSQLException: Connection to %s refused. Check that the hostname and port are correct",
	"sqlalchemy.exc.OperationalError: could not connect to %s: Connection refused",
}

// client makes the i-th Deployment that needs the database, and returns it with the
// labels of the alert about it.
func (s *site) client(ctx context.Context, ns string, i int) (*workload, labels) {
	a := app{name: "client-" + string(rune('a'+i)), replicas: int32(1 + i%3), lost: down}
	last, lost := release{age: 40 * day, pods: a.replicas}, down
	switch {
	case i == 9: // its pods were never ready
		last.age, lost, a.rolling = down-10*time.Second, 0, true
	case i%2 == 1:
		last.age = down + 30*time.Second
	}
	if i%4 == 3 {
		a.strategy = appsv1.RecreateDeploymentStrategyType
	}
	a.releases = []release{{age: 60 * day}, last}
	w := s.deploy(ctx, ns, a)
	for j := range a.replicas {
		pod := s.pod(ctx, w, 2, podState{
			name: string('a' + j), age: last.age, lost: lost, restarts: 4, exitCode: 1, ended: min(down, last.age-2*time.Second) - backedOff,
		})
		s.kubelet.Log(pod, a.name, "starting", "connecting to the database", fmt.Sprintf(refusals[i%len(refusals)], "db."+ns+".svc:5432"))
	}
	if i%3 == 2 {
		return w, labels{"alertname": "KubeDeploymentReplicasMismatch", "namespace": ns, "deployment": a.name, "severity": "warning"}
	}
	return w, labels{"alertname": "KubePodCrashLooping", "namespace": ns, "pod": w.pods[0].Name, "container": a.name, "severity": "warning"}
}
