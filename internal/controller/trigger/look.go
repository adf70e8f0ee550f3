package trigger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/admission"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// What a policy that says nothing means; the schema has the same.
const (
	shippedHoldFor     = 30 * time.Second
	shippedRepeatAfter = time.Hour
)

// secondLook is the least time between the two looks at a trouble that a remediation
// needs: there is no alert and no person who asks for one.
const secondLook = 2 * time.Second

// often is how soon a trouble that is being remediated is looked at again, and
// refusedRetry one whose remediation the API server does not take.
const (
	often        = 10 * time.Second
	refusedRetry = time.Minute
)

// look ensures that a trouble which an object has shown for long enough, often
// enough, has a remediation: it must be unwell when it is seen first, and again when
// the remediation is made.
func (r *Reconciler) look(ctx context.Context, s subject, obj client.Object) (ctrl.Result, error) {
	if s.kind != nodes && !r.config.allows(s.Namespace) {
		return ctrl.Result{}, nil
	}
	triggers, err := r.triggers(ctx, s.Namespace)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.Clock.Now()
	before, after := r.memory[s], map[v1alpha1.TriggerKind]memory{}
	var soonest ctrl.Result
	for _, shown := range signs(obj, now) {
		at := slices.IndexFunc(triggers, func(t v1alpha1.PolicyTrigger) bool { return t.Kind == shown.kind })
		if at < 0 || shown.occurrences < least(triggers[at]) {
			continue
		}
		known, err := r.track(ctx, sighting{obj, shown, triggers[at]}, before[shown.kind])
		if err != nil {
			return ctrl.Result{}, err
		}
		if known.since.IsZero() {
			continue
		}
		after[shown.kind] = known
		soonest = sooner(soonest, ctrl.Result{RequeueAfter: known.next.Sub(now)})
	}
	r.remember(s, after)
	return soonest, nil
}

// sighting is a sign that an object shows, and the trigger that asks for it.
type sighting struct {
	obj client.Object
	sign
	trigger v1alpha1.PolicyTrigger
}

// track returns what is remembered of a sign, and makes a remediation of it once that is
// due. One that was never seen while the object was unwell is not remembered.
func (r *Reconciler) track(ctx context.Context, s sighting, known memory) (memory, error) {
	now := r.Clock.Now()
	switch {
	case known.since.IsZero() && s.past:
		return memory{}, nil
	case known.since.IsZero():
		return memory{since: now, next: now.Add(max(given(s.trigger.HoldFor, shippedHoldFor), secondLook))}, nil
	case now.Before(known.next):
		return known, nil
	case s.past:
		known.next = now.Add(often)
		return known, nil
	}
	wait, err := r.raise(ctx, s.obj, s.sign, given(s.trigger.RepeatAfter, shippedRepeatAfter))
	known.next = now.Add(wait)
	return known, err
}

func (r *Reconciler) remember(s subject, signs map[v1alpha1.TriggerKind]memory) {
	if len(signs) == 0 {
		delete(r.memory, s)
		return
	}
	r.memory[s] = signs
}

// triggers returns those of the policies of a namespace or, where it has none, of
// the operator's default. What has no namespace is the operator's own. Of two for
// one trouble the first policy's counts, by name.
func (r *Reconciler) triggers(ctx context.Context, namespace string) ([]v1alpha1.PolicyTrigger, error) {
	var list v1alpha1.RemediationPolicyList
	namespace = cmp.Or(namespace, r.config.Namespace)
	if err := r.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the RemediationPolicies of namespace %s: %w", namespace, err)
	}
	if len(list.Items) == 0 {
		var shipped v1alpha1.RemediationPolicy
		err := r.Client.Get(ctx, types.NamespacedName{Namespace: r.config.Namespace, Name: v1alpha1.DefaultPolicyName}, &shipped)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading RemediationPolicy %s/%s: %w", r.config.Namespace, v1alpha1.DefaultPolicyName, err)
		}
		return shipped.Spec.Triggers, nil
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.RemediationPolicy) int { return cmp.Compare(a.Name, b.Name) })
	var all []v1alpha1.PolicyTrigger
	for i := range list.Items {
		all = append(all, list.Items[i].Spec.Triggers...)
	}
	return all, nil
}

