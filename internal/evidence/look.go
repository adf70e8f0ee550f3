package evidence

import (
	"context"
	"errors"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// pageSize bounds every list; the rest of a longer one is named as missing.
const pageSize = 500

// look is one gathering under way. Reads that do not need each other run side
// by side; each writes a field of the snapshot that no other one writes.
type look struct {
	*Gatherer
	snapshot *analysis.Snapshot
	taken    int64          // of the memory that all gatherings share
	said     []corev1.Event // warnings of the namespace, which other gatherings read as well: not to be changed

	mu sync.Mutex // guards snapshot.Missing
}

// missing notes something that could not be read.
func (l *look) missing(m analysis.Missing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.snapshot.Missing = append(l.snapshot.Missing, m)
}

// unread notes why something could not be read.
func (l *look) unread(what string, err error, detail bool) {
	m := analysis.Missing{What: what, Why: redact.Line(err.Error(), 300), Forbidden: apierrors.IsForbidden(err), Detail: detail}
	if errors.Is(err, context.DeadlineExceeded) {
		m.Why = "not read within " + deadline.String()
	}
	m.Transient = !m.Forbidden && !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err)
	l.missing(m)
}

// target reads the target itself, that incarnation of it and no other.
func (l *look) target(ctx context.Context, obj client.Object) bool {
	target := l.snapshot.Target
	err := l.reader.Get(ctx, target.NamespacedName(), obj)
	switch {
	case apierrors.IsNotFound(err):
		l.missing(analysis.Missing{What: target.String(), Why: "it does not exist any more"})
	case err != nil:
		l.unread(target.String(), err, false)
	case target.UID != "" && obj.GetUID() != target.UID:
		l.missing(analysis.Missing{What: target.String(), Why: "another object of the same name took its place"})
	default:
		return true
	}
	return false
}

// list reads one page of objects of the target's namespace.
func (l *look) list(ctx context.Context, what string, list client.ObjectList, opts ...client.ListOption) bool {
	opts = append(opts, client.InNamespace(l.snapshot.Target.Namespace), client.Limit(pageSize))
	return l.complete(what, list, l.reader.List(ctx, list, opts...))
}

// complete notes what a list lacks, and reports whether it was read at all.
func (l *look) complete(what string, list client.ObjectList, err error) bool {
	if err != nil {
		l.unread(what, err, false)
		return false
	}
	if list.GetContinue() != "" {
		l.missing(analysis.Missing{What: "some of " + what, Why: "there are more than are read at once"})
	}
	return true
}

// selected lists what a workload's selector selects.
func (l *look) selected(ctx context.Context, what string, list client.ObjectList, selector *metav1.LabelSelector) bool {
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		l.unread(what, err, false)
		return false
	}
	return l.list(ctx, what, list, client.MatchingLabelsSelector{Selector: matches})
}

// warnings reads the namespace's warnings. One list finds those about pods that
// are gone already, too; a busy namespace may hold more than a page of them.
func (l *look) warnings(ctx context.Context) []corev1.Event {
	var list corev1.EventList
	err := l.shared.List(ctx, &list, client.InNamespace(l.snapshot.Target.Namespace), client.Limit(pageSize), client.UnsafeDisableDeepCopy,
		client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("type", corev1.EventTypeWarning)})
	if err != nil {
		l.unread("events about "+l.snapshot.Target.String(), err, true)
	}
	if list.Continue != "" {
		l.missing(analysis.Missing{What: "some events", Why: "there are more than are read at once", Detail: true})
	}
	return list.Items
}

// ownedBy keeps the objects that one of the owners controls.
func ownedBy[T any, O interface {
	*T
	client.Object
}](objects []T, owners map[types.UID]bool) []T {
	var owned []T
	for i := range objects {
		if owner := metav1.GetControllerOf(O(&objects[i])); owner != nil && owners[owner.UID] {
			owned = append(owned, objects[i])
		}
	}
	return owned
}

func uids(replicaSets []appsv1.ReplicaSet) map[types.UID]bool {
	set := make(map[types.UID]bool, len(replicaSets))
	for i := range replicaSets {
		set[replicaSets[i].UID] = true
	}
	return set
}
