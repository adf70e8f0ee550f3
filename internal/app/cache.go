package app

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/config"
	"github.com/kubernaut/kubernaut/internal/controller/trigger"
	"github.com/kubernaut/kubernaut/internal/guard"
)

// cacheOptions say what the manager's cache keeps. The users of a namespace create
// objects of our kinds, so they must not decide how much of the operator's memory
// each one takes: text that the operator never reads is not kept.
func cacheOptions(cfg config.Config) cache.Options {
	cached := trigger.Cached(triggerConfig(cfg))
	for kind, options := range cached {
		options.Transform = leanOr(options.Transform) // the kind's metadata is cached beside it
		cached[kind] = options
	}
	maps.Copy(cached, guard.Cached())
	cached[&v1alpha1.AlertRemediation{}] = cache.ByObject{Transform: trimRemediation}
	cached[&v1alpha1.WorkflowRun{}] = cache.ByObject{Transform: trimMeta}
	cached[&v1alpha1.RemediationPolicy{}] = cache.ByObject{Transform: trimMeta}
	// The one Secret.
	cached[&corev1.Secret{}] = cache.ByObject{Namespaces: map[string]cache.Config{cfg.Namespace: {FieldSelector: named(cfg.Intake.TLS.SecretName)}}}
	return cache.Options{DefaultTransform: leanOr(cache.TransformStripManagedFields()), ByObject: cached}
}

func triggerConfig(cfg config.Config) trigger.Config {
	return trigger.Config{Namespace: cfg.Namespace, Cluster: cfg.Cluster, Namespaces: cfg.Triggers.Namespaces}
}

// trimRemediation drops the text of the alert's annotations. The rest of the spec
// and the whole status stay: a status is saved whole. A client that would update
// the whole object is refused by the schema, in which spec.alert is immutable.
func trimRemediation(obj any) (any, error) {
	if ar, ok := obj.(*v1alpha1.AlertRemediation); ok {
		ar.Spec.Alert.Annotations = nil
	}
	return trimMeta(obj)
}

// trimMeta drops the annotations, labels and managed fields of an object's metadata,
// which may be hundreds of KiB long: the operator selects none of its kinds by a label.
// Patches are made from what changed between two copies of a cached object, so they
// never take away what neither has.
func trimMeta(obj any) (any, error) {
	if object, ok := obj.(metav1.Object); ok {
		object.SetAnnotations(nil)
		object.SetLabels(nil)
		object.SetManagedFields(nil)
	}
	return obj, nil
}

// leanOr strips what the operator does not read of cached metadata; whole objects
// are left to another function.
func leanOr(whole toolscache.TransformFunc) toolscache.TransformFunc {
	return func(obj any) (any, error) {
		if metadata, ok := obj.(*metav1.PartialObjectMetadata); ok {
			return clearance.LeanMetadata(metadata), nil
		}
		return whole(obj)
	}
}
