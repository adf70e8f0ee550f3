package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

// home returns the namespace of an alert's remediation, which its sender may post
// about, or a refusal. chosen is what the labels alone say. Where they are ambiguous,
// it depends on what exists, but only if the sender may post about both namespaces:
// else its rights decide, and the answer tells nothing about what exists.
func (r *reception) home(ctx context.Context, a alert.Alert, chosen string) (string, error) {
	refused := r.door.may(ctx, r.who, chosen)
	doubt, allowed := ambiguous(a, chosen, r.settings.Namespace), refused == nil
	var no *refusal
	if doubt.other == "" || refused != nil && !errors.As(refused, &no) {
		return chosen, refused
	}
	err := r.door.may(ctx, r.who, doubt.other)
	switch {
	case errors.As(err, &no):
		return chosen, refused
	case err != nil:
		return "", err
	case !allowed:
		return doubt.other, nil
	}
	for _, w := range doubt.where {
		exists, err := r.exists(ctx, w.object)
		if exists || err != nil {
			return w.home, err
		}
	}
	return doubt.otherwise, nil
}

func (r *reception) exists(ctx context.Context, o alert.Object) (bool, error) {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(o.Kind))
	err := r.cluster.Live.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: o.Name}, found)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("reading %s/%s, which the alert may be about: %w", o.Kind, o.Name, err)
	}
	return err == nil, nil
}

// doubt is where an ambiguous alert may belong, beside the namespace that its labels
// alone say: where the first object that exists says, or else otherwise.
type doubt struct {
	other     string
	where     []homeIf
	otherwise string
}

// homeIf is where an alert belongs if an object exists.
type homeIf struct {
	object alert.Object
	home   string
}

// ambiguous returns the doubt about an alert. Few have one; for any other, nothing
// need be read.
//
//   - A node may be one of the cluster or, in the words of a database, a member of it:
//     then the alert is about what it names besides.
//   - A namespace that was renamed may be one of the cluster or, in the words of an
//     application, something of its own: then the alert is about the pod that was
//     scraped. It is one of the cluster where other labels name an object in it.
//   - A service may be a Service or, in the words of an exporter, a team's: then the
//     alert is about the Node that it names besides.
func ambiguous(a alert.Alert, chosen, operator string) doubt {
	if cmp.Or(a.Labels["node"], a.Labels["exported_node"], a.Labels["exported_namespace"]) == "" {
		return doubt{} // most alerts, at no cost
	}
	all, namespace := alert.Candidates(a.Name(), a.Labels), alert.Namespace(a.Labels)
	if len(all) == 0 {
		return doubt{}
	}
	first, last := all[0].Object, all[len(all)-1].Object
	switch {
	case first.Kind == "Node" && len(all) > 1:
		other := all[1].Namespace
		return doubt{other: other, where: []homeIf{{first, chosen}}, otherwise: other}
	case last.Kind == "Node" && len(all) > 1:
		return doubt{other: operator, where: []homeIf{{first, chosen}, {last, operator}}, otherwise: chosen}
	case first.Kind != "Node" && first.Namespace != namespace && namespace != "":
		declared := alert.Object{Kind: "Namespace", Name: namespace}
		return doubt{other: first.Namespace, where: []homeIf{{declared, chosen}}, otherwise: first.Namespace}
	}
	return doubt{}
}
