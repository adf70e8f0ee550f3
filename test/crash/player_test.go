//go:build e2e

package crash

import (
	"context"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

const (
	shop      = "shop"
	goodImage = "example.test/shop:1"
	badImage  = "example.test/shop:2" // crashes at its start

	revisionAnnotation = "deployment.kubernetes.io/revision"
)

// player plays the Deployment's controller and the kubelet for one Deployment:
// two pods of the good release that serve, and one of the bad that crashes for
// as long as it is asked for.
type player struct {
	client client.Client
	dep    *appsv1.Deployment
	good   *appsv1.ReplicaSet
	bad    *appsv1.ReplicaSet

	sick     bool // the good release does not serve either, for a reason of its own
	revision int  // the last number that was given
	played   shape
}

// shape is what decides about the statuses.
type shape struct {
	generation int64
	image      string
	sick       bool
}

// release creates the Deployment with its good release and rolls the bad one out.
func release(ctx context.Context, c client.Client, namespace string) (*player, error) {
	p := &player{client: c, dep: build.Deployment(namespace, shop).Replicas(2).Image(goodImage).Obj(), revision: 1}
	if err := c.Create(ctx, p.dep); err != nil {
		return nil, err
	}
	p.good = build.ReplicaSetOf(p.dep, 1)
	if err := c.Create(ctx, p.good); err != nil {
		return nil, err
	}
	p.played.image = goodImage
	if err := p.show(ctx, badImage); err != nil {
		return nil, err
	}
	p.bad = build.ReplicaSetOf(p.dep, 2)
	if err := c.Create(ctx, p.bad); err != nil {
		return nil, err
	}
	for _, suffix := range []string{"a", "b"} {
		if err := c.Create(ctx, build.PodOf(p.good, suffix)); err != nil {
			return nil, err
		}
	}
	return p, p.play(ctx)
}

// show asks for a release, as whoever deploys.
func (p *player) show(ctx context.Context, image string) error {
	return p.update(ctx, p.dep, func() { p.dep.Spec.Template.Spec.Containers[0].Image = image })
}

// play brings everything into the shape that follows from the template. The
// Deployment's own status comes last: whoever reads it finds the rest as it says.
func (p *player) play(ctx context.Context) error {
	if err := p.client.Get(ctx, client.ObjectKeyFromObject(p.dep), p.dep); err != nil {
		return err
	}
	image := p.dep.Spec.Template.Spec.Containers[0].Image
	if image != p.played.image {
		p.revision++
		if err := p.number(ctx); err != nil {
			return err
		}
	}
	now := shape{p.dep.Generation, image, p.sick}
	if now == p.played {
		return nil
	}
	for _, part := range []func(context.Context, shape) error{p.playPods, p.playSets, p.playDeployment} {
		if err := part(ctx, now); err != nil {
			return fmt.Errorf("playing the cluster: %w", err)
		}
	}
	p.played = now
	return nil
}

// number writes the Deployment's revision, which makes another generation of it.
func (p *player) number(ctx context.Context) error {
	return p.update(ctx, p.dep, func() {
		metav1.SetMetaDataAnnotation(&p.dep.ObjectMeta, revisionAnnotation, strconv.Itoa(p.revision))
	})
}

func (p *player) playPods(ctx context.Context, now shape) error {
	for _, suffix := range []string{"a", "b"} {
		pod := build.PodOf(p.good, suffix)
		if err := p.status(ctx, pod, func() { pod.Status = serving(pod.Status, !now.sick) }); err != nil {
			return err
		}
	}
	crashing := build.PodOf(p.bad, "a")
	if now.image != badImage {
		return client.IgnoreNotFound(p.client.Delete(ctx, crashing, client.GracePeriodSeconds(0)))
	}
	if err := client.IgnoreAlreadyExists(p.client.Create(ctx, crashing)); err != nil {
		return err
	}
	return p.status(ctx, crashing, func() { crashing.Status = looping(crashing.Status) })
}

// serving is the status of a pod of the good release.
func serving(was corev1.PodStatus, ready bool) corev1.PodStatus {
	state := corev1.ConditionFalse
	if ready {
		state = corev1.ConditionTrue
	}
	if len(was.Conditions) == 1 && was.Conditions[0].Status == state {
		return was
	}
	started := metav1.NewTime(time.Now().Add(-time.Hour))
	return corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: state, LastTransitionTime: metav1.Now()}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: shop, Image: goodImage, Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		}},
	}
}

