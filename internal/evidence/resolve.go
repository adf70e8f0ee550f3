package evidence

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// ErrNoTarget means that an alert names nothing, or nothing that exists. An
// object that could not be read is another error: it may well exist.
var ErrNoTarget = errors.New("no target")

// maxClimb is how many owners are followed; built-in kinds need two.
const maxClimb = 5

// Found is what an alert is about.
type Found struct {
	// Subject is the object its labels name.
	Subject v1alpha1.ObjectReference
	// Target is the owner at the top of it.
	Target v1alpha1.TargetReference
	// Gone is the subject: only its name says that it was the target's.
	Gone bool
}

// Resolver finds what an alert is about.
type Resolver struct {
	reader client.Reader
	// clusterScoped is the namespace whose alerts may be about objects without one; empty: no namespace's.
	clusterScoped string
}

// NewResolver returns a resolver that reads with reader.
func NewResolver(reader client.Reader) *Resolver {
	return &Resolver{reader: reader}
}

// WithClusterScope returns a resolver that finds objects without a namespace for the
// alerts of one namespace, the operator's. For an alert of any other one the resolver
// does not even look: its words would tell whether a Node of that name exists.
func (r *Resolver) WithClusterScope(namespace string) *Resolver {
	return &Resolver{reader: r.reader, clusterScoped: namespace}
}

// Resolve finds the object in the namespace that the alert is about, and its owner
// at the top: the first of the objects its labels name that exists.
func (r *Resolver) Resolve(ctx context.Context, namespace string, a v1alpha1.Alert) (Found, error) {
	return r.first(ctx, namespace, a, false)
}

// Trace finds what Resolve finds, and where the alert is about a pod that is gone, the
// workload it was of: alerts come minutes after the fault, and by then a pod may have
// been replaced. Controllers name pods after their workload; where that leads to
// several workloads, or to none that was there when the alert began, there is no target.
func (r *Resolver) Trace(ctx context.Context, namespace string, a v1alpha1.Alert) (Found, error) {
	return r.first(ctx, namespace, a, true)
}

// formerOwner is a workload that a pod which is gone can have been of.
type formerOwner struct {
	target    v1alpha1.TargetReference
	exporting alert.Exporting
}

// formerOwners returns the workloads that a pod which is gone can have been of. What
// was made after the alert began is another one of that name.
func (r *Resolver) formerOwners(ctx context.Context, pod v1alpha1.ObjectReference, began metav1.Time) ([]formerOwner, error) {
	var owners []formerOwner
	for _, ref := range namesakes(pod) {
		top, obj, err := r.climb(ctx, ref)
		switch {
		case errors.Is(err, ErrNoTarget):
		case err != nil:
			return nil, err
		case !began.IsZero() && obj.GetCreationTimestamp().After(began.Time):
		case !slices.ContainsFunc(owners, func(o formerOwner) bool { return o.target == top }):
			owners = append(owners, formerOwner{top, alert.ExportingByLabels(obj.GetLabels())})
		}
	}
	return owners, nil
}

