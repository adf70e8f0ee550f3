package actions

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// progressDeadlineExceeded is the reason a Deployment's controller gives when it gives up waiting.
const progressDeadlineExceeded = "ProgressDeadlineExceeded"

// rolledOut reports how far a changed template has come.
func rolledOut(ctx context.Context, world action.World, target action.Target) (action.Progress, error) {
	w, _, err := readWorkload(ctx, world, target)
	if err != nil {
		return lost(err)
	}
	switch obj := w.object.(type) {
	case *appsv1.Deployment:
		return deploymentProgress(ctx, world, obj)
	case *appsv1.StatefulSet:
		return statefulSetProgress(obj), nil
	case *appsv1.DaemonSet:
		return daemonSetProgress(obj), nil
	}
	return action.Progress{}, fmt.Errorf("judging the rollout of %s: %T is no workload", target, w.object)
}

// lost turns the refusal of a target that is gone, going or another one into a failure.
func lost(err error) (action.Progress, error) {
	var gone *action.NotApplicableError
	if errors.As(err, &gone) {
		return action.Progress{Failed: true, Message: gone.Why}, nil
	}
	return action.Progress{}, err
}

func deploymentProgress(ctx context.Context, world action.World, d *appsv1.Deployment) (action.Progress, error) {
	progress := stages(d.Generation, d.Status.ObservedGeneration, counts{
		wanted: replicas(d.Spec.Replicas), all: d.Status.Replicas, updated: d.Status.UpdatedReplicas, available: d.Status.AvailableReplicas,
	})
	stuck := deploymentCondition(d, appsv1.DeploymentProgressing)
	if progress.Done || stuck == nil || stuck.Status != corev1.ConditionFalse || stuck.Reason != progressDeadlineExceeded {
		return progress, nil
	}
	revisions, err := world.History.Revisions(ctx, d)
	if err != nil {
		return action.Progress{}, err
	}
	// The condition outlives the rollout it is about until the next one makes its
	// first step; the ReplicaSet it names tells them apart.
	if now := current(revisions); now != nil && strings.Contains(stuck.Message, strconv.Quote(now.Name)) {
		return action.Progress{Failed: true, Message: stuck.Message}, nil
	}
	return progress, nil
}

func statefulSetProgress(s *appsv1.StatefulSet) action.Progress {
	return stages(s.Generation, s.Status.ObservedGeneration, counts{
		wanted: replicas(s.Spec.Replicas), all: s.Status.Replicas, updated: s.Status.UpdatedReplicas, available: s.Status.AvailableReplicas,
	})
}

func daemonSetProgress(d *appsv1.DaemonSet) action.Progress {
	return stages(d.Generation, d.Status.ObservedGeneration, counts{
		wanted: d.Status.DesiredNumberScheduled, all: d.Status.CurrentNumberScheduled,
		updated: d.Status.UpdatedNumberScheduled, available: d.Status.NumberAvailable,
	})
}

// counts of a workload's pods.
type counts struct{ wanted, all, updated, available int32 }

// stages says which step of a rollout is awaited: seen, updated, old ones gone, available.
func stages(generation, observed int64, pods counts) action.Progress {
	switch {
	case observed < generation:
		return action.Progress{Message: "its controller has not seen the change yet"}
	case pods.updated < pods.wanted:
		return action.Progress{Message: fmt.Sprintf("%d of %d pods have the new template", pods.updated, pods.wanted)}
	case pods.all > pods.updated:
		return action.Progress{Message: fmt.Sprintf("%d pods of the old template are still there", pods.all-pods.updated)}
	case pods.available < pods.wanted:
		return action.Progress{Message: fmt.Sprintf("%d of %d new pods are available", pods.available, pods.wanted)}
	}
	return action.Progress{Done: true, Message: fmt.Sprintf("all %d pods have the new template and are available", pods.wanted)}
}

func deploymentCondition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == kind {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}
