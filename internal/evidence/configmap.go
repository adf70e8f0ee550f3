package evidence

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// maxConfigMaps is how many are asked about; each is a request.
const maxConfigMaps = 4

// configMaps notes, where a container crashes or is not ready, who last wrote the ConfigMaps that
// its pod is given, and when. Their contents are never asked for.
func (l *look) configMaps(ctx context.Context) {
	names := map[string]bool{}
	for i := range l.snapshot.Pods {
		if p := &l.snapshot.Pods[i]; trouble(p) >= 2 {
			configMapsOf(&p.Spec, names)
		}
	}
	for _, name := range first(slices.Sorted(maps.Keys(names)), maxConfigMaps) {
		meta := &metav1.PartialObjectMetadata{}
		meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
		err := l.reader.Get(ctx, types.NamespacedName{Namespace: l.snapshot.Target.Namespace, Name: name}, meta)
		switch {
		case apierrors.IsNotFound(err), apierrors.IsForbidden(err): // the kubelet says what is absent, and the right to look is no part of the shipped role's promise
		case err != nil:
			l.unread("who changed ConfigMap/"+name, err, true)
		default:
			l.written(meta)
		}
	}
}

func configMapsOf(spec *corev1.PodSpec, names map[string]bool) {
	for _, v := range spec.Volumes {
		if v.ConfigMap != nil {
			names[v.ConfigMap.Name] = true
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil {
				names[from.ConfigMapRef.Name] = true
			}
		}
		for _, v := range c.Env {
			if v.ValueFrom != nil && v.ValueFrom.ConfigMapKeyRef != nil {
				names[v.ValueFrom.ConfigMapKeyRef.Name] = true
			}
		}
	}
}

// written notes the last change of a ConfigMap's data that came after it was made.
func (l *look) written(meta *metav1.PartialObjectMetadata) {
	change := analysis.Change{
		Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: meta.Namespace, Name: meta.Name}, Field: "data",
	}
	for _, entry := range meta.ManagedFields {
		if entry.Time == nil || entry.FieldsV1 == nil || !entry.Time.After(meta.CreationTimestamp.Time) || !entry.Time.After(change.At) {
			continue
		}
		if vitals.Owns(entry.FieldsV1, []string{"data"}) || vitals.Owns(entry.FieldsV1, []string{"binaryData"}) {
			change.By, change.At = redact.Line(entry.Manager, 128), entry.Time.UTC()
		}
	}
	if !change.At.IsZero() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.snapshot.Changes = append(l.snapshot.Changes, change)
	}
}
