package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// quotasCounted waits until quotas on Kubernaut's kinds are counted: until then nothing of
// these kinds can be created in a namespace with a grant. The controller manager looks for
// new kinds every half a minute, and counts a quota that was there before minutes later.
func (t *tour) quotasCounted(ctx context.Context) error {
	say("Waiting until Kubernetes counts the new kinds in quotas, of which each grant has one (half a minute) …")
	many := resource.MustParse("1000")
	hard := corev1.ResourceList{"count/alertremediations.kubernaut.io": many, "count/workflowruns.kubernaut.io": many, "count/remediationpolicies.kubernaut.io": many}
	counted := func() error {
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, GenerateName: "counted-"},
			Spec:       corev1.ResourceQuotaSpec{Hard: hard},
		}
		if err := t.Create(ctx, quota); err != nil {
			return err
		}
		defer func() { _ = t.Delete(context.WithoutCancel(ctx), quota) }() // a second one does no harm
		return t.eventually(ctx, 2*time.Second, func() error {
			if err := t.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
				return err
			}
			if len(quota.Status.Used) < len(hard) {
				return fmt.Errorf("ResourceQuota %s/%s is not counted yet", quota.Namespace, quota.Name)
			}
			return nil
		})
	}
	return t.eventually(ctx, 2*time.Minute, counted)
}