// Forms of the names that controllers give to pods. Random suffixes are of the letters
// of k8s.io/apimachinery/pkg/util/rand, without vowels; the hash of a Deployment's
// template is a number of 32 bits, its digits put into those letters (SafeEncodeString
// there). That keeps it apart from the minute in the name of a CronJob's Job, and the
// index in that of a Job's pod. Names that are cut off, because a Deployment's has more
// than 46 characters, are of none of these forms.
var (
	ofReplicaSet = regexp.MustCompile(`^(.+)-[bcdf4-9]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
	random       = regexp.MustCompile(`^(.+)-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
	ordinal      = regexp.MustCompile(`^(.+)-[0-9]{1,9}$`)
)

// namesakes returns the workloads that a pod can be of by its name. A Deployment's
// ReplicaSet need not be there any more, the Deployment itself is enough.
func namesakes(pod v1alpha1.ObjectReference) []v1alpha1.ObjectReference {
	var all []v1alpha1.ObjectReference
	for _, form := range []struct {
		name  *regexp.Regexp
		kinds []string
	}{
		{ofReplicaSet, []string{"Deployment"}},
		{random, []string{"ReplicaSet", "DaemonSet", "Job"}},
		{ordinal, []string{"StatefulSet"}},
	} {
		m := form.name.FindStringSubmatch(pod.Name)
		if m == nil {
			continue
		}
		for _, kind := range form.kinds {
			all = append(all, v1alpha1.ObjectReference{APIVersion: apiVersions[kind], Kind: kind, Namespace: pod.Namespace, Name: m[1]})
		}
	}
	return all
}

// Climb follows the controlling owners of an object to the top, as far as the
// kinds are Kubernetes' own: what belongs to a custom resource is changed
// through its workload, or not at all.
func (r *Resolver) Climb(ctx context.Context, ref v1alpha1.ObjectReference) (v1alpha1.TargetReference, error) {
	top, _, err := r.climb(ctx, ref)
	return top, err
}

func (r *Resolver) climb(ctx context.Context, ref v1alpha1.ObjectReference) (v1alpha1.TargetReference, metav1.Object, error) {
	obj, err := r.metadata(ctx, ref, "")
	if err != nil {
		return v1alpha1.TargetReference{}, nil, err
	}
	return r.climbFrom(ctx, ref, obj)
}

// climbFrom climbs from an object that was read already.
func (r *Resolver) climbFrom(ctx context.Context, ref v1alpha1.ObjectReference, obj metav1.Object) (v1alpha1.TargetReference, metav1.Object, error) {
	for range maxClimb {
		owner := metav1.GetControllerOf(obj)
		if owner == nil || !climbable[owner.APIVersion+" "+owner.Kind] {
			return v1alpha1.TargetReference{ObjectReference: ref, UID: obj.GetUID(), Generation: obj.GetGeneration()}, obj, nil
		}
		ref.APIVersion, ref.Kind, ref.Name = owner.APIVersion, owner.Kind, owner.Name
		above, err := r.metadata(ctx, ref, owner.UID)
		if err != nil {
			return v1alpha1.TargetReference{}, nil, err
		}
		obj = above
	}
	return v1alpha1.TargetReference{}, nil, fmt.Errorf("climbing the owners of %s: more than %d of them: %w", ref, maxClimb, ErrNoTarget)
}

// metadata reads an object; with a uid, only that incarnation of it.
func (r *Resolver) metadata(ctx context.Context, ref v1alpha1.ObjectReference, uid types.UID) (*metav1.PartialObjectMetadata, error) {
	obj := &metav1.PartialObjectMetadata{}
	obj.SetGroupVersionKind(ref.GroupVersionKind())
	if err := r.get(ctx, ref, obj); err != nil {
		return nil, err
	}
	if uid != "" && obj.UID != uid {
		return nil, missing(ref)
	}
	return obj, nil
}

// get reads what a reference names: in the namespace that it names, or nothing.
func (r *Resolver) get(ctx context.Context, ref v1alpha1.ObjectReference, obj client.Object) error {
	err := r.reader.Get(ctx, ref.NamespacedName(), obj)
	switch {
	case apierrors.IsNotFound(err):
		return missing(ref)
	case err != nil:
		return fmt.Errorf("reading %s: %w", ref, err)
	case obj.GetNamespace() != ref.Namespace: // a reader that drops the namespace of a cluster-scoped kind
		return missing(ref)
	}
	return nil
}

func missing(ref v1alpha1.ObjectReference) error {
	if ref.Namespace == "" {
		return fmt.Errorf("%s does not exist: %w", ref, ErrNoTarget)
	}
	return fmt.Errorf("%s does not exist in namespace %s: %w", ref, ref.Namespace, ErrNoTarget)
}

// climbable are the owners that are followed.
var climbable = map[string]bool{
	"apps/v1 Deployment":  true,
	"apps/v1 ReplicaSet":  true,
	"apps/v1 StatefulSet": true,
	"apps/v1 DaemonSet":   true,
	"batch/v1 Job":        true,
	"batch/v1 CronJob":    true,
}

// apiVersions of the kinds that labels name.
var apiVersions = map[string]string{
	"Deployment":              "apps/v1",
	"StatefulSet":             "apps/v1",
	"DaemonSet":               "apps/v1",
	"ReplicaSet":              "apps/v1",
	"Job":                     "batch/v1",
	"CronJob":                 "batch/v1",
	"HorizontalPodAutoscaler": "autoscaling/v2",
	"PersistentVolumeClaim":   "v1",
	"Pod":                     "v1",
	"Node":                    "v1",
	"Service":                 "v1",
}
