package intake

import (
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
// an object is read, but only if the sender may post about both namespaces: else its
// rights decide, and the answer tells nothing about what exists.
func (r *reception) home(ctx context.Context, a alert.Alert, chosen string) (string, error) {
	refused := r.door.may(ctx, r.who, chosen)
	object, allowed := ambiguous(a), refused == nil
	var no *refusal
	if object.Name == "" || refused != nil && !errors.As(refused, &no) {
		return chosen, refused
	}
	err := r.door.may(ctx, r.who, object.other)
	switch {
	case errors.As(err, &no):
		return chosen, refused
	case err != nil:
		return "", err
	case !allowed:
		return object.other, nil
	}
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(object.Kind))
	err = r.cluster.Live.Get(ctx, client.ObjectKey{Name: object.Name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return object.other, nil
	case err != nil:
		return "", fmt.Errorf("reading %s/%s, which the alert may be about: %w", object.Kind, object.Name, err)
	}
	return chosen, nil
}

// doubt is the object that decides where an ambiguous alert belongs, and the other
// namespace beside that which the labels alone say: it belongs there if the object
// does not exist.
type doubt struct {
	alert.Object
	other string
}

// ambiguous returns the doubt about an alert. Few have one; for any other, nothing
// need be read.
//
//   - A node may be one of the cluster or, in the words of a database, a member of it:
//     then the alert is about what it names besides.
//   - A namespace that was renamed may be one of the cluster or, in the words of an
//     application, something of its own: then the alert is about the pod that was
//     scraped. It is one of the cluster where other labels name an object in it.
func ambiguous(a alert.Alert) doubt {
	if a.Labels["node"] == "" && a.Labels["exported_node"] == "" && a.Labels["exported_namespace"] == "" {
		return doubt{} // most alerts, at no cost
	}
	all, namespace := alert.Candidates(a.Name(), a.Labels), alert.Namespace(a.Labels)
	switch {
	case len(all) > 1 && all[0].Kind == "Node":
		return doubt{all[0].Object, all[1].Namespace}
	case len(all) > 0 && all[0].Kind != "Node" && all[0].Namespace != namespace && namespace != "":
		return doubt{alert.Object{Kind: "Namespace", Name: namespace}, all[0].Namespace}
	}
	return doubt{}
}
