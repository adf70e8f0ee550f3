package bench

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// idleFor may be made shorter to try whether it works; the figure is defined by ten minutes.
var idleFor = flag.Duration("idle", 10*time.Minute, "how long the operator is left alone before its memory is read")

// BenchmarkResident: the leader's memory, idle, beside an everyday cluster and a
// huge one. A policy has all five triggers, so that every pod, Deployment and node
// is watched and cached; one of them led to a whole remediation before: the
// operator saw a crash loop by itself, undid the rollout as the tenant, and saw
// that it helped. The pods are as the API server stores them, with a short spec and
// status; there are no nodes.
//
//	go test -run '^$' -bench Resident -benchtime 1x -timeout 60m ./test/bench
func BenchmarkResident(b *testing.B) {
	for _, size := range []struct {
		name, figure string
		crowd        crowd
		bound        against
	}{
		{"500 pods", "rss_500_pods", crowd{namespaces: 1, deployments: 100, podsEach: 5, eventsEach: 4}, below(64)},
		{"50000 pods", "rss_50000_pods", crowd{namespaces: 20, deployments: 50, podsEach: 50}, below(512)},
	} {
		b.Run(size.name, func(b *testing.B) {
			s := open(b)
			for b.Loop() {
				s.gather(b, size.crowd)
				s.heal(b)
				rss := s.idle(b, *idleFor)
				note(b, size.figure, figure{rss, "MiB", size.bound.noting(fmt.Sprintf("%s after a remediation", *idleFor))})
			}
		})
	}
}

// crowd is how many objects a cluster holds.
type crowd struct{ namespaces, deployments, podsEach, eventsEach int }

// gather fills namespaces, all at a time.
func (s *site) gather(b *testing.B, c crowd) {
	b.Helper()
	group, ctx := errgroup.WithContext(b.Context())
	for range c.namespaces {
		ns := s.Namespace(ctx)
		group.Go(func() error {
			s.Crowd(ctx, ns, c.deployments, c.podsEach, c.eventsEach)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// heal has the operator see a workload that crashes and heal it, from its trigger
// to the verdict that it helped.
func (s *site) heal(b *testing.B) {
	b.Helper()
	ns := s.healable(b, watchful)
	s.CrashLoop(b.Context(), ns, "shop")
	var list v1alpha1.AlertRemediationList
	s.await(b, 5*time.Minute, "a crash loop to be seen and healed", func(ctx context.Context) (bool, error) {
		if err := s.rollBack(ctx, ns, "shop"); err != nil {
			return false, err
		}
		err := s.Client.List(ctx, &list, client.InNamespace(ns))
		return len(list.Items) == 1 && list.Items[0].Finished(), err
	})
	ar := &list.Items[0]
	if ar.Spec.Alert.Source != v1alpha1.SourceWatch || ar.Status.Outcome != v1alpha1.OutcomeRemediated {
		b.Fatalf("the crash loop came from %s and ended as %s: %s", ar.Spec.Alert.Source, ar.Status.Outcome,
			meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).Message)
	}
}

// watchful makes a policy look for every trouble that the operator sees by itself.
func watchful(policy *v1alpha1.RemediationPolicy) {
	for _, kind := range []v1alpha1.TriggerKind{
		v1alpha1.TriggerCrashLoop, v1alpha1.TriggerOOMKill, v1alpha1.TriggerImagePull, v1alpha1.TriggerStuckRollout, v1alpha1.TriggerNodeNotReady,
	} {
		policy.Spec.Triggers = append(policy.Spec.Triggers, v1alpha1.PolicyTrigger{Kind: kind, HoldFor: &metav1.Duration{Duration: time.Second}})
	}
	policy.Spec.Verification.Window = &metav1.Duration{Duration: time.Second}
}

// rollBack plays the Deployment's controller once the operator has undone the
// rollout of a crash loop: the first release is the newest revision, and the pod
// that crashed is gone.
func (s *site) rollBack(ctx context.Context, ns, name string) error {
	dep := &appsv1.Deployment{}
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, dep); err != nil {
		return err
	}
	good, bad := build.ReplicaSetOf(dep, 1), build.ReplicaSetOf(dep, 2)
	for _, rs := range []*appsv1.ReplicaSet{good, bad} {
		if err := s.Client.Get(ctx, client.ObjectKeyFromObject(rs), rs); err != nil {
			return err
		}
	}
	if dep.Spec.Template.Spec.Containers[0].Image != good.Spec.Template.Spec.Containers[0].Image || dep.Status.ObservedGeneration == dep.Generation {
		return nil // not yet, or done
	}
	const revision = "deployment.kubernetes.io/revision"
	dep.Annotations[revision], good.Annotations[revision], bad.Spec.Replicas = "3", "3", new(int32(0))
	for _, obj := range []client.Object{dep, good, bad} {
		if err := s.Client.Update(ctx, obj); err != nil {
			return err
		}
	}
	if err := s.Client.Delete(ctx, build.PodOf(bad, "x"), client.GracePeriodSeconds(0)); err != nil {
		return err
	}
	bad.Status = appsv1.ReplicaSetStatus{ObservedGeneration: bad.Generation}
	dep.Status = appsv1.DeploymentStatus{ObservedGeneration: dep.Generation, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2}
	return errors.Join(s.Client.Status().Update(ctx, bad), s.Client.Status().Update(ctx, dep))
}

// idle waits, and returns the resident memory after that, in MiB.
func (s *site) idle(b *testing.B, d time.Duration) float64 {
	b.Helper()
	b.Logf("%s: idle for %s", metav1.Now().UTC().Format(time.TimeOnly), d)
	select {
	case <-time.After(d): // the figure is defined by this while
	case <-b.Context().Done():
		b.Fatal(context.Cause(b.Context()))
	case <-s.operator.Exited:
		b.Fatal("the operator ended by itself: " + s.operator.End())
	}
	now, peak, err := s.operator.Resident()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	return float64(now) / (1 << 20)
}

// crashLoops makes so many workloads that crash, and returns the alerts about them.
func (s *site) crashLoops(b *testing.B, ns string, many int) []map[string]string {
	b.Helper()
	var alerts []map[string]string
	for i := range many {
		alerts = append(alerts, s.CrashLoop(b.Context(), ns, "shop-"+strconv.Itoa(i)))
	}
	return alerts
}
