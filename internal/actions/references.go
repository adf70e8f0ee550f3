package actions

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// The kinds that a pod template refers to.
var (
	configMaps      = corev1.SchemeGroupVersion.WithKind("ConfigMap")
	claims          = corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim")
	serviceAccounts = corev1.SchemeGroupVersion.WithKind("ServiceAccount")
	secrets         = corev1.SchemeGroupVersion.WithKind("Secret")
	priorityClasses = schedulingv1.SchemeGroupVersion.WithKind("PriorityClass")
	runtimeClasses  = nodev1.SchemeGroupVersion.WithKind("RuntimeClass")
)

// reference is an object without which no pod of a template starts.
type reference struct {
	kind schema.GroupVersionKind
	name string
	// key that the object must have; empty: the object is enough.
	key string
	// volume that the key is mounted by; empty: it becomes an environment variable.
	volume string
}

func (r reference) String() string {
	if r.key != "" {
		return fmt.Sprintf("key %s of %s/%s", r.key, r.kind.Kind, r.name)
	}
	return r.kind.Kind + "/" + r.name
}

// referencesOf returns what a pod needs, each thing once and in order. What is
// optional is not needed, and neither is a volume that no container mounts. It is pure.
func referencesOf(spec corev1.PodSpec) []reference {
	all := namedBySpec(spec)
	mounted := map[string]bool{}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, mount := range c.VolumeMounts {
			mounted[mount.Name] = true
		}
		for _, device := range c.VolumeDevices {
			mounted[device.Name] = true
		}
		all = append(all, namedByEnv(c)...)
	}
	for _, v := range spec.Volumes {
		if claim := v.PersistentVolumeClaim; claim != nil { // the scheduler wants it, mounted or not
			all = append(all, reference{kind: claims, name: claim.ClaimName})
		}
		if mounted[v.Name] {
			all = append(all, namedByVolume(v)...)
		}
	}
	slices.SortFunc(all, func(a, b reference) int {
		return cmp.Or(cmp.Compare(a.kind.Kind, b.kind.Kind), cmp.Compare(a.name, b.name), cmp.Compare(a.key, b.key), cmp.Compare(a.volume, b.volume))
	})
	return slices.Compact(all)
}

func namedBySpec(spec corev1.PodSpec) []reference {
	var all []reference
	if name := spec.ServiceAccountName; name != "" && name != "default" { // Kubernetes makes that one again
		all = append(all, reference{kind: serviceAccounts, name: name})
	}
	if spec.PriorityClassName != "" {
		all = append(all, reference{kind: priorityClasses, name: spec.PriorityClassName})
	}
	if spec.RuntimeClassName != nil && *spec.RuntimeClassName != "" {
		all = append(all, reference{kind: runtimeClasses, name: *spec.RuntimeClassName})
	}
	return all
}

func namedByEnv(c corev1.Container) []reference {
	var all []reference
	for _, from := range c.EnvFrom {
		if m := from.ConfigMapRef; m != nil {
			all = append(all, unlessOptional(reference{kind: configMaps, name: m.Name}, m.Optional)...)
		}
		if s := from.SecretRef; s != nil {
			all = append(all, unlessOptional(reference{kind: secrets, name: s.Name}, s.Optional)...)
		}
	}
	for _, env := range c.Env {
		if env.ValueFrom == nil {
			continue
		}
		if m := env.ValueFrom.ConfigMapKeyRef; m != nil {
			all = append(all, unlessOptional(reference{kind: configMaps, name: m.Name, key: m.Key}, m.Optional)...)
		}
		if s := env.ValueFrom.SecretKeyRef; s != nil {
			all = append(all, unlessOptional(reference{kind: secrets, name: s.Name, key: s.Key}, s.Optional)...)
		}
	}
	return all
}

func namedByVolume(v corev1.Volume) []reference {
	var all []reference
	if m := v.ConfigMap; m != nil {
		all = append(all, mountedKeys(reference{kind: configMaps, name: m.Name, volume: v.Name}, m.Items, m.Optional)...)
	}
	if s := v.Secret; s != nil {
		all = append(all, mountedKeys(reference{kind: secrets, name: s.SecretName, volume: v.Name}, s.Items, s.Optional)...)
	}
	if v.Projected != nil {
		for _, source := range v.Projected.Sources {
			if m := source.ConfigMap; m != nil {
				all = append(all, mountedKeys(reference{kind: configMaps, name: m.Name, volume: v.Name}, m.Items, m.Optional)...)
			}
			if s := source.Secret; s != nil {
				all = append(all, mountedKeys(reference{kind: secrets, name: s.Name, volume: v.Name}, s.Items, s.Optional)...)
			}
		}
	}
	if v.CSI != nil && v.CSI.NodePublishSecretRef != nil {
		all = append(all, reference{kind: secrets, name: v.CSI.NodePublishSecretRef.Name})
	}
	return all
}

