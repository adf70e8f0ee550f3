package diagnosis

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// untilCached is how long a conflict is retried within one pass: the cache has
// the newer object long before, and the answer was paid for.
var untilCached = wait.Backoff{Duration: 20 * time.Millisecond, Factor: 1.5, Jitter: 0.1, Steps: 12}

// write changes our part of the status. On a conflict it reads the object again
// and changes that one, so that an answer is never lost; an object that no longer
// wants it, or is about another target by now, is left alone.
func (r *Reconciler) write(ctx context.Context, asked *v1alpha1.AlertRemediation, change func(*v1alpha1.AlertRemediation)) error {
	ar := asked
	err := retry.RetryOnConflict(untilCached, func() error {
		if ar == nil {
			ar = &v1alpha1.AlertRemediation{}
			if err := r.client.Get(ctx, client.ObjectKeyFromObject(asked), ar); err != nil {
				return client.IgnoreNotFound(err)
			}
		}
		if ar.UID != asked.UID || !wanted(ar) || targetUID(ar) != targetUID(asked) {
			return nil
		}
		err := r.put(ctx, ar, change)
		ar = nil // after a conflict it is read again
		return err
	})
	if err != nil {
		return fmt.Errorf("writing the diagnosis of %s/%s: %w", asked.Namespace, asked.Name, err)
	}
	return nil
}

// put writes a changed status, if it changed, unless somebody wrote since it was read.
func (r *Reconciler) put(ctx context.Context, ar *v1alpha1.AlertRemediation, change func(*v1alpha1.AlertRemediation)) error {
	changed := ar.DeepCopy()
	change(changed)
	if equality.Semantic.DeepEqual(ar.Status, changed.Status) {
		return nil
	}
	return r.client.Status().Update(ctx, changed)
}

func targetUID(ar *v1alpha1.AlertRemediation) types.UID {
	if ar.Status.Target == nil {
		return ""
	}
	return ar.Status.Target.UID
}

// record writes an answer into the status.
func record(ar *v1alpha1.AlertRemediation, answer v1alpha1.Diagnosis, now time.Time) {
	status, reason := metav1.ConditionTrue, v1alpha1.ReasonCauseFound
	switch answer.Cause {
	case v1alpha1.CauseHealthy:
		reason = v1alpha1.ReasonNothingWrong
	case v1alpha1.CauseNotEnoughEvidence:
		status, reason = metav1.ConditionFalse, v1alpha1.ReasonNotEnoughEvidence
	}
	ar.Status.Diagnosis = &answer
	set(ar, metav1.Condition{Status: status, Reason: reason, Message: answer.Summary}, now)
}

// putOff says that it is too early, and what is known so far.
func putOff(ar *v1alpha1.AlertRemediation, summary string, now time.Time) {
	set(ar, metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRunning, Message: "too early to tell: " + summary}, now)
}

func set(ar *v1alpha1.AlertRemediation, condition metav1.Condition, now time.Time) {
	condition.Type = v1alpha1.Diagnosed
	condition.Message = redact.Line(condition.Message, 1024)
	condition.ObservedGeneration = ar.Generation
	condition.LastTransitionTime = metav1.NewTime(now)
	meta.SetStatusCondition(&ar.Status.Conditions, condition)
}
