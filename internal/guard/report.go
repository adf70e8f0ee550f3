package guard

import (
	"context"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Reasons of events about the guards that are no reasons of conditions.
const (
	eventReplaced = "GuardsReplaced"
	eventRestored = "GuardsRestored"
)

// Reporter watches the guards while its replica leads: a gauge says which are in force, and
// an event in the operator's namespace says when that changes.
type Reporter struct {
	watcher   *Watcher
	live      client.Reader
	events    events.EventRecorder
	namespace string
	inForce   *prometheus.GaugeVec

	last *State
}

// NewReporter returns a reporter that leaves its events in the operator's namespace.
func NewReporter(w *Watcher, live client.Reader, recorder events.EventRecorder, namespace string, reg prometheus.Registerer) *Reporter {
	r := &Reporter{watcher: w, live: live, events: recorder, namespace: namespace, inForce: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kubernaut_guards_in_force",
		Help: "Whether a guard is as shipped (1), or missing or altered (0), by guard. The leader knows.",
	}, []string{"guard"})}
	reg.MustRegister(r.inForce)
	return r
}

// Cached are the objects that the reporter watches, restricted to the guards.
func Cached() map[client.Object]cache.ByObject {
	labelled, _ := labels.NewRequirement(Label, selection.Exists, nil) // the label is a valid key
	guards := cache.ByObject{Label: labels.NewSelector().Add(*labelled)}
	return map[client.Object]cache.ByObject{
		&admissionregistrationv1.ValidatingAdmissionPolicy{}:        guards,
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}: guards,
	}
}

// SetupWithManager registers the reporter. It looks once at the start: where every guard is
// missing, no object leads to it.
func (r *Reporter) SetupWithManager(mgr ctrl.Manager) error {
	all := reconcile.Request{}
	enqueue := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{all} })
	atStart := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		queue.Add(all)
		return nil
	})
	return ctrl.NewControllerManagedBy(mgr).
		Named("guards").
		Watches(&admissionregistrationv1.ValidatingAdmissionPolicy{}, enqueue).
		Watches(&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, enqueue).
		WatchesRawSource(atStart).
		Complete(r)
}

// Reconcile reads the guards past the cache, and says how they are.
func (r *Reporter) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	found, err := r.watcher.Look(ctx, r.live)
	if err != nil {
		return reconcile.Result{}, err
	}
	for _, name := range order {
		value := 1.0
		if slices.Contains(found.Missing, name) {
			value = 0
		}
		r.inForce.WithLabelValues(name).Set(value)
	}
	if kind, reason, says := news(r.last, found.State); reason != "" {
		namespace := &corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Namespace: r.namespace, Name: r.namespace}
		r.events.Eventf(namespace, nil, kind, reason, "WatchGuards", "%s", says)
	}
	r.last = &found.State
	return reconcile.Result{}, nil
}

// news returns the event about a change; no reason: nothing changed. It is pure.
func news(before *State, now State) (kind, reason, says string) {
	faults := strings.Join(now.Faults, "; ")
	switch {
	case faults != "" && (before == nil || strings.Join(before.Faults, "; ") != faults):
		return corev1.EventTypeWarning, v1alpha1.ReasonGuardMissing, "No approval counts, and nothing is done, until every guard is back: " + faults
	case before == nil, faults != "", before.Epoch == now.Epoch:
		return "", "", ""
	case len(before.Faults) > 0:
		return corev1.EventTypeNormal, eventRestored, "All guards are in force again. " + askedAgain
	}
	return corev1.EventTypeWarning, eventReplaced, "The guards were replaced. " + askedAgain
}

const askedAgain = "Once they have been unchanged for 30s, approvals are asked for again and alerts are confirmed at Alertmanager; runs made by hand must be made again."