// mountedKeys returns the reference once for each key that a volume asks for, and once
// without a key where it takes them all.
func mountedKeys(of reference, items []corev1.KeyToPath, optional *bool) []reference {
	if len(items) == 0 {
		of.volume = ""
		return unlessOptional(of, optional)
	}
	var all []reference
	for _, item := range items {
		of.key = item.Key
		all = append(all, unlessOptional(of, optional)...)
	}
	return all
}

// unlessOptional returns nothing where a pod starts without the object as well.
func unlessOptional(r reference, optional *bool) []reference {
	if optional != nil && *optional {
		return nil
	}
	return []reference{r}
}

// haveReferences refuses to return to a revision that needs what is not there. Of
// Secrets, which are never read, it returns those of which nothing is known.
func (l *liveWorkload) haveReferences(ctx context.Context, to action.Revision) ([]string, error) {
	var ofSecrets []reference
	for _, r := range referencesOf(to.Template.Spec) {
		if r.kind == secrets {
			ofSecrets = append(ofSecrets, r)
			continue
		}
		why, err := lacking(ctx, l.world.Objects, l.target.Namespace, r)
		if err != nil {
			return nil, err
		}
		if why != "" {
			return nil, needs(l.target, to, r, why)
		}
	}
	unchecked, err := l.haveSecrets(ctx, to, ofSecrets)
	if err != nil {
		return nil, err
	}
	for _, pull := range to.Template.Spec.ImagePullSecrets { // a kubelet goes on without: a node may have the image
		unchecked = append(unchecked, fmt.Sprintf("Secret/%s, with which revision %d pulls its images", pull.Name, to.Number))
	}
	return unchecked, nil
}

// needs is the refusal to return to a revision.
func needs(target action.Target, to action.Revision, r reference, why string) error {
	return action.NotApplicable("revision %d of %s needs %s, which %s: its pods could not start", to.Number, target, r, why)
}

// lacking says what is wrong with an object that is needed, or nothing. Nothing of its
// content is kept, and where the object is enough, its content is not asked for.
func lacking(ctx context.Context, reader client.Reader, namespace string, r reference) (string, error) {
	key := types.NamespacedName{Namespace: namespace, Name: r.name}
	var obj client.Object
	switch {
	case r.kind == configMaps && r.key != "":
		obj = &corev1.ConfigMap{}
	case r.kind == claims:
		obj = &corev1.PersistentVolumeClaim{}
	default:
		head := &metav1.PartialObjectMetadata{}
		head.SetGroupVersionKind(r.kind)
		obj = head
	}
	if r.kind == priorityClasses || r.kind == runtimeClasses {
		key.Namespace = ""
	}
	err := reader.Get(ctx, key, obj)
	switch {
	case apierrors.IsNotFound(err):
		return "does not exist", nil
	case err != nil:
		return "", unreadable(err, readRight(r.kind, namespace), "reading "+r.kind.Kind+"/"+r.name)
	}
	return unusable(obj, r), nil
}

// unusable says why an object that exists is of no use, or nothing. It is pure.
func unusable(obj client.Object, r reference) string {
	switch o := obj.(type) {
	case *corev1.ConfigMap:
		_, text := o.Data[r.key]
		_, binary := o.BinaryData[r.key]
		if !text && (!binary || r.volume == "") { // a variable takes text only
			return "the ConfigMap does not have"
		}
	case *corev1.PersistentVolumeClaim:
		switch {
		case o.DeletionTimestamp != nil:
			return "is being deleted"
		case o.Status.Phase == corev1.ClaimLost:
			return "has lost its volume"
		}
	}
	return ""
}

// readRight names the right to read a kind, as kubectl auth can-i takes it.
func readRight(kind schema.GroupVersionKind, namespace string) string {
	switch kind {
	case configMaps:
		return "get configmaps in namespace " + namespace
	case claims:
		return "get persistentvolumeclaims in namespace " + namespace
	case serviceAccounts:
		return "get serviceaccounts in namespace " + namespace
	case priorityClasses:
		return "get priorityclasses.scheduling.k8s.io"
	}
	return "get runtimeclasses.node.k8s.io"
}
