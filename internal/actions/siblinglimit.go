package actions

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// siblingLimit returns the largest memory limit under which another ready workload of the
// namespace runs an image; zero: none does, or it is not asked for.
func siblingLimit(ctx context.Context, reader client.Reader, target action.Target, image string) (resource.Quantity, error) {
	if image == "" {
		return resource.Quantity{}, nil
	}
	all, err := candidates(ctx, reader, target.Namespace)
	if err != nil {
		return resource.Quantity{}, err
	}
	others := slices.DeleteFunc(all, func(c candidate) bool { return c.name == target.Kind+"/"+target.Name })
	return limitElsewhere(others, image), nil
}

// limitElsewhere is the pure half of siblingLimit.
func limitElsewhere(others []candidate, image string) resource.Quantity {
	var most resource.Quantity
	for _, other := range others {
		if other.ready == 0 || other.unseen {
			continue
		}
		for _, c := range slices.Concat(other.template.Spec.InitContainers, other.template.Spec.Containers) {
			if c.Image == image {
				most = larger(most, c.Resources.Limits[corev1.ResourceMemory])
			}
		}
	}
	return most
}

// imageAsked is the image of the container for which a limit is asked; empty: none is.
func imageAsked(template corev1.PodTemplateSpec, params action.Params) string {
	for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
		if params["limit"] != "" && c.Name == params["container"] {
			return c.Image
		}
	}
	return ""
}
