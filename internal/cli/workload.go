package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// kinds are tried in this order for a workload whose kind is not said.
var kinds = []kind{
	{"apps/v1", "Deployment", "deploy"}, {"apps/v1", "StatefulSet", "sts"}, {"apps/v1", "DaemonSet", "ds"},
	{"v1", "Service", "svc"}, {"batch/v1", "Job", "job"}, {"v1", "Pod", "po"},
}

// kind of a workload, with kubectl's short name for it.
type kind struct{ apiVersion, kind, short string }

// workload is the object that a user named.
type workload struct {
	v1alpha1.TargetReference
	// also are objects of the same name that stand before it or are part of it.
	also []v1alpha1.ObjectReference
}

// workload finds what namespace/name or namespace/kind/name means. Several workloads
// of one name are an error: which one is meant is not guessed. A Service or a pod
// that shares the name of one workload is no other workload, and is mentioned.
func (c Cluster) workload(ctx context.Context, text string) (workload, error) {
	namespace, wanted, name, err := c.parse(text)
	if err != nil {
		return workload{}, err
	}
	var found []v1alpha1.TargetReference
	for _, k := range kinds {
		if wanted != "" && !k.called(wanted) {
			continue
		}
		ref := v1alpha1.ObjectReference{APIVersion: k.apiVersion, Kind: k.kind, Namespace: namespace, Name: name}
		switch read := c.object(ctx, ref); {
		case read.Err == nil:
			found = append(found, v1alpha1.TargetReference{ObjectReference: ref, UID: read.Value.UID, Generation: read.Value.Generation})
		case apierrors.IsNotFound(read.Err), meta.IsNoMatchError(read.Err):
		case len(found) > 0 && apierrors.IsForbidden(read.Err): // the user may read what was found, and can have meant nothing else
		default:
			return workload{}, explained(read.Err)
		}
	}
	if len(found) == 0 {
		return workload{}, c.nowhere(ctx, namespace, name)
	}
	return oneOf(found)
}

// oneOf returns the workload among objects of one name, or an error if there are several.
func oneOf(found []v1alpha1.TargetReference) (workload, error) {
	one := workload{TargetReference: found[0]}
	var names []string
	for _, other := range found {
		names = append(names, fmt.Sprintf("%s/%s/%s", other.Namespace, strings.ToLower(other.Kind), other.Name))
	}
	for _, other := range found[1:] {
		if other.Kind != "Service" && other.Kind != "Pod" {
			last := len(found) - 1
			return workload{}, fmt.Errorf("%s/%s is the name of %d objects; say which one is meant: %s or %s",
				one.Namespace, one.Name, len(found), strings.Join(names[:last], ", "), names[last])
		}
		one.also = append(one.also, other.ObjectReference)
	}
	return one, nil
}

// also mentions what has the name of the workload too, and the command that is about it.
func (p *printer) also(command string, one workload) {
	for _, other := range one.also {
		p.line("  %s has the same name: `kubectl kubernaut %s %s/%s/%s` is about it", other, command, other.Namespace, strings.ToLower(other.Kind), other.Name)
	}
}

// parse takes namespace/name or namespace/kind/name apart.
func (c Cluster) parse(text string) (namespace, kind, name string, err error) {
	parts := strings.Split(text, "/")
	said := redact.Line(text, widest)
	switch {
	case len(parts) == 1:
		return "", "", "", fmt.Errorf("%q is not a workload: say NAMESPACE/NAME or NAMESPACE/KIND/NAME, such as %s/%s", said, c.Namespace, said)
	case len(parts) == 2 && isKind(parts[0]):
		return "", "", "", fmt.Errorf("%q is not a workload: say its namespace too, such as %s/%s", said, c.Namespace, said)
	case len(parts) == 2:
		return parts[0], "", parts[1], nil
	case len(parts) == 3 && isKind(parts[1]):
		return parts[0], parts[1], parts[2], nil
	case len(parts) == 3:
		return "", "", "", fmt.Errorf("%q is not a workload that can be looked at: KIND is deployment, statefulset, daemonset, service, job or pod", said)
	}
	return "", "", "", fmt.Errorf("%q is not a workload: say NAMESPACE/NAME or NAMESPACE/KIND/NAME, such as shop/deployment/web", said)
}

func isKind(text string) bool {
	return slices.ContainsFunc(kinds, func(k kind) bool { return k.called(text) })
}

// called reports whether a kind is meant, as kubectl understands it.
func (k kind) called(text string) bool {
	text = strings.ToLower(text)
	return text == k.short || text == strings.ToLower(k.kind) || text == strings.ToLower(k.kind)+"s"
}

// nowhere says which workloads there are, if one of them may have been meant.
func (c Cluster) nowhere(ctx context.Context, namespace, name string) error {
	there := Cluster{Client: c.Client, Namespace: namespace}
	missing := fmt.Sprintf("there is no workload %s in namespace %s", redact.Line(name, widest), redact.Line(namespace, widest))
	if absent := there.absent(ctx); absent != "" {
		return fmt.Errorf("%s%s `kubectl get namespaces` lists what there is", missing, introduced(absent))
	}
	var names []string
	for _, k := range kinds[:len(kinds)-1] { // not the pods
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(schema.FromAPIVersionAndKind(k.apiVersion, k.kind+"List"))
		if c.List(ctx, list, client.InNamespace(namespace)) != nil {
			continue // it is a proposal only
		}
		for i := range list.Items {
			names = append(names, namespace+"/"+list.Items[i].Name)
		}
	}
	slices.Sort(names)
	return fmt.Errorf("%s%s `kubectl get deploy,sts,ds,svc -n %s` lists what there is", missing,
		introduced(meant(near(namespace+"/"+name, slices.Compact(names)))), word(namespace, "NAMESPACE"))
}
