package kubetest

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Quota leaves a namespace no room for another object of a resource, as its
// controller would have counted, and waits until the API server refuses one like
// that of the probe.
func (s *Server) Quota(ctx context.Context, namespace, ofResource string, probe client.Object) *corev1.ResourceQuota {
	s.tb.Helper()
	none := corev1.ResourceList{corev1.ResourceName("count/" + ofResource): resource.MustParse("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none-of-" + strings.ReplaceAll(ofResource, ".", "-")},
		Spec:       corev1.ResourceQuotaSpec{Hard: none},
		Status:     corev1.ResourceQuotaStatus{Hard: none, Used: none},
	}
	s.Create(ctx, quota)
	refused := func(ctx context.Context) (bool, error) {
		err := s.Client.Create(ctx, probe.DeepCopyObject().(client.Object), client.DryRunAll)
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"), nil
	}
	if err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, refused); err != nil {
		s.tb.Fatalf("waiting for the quota of %s in %s to count: %v", ofResource, namespace, err)
	}
	return quota
}