// raise ensures that a sign has a remediation, unless it had one lately. It
// returns when there is something new to find out.
func (r *Reconciler) raise(ctx context.Context, obj client.Object, shown sign, repeatAfter time.Duration) (time.Duration, error) {
	target, err := r.Resolver.Climb(ctx, reference(obj, shown.kind))
	if errors.Is(err, evidence.ErrNoTarget) {
		return often, nil // it is going, or its owner is
	}
	if err != nil {
		return 0, fmt.Errorf("finding the owner of what shows %s: %w", shown.kind, err)
	}
	wanted := r.remediation(target, shown)
	now := r.Clock.Now()
	known, err := r.known(ctx, wanted)
	if err != nil {
		return 0, err
	}
	for i := range known {
		if quiet := quietFor(&known[i], repeatAfter, now); quiet > 0 {
			return quiet, nil
		}
	}
	err = r.Client.Create(ctx, wanted)
	switch {
	case apierrors.IsAlreadyExists(err):
		return often, nil // of this very second
	case admission.Terminating(err):
		return often, nil // it is going, with all that is in it
	case admission.Refuses(err):
		r.Events.Eventf(obj, nil, corev1.EventTypeWarning, "NoRemediation", "Look", "%s is seen, and no AlertRemediation can be made for it: %s", shown.kind, admission.Why(err))
		return refusedRetry, nil
	case err != nil:
		return 0, fmt.Errorf("creating AlertRemediation %s: %w", klog.KObj(wanted), err)
	}
	log.FromContext(ctx).Info("remediation created", "alertRemediation", klog.KObj(wanted), "sign", shown.kind)
	return often, nil
}

// known returns the remediations that triggers made for this trouble of this
// object, as the API server has them.
func (r *Reconciler) known(ctx context.Context, like *v1alpha1.AlertRemediation) ([]v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	err := r.Live.List(ctx, &list, client.InNamespace(like.Namespace), client.MatchingFields{"spec.alert.fingerprint": like.Spec.Alert.Fingerprint})
	if err != nil {
		return nil, fmt.Errorf("looking for AlertRemediations of %s: %w", like.Spec.Target, err)
	}
	return slices.DeleteFunc(list.Items, func(ar v1alpha1.AlertRemediation) bool { return ar.Spec.Alert.Source != v1alpha1.SourceWatch }), nil
}

// quietFor is how long a remediation that exists is enough.
func quietFor(ar *v1alpha1.AlertRemediation, repeatAfter time.Duration, now time.Time) time.Duration {
	if !ar.Finished() {
		return often
	}
	ended := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).LastTransitionTime
	return ended.Add(repeatAfter).Sub(now)
}

// remediation returns the object that a sign becomes. Its labels name the workload
// and never a pod, so that all its pods' signs are one alert.
func (r *Reconciler) remediation(target v1alpha1.TargetReference, shown sign) *v1alpha1.AlertRemediation {
	labels := map[string]string{"alertname": named[shown.kind], label(target.Kind): target.Name}
	if target.Namespace != "" {
		labels["namespace"] = target.Namespace
	}
	if shown.container != "" {
		labels["container"] = shown.container
	}
	severity := v1alpha1.SeverityWarning
	if shown.kind == v1alpha1.TriggerNodeNotReady {
		severity = v1alpha1.SeverityCritical
	}
	now, fingerprint := r.Clock.Now().UTC().Truncate(time.Second), alert.Fingerprint(labels)
	return &v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cmp.Or(target.Namespace, r.config.Namespace),
			Name:      alert.ObjectName(r.config.Cluster, labels, now),
			Labels:    map[string]string{v1alpha1.FingerprintLabel: fingerprint},
		},
		Spec: v1alpha1.AlertRemediationSpec{
			Alert: v1alpha1.Alert{
				Source: v1alpha1.SourceWatch, Cluster: r.config.Cluster, Fingerprint: fingerprint, Name: named[shown.kind], Severity: severity,
				Labels: labels, Annotations: map[string]string{"summary": redact.Line(shown.says, 1024)}, StartsAt: metav1.NewTime(now),
			},
			Target: &target.ObjectReference,
		},
	}
}

// label is the one that names an object of a kind.
func label(kind string) string {
	if kind == "Job" {
		return "job_name"
	}
	return strings.ToLower(kind)
}

func reference(obj client.Object, kind v1alpha1.TriggerKind) v1alpha1.ObjectReference {
	ref := v1alpha1.ObjectReference{APIVersion: "v1", Kind: shownBy[kind], Namespace: obj.GetNamespace(), Name: obj.GetName()}
	if ref.Kind == deployments {
		ref.APIVersion = "apps/v1"
	}
	return ref
}

func given(d *metav1.Duration, shipped time.Duration) time.Duration {
	if d == nil {
		return shipped
	}
	return d.Duration
}
