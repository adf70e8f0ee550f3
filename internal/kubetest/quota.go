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

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
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

// CountQuotas writes the status of every ResourceQuota of a namespace that has
// none yet, as its controller would where nothing of what it counts exists: until
// then the API server refuses to create what a quota is about.
func (s *Server) CountQuotas(ctx context.Context, namespace string) {
	s.tb.Helper()
	var list corev1.ResourceQuotaList
	if err := s.Client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		s.tb.Fatalf("listing the quotas of %s: %v", namespace, err)
	}
	for i := range list.Items {
		quota := &list.Items[i]
		if len(quota.Status.Hard) > 0 {
			continue
		}
		quota.Status = corev1.ResourceQuotaStatus{Hard: quota.Spec.Hard, Used: corev1.ResourceList{}}
		for name := range quota.Spec.Hard {
			quota.Status.Used[name] = resource.MustParse("0")
		}
		if err := s.Client.Status().Update(ctx, quota); err != nil {
			s.tb.Fatalf("counting quota %s/%s: %v", namespace, quota.Name, err)
		}
	}
	counted := func(ctx context.Context) (bool, error) {
		err := s.Client.Create(ctx, build.Remediation(namespace, "probe").Obj(), client.DryRunAll)
		return err == nil || !strings.Contains(err.Error(), "status unknown for quota"), nil
	}
	if err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, counted); err != nil {
		s.tb.Fatalf("waiting for the quotas of %s to be counted: %v", namespace, err)
	}
}