// looping is the status of a pod of the bad release.
func looping(was corev1.PodStatus) corev1.PodStatus {
	if len(was.ContainerStatuses) > 0 {
		return was
	}
	ended := metav1.NewTime(time.Now().Add(-20 * time.Second))
	return corev1.PodStatus{
		Phase:      corev1.PodRunning,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: ended}},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: shop, Image: badImage, RestartCount: 4,
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off restarting failed container"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: 1, Reason: "Error", StartedAt: metav1.NewTime(ended.Add(-time.Second)), FinishedAt: ended,
			}},
		}},
	}
}

func (p *player) playSets(ctx context.Context, now shape) error {
	for _, set := range []struct {
		obj     *appsv1.ReplicaSet
		image   string
		all, ok int32
	}{
		{p.good, goodImage, 2, now.serving()},
		{p.bad, badImage, now.crashing(), 0},
	} {
		rs := set.obj
		err := p.update(ctx, rs, func() {
			rs.Spec.Replicas = &set.all
			if number := strconv.Itoa(p.revision); set.image == now.image && rs.Annotations[revisionAnnotation] != number {
				rs.Annotations[revisionAnnotation+"-history"] = rs.Annotations[revisionAnnotation]
				rs.Annotations[revisionAnnotation] = number
			}
		})
		if err != nil {
			return err
		}
		err = p.status(ctx, rs, func() {
			rs.Status = appsv1.ReplicaSetStatus{Replicas: set.all, FullyLabeledReplicas: set.all, ReadyReplicas: set.ok, AvailableReplicas: set.ok, ObservedGeneration: rs.Generation}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s shape) serving() int32 {
	if s.sick {
		return 0
	}
	return 2
}

func (s shape) crashing() int32 {
	if s.image == badImage {
		return 1
	}
	return 0
}

func (p *player) playDeployment(ctx context.Context, now shape) error {
	return p.status(ctx, p.dep, func() {
		updated, reason := int32(2), "NewReplicaSetAvailable"
		if now.image == badImage {
			updated, reason = 1, "ReplicaSetUpdated"
		}
		available := corev1.ConditionTrue
		if now.sick {
			available = corev1.ConditionFalse
		}
		p.dep.Status = appsv1.DeploymentStatus{
			ObservedGeneration: now.generation, Replicas: 2 + now.crashing(), UpdatedReplicas: updated,
			ReadyReplicas: now.serving(), AvailableReplicas: now.serving(), UnavailableReplicas: 2 + now.crashing() - now.serving(),
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: available, Reason: "Counted", LastTransitionTime: metav1.Now()},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: reason, LastUpdateTime: metav1.Now(), LastTransitionTime: metav1.Now()},
			},
		}
	})
}

// update writes an object anew from what is there, however often somebody else writes in between.
func (p *player) update(ctx context.Context, obj client.Object, change func()) error {
	return p.put(ctx, obj, change, func() error { return p.client.Update(ctx, obj) })
}

// status does the same with its status.
func (p *player) status(ctx context.Context, obj client.Object, change func()) error {
	return p.put(ctx, obj, change, func() error { return p.client.Status().Update(ctx, obj) })
}

func (p *player) put(ctx context.Context, obj client.Object, change func(), write func() error) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := p.client.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err
		}
		change()
		return write()
	})
}
