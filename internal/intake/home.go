package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

// home returns the namespace of an alert's remediation, which its sender may post
// about, or a refusal. chosen is what the labels alone say.
func (r *reception) home(ctx context.Context, a alert.Alert, chosen string) (string, error) {
	node, namespace := nodeOrNot(a)
	if node == "" {
		return chosen, r.door.may(ctx, r.who, chosen)
	}
	err := r.door.may(ctx, r.who, chosen)
	var no *refusal
	switch {
	case errors.As(err, &no):
		// Who may not post about nodes posts about an object of a namespace.
		return namespace, r.door.may(ctx, r.who, namespace)
	case err != nil:
		return "", err
	}
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Node"))
	err = r.cluster.Live.Get(ctx, types.NamespacedName{Name: node}, found)
	switch {
	case apierrors.IsNotFound(err):
		return namespace, r.door.may(ctx, r.who, namespace)
	case err != nil:
		return "", fmt.Errorf("reading Node/%s, which the alert may be about: %w", node, err)
	}
	return chosen, nil
}

// nodeOrNot returns the node and the namespace of an alert that is about a node if
// there is one of that name, and else about something in the namespace: the members
// of some databases are nodes too. Few alerts are like that; of any other, it
// returns nothing, and nothing need be read.
func nodeOrNot(a alert.Alert) (node, namespace string) {
	if cmp.Or(a.Labels["node"], a.Labels["exported_node"]) == "" {
		return "", ""
	}
	all := alert.Candidates(a.Name(), a.Labels)
	if len(all) < 2 || all[0].Kind != "Node" {
		return "", ""
	}
	return all[0].Name, all[1].Namespace
}
