package cli_test

import (
	"bytes"
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// fill leaves a namespace room for one more object of each kind, as the quota's
// controller would count where that many exist.
func fill(ctx context.Context, namespace string) {
	GinkgoHelper()
	var quota corev1.ResourceQuota
	Expect(server.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "kubernaut-objects"}, &quota)).To(Succeed())
	Expect(quota.Status.Used).To(HaveLen(3))
	for name, most := range quota.Spec.Hard {
		used := most.DeepCopy()
		used.Sub(resource.MustParse("1"))
		quota.Status.Used[name] = used
	}
	Expect(server.Client.Status().Update(ctx, &quota)).To(Succeed())
}

var _ = Describe("The quota that a grant brings", func() {
	It("holds against those who may edit the namespace, and leaves the neighbour alone", func(ctx SpecContext) {
		hostile, neighbour := server.Namespace(ctx), server.Namespace(ctx)
		for _, ns := range []string{hostile, neighbour} {
			var manifests bytes.Buffer
			Expect(cli.Grant{Namespace: ns, Level: action.LevelRestart, Operator: shipped}.Print(&manifests)).To(Succeed())
			server.Apply(ctx, manifests.Bytes())
			for _, role := range []string{"system:aggregate-to-edit", "system:aggregate-to-admin", "kubernaut-operator", "kubernaut-admin"} {
				server.GrantClusterRole(ctx, ns, ns+"-user", role)
			}
		}
		fill(ctx, hostile)
		objects := map[string]func(ns, name string) client.Object{
			"an AlertRemediation": func(ns, name string) client.Object { return build.Remediation(ns, name).Obj() },
			"a WorkflowRun": func(ns, name string) client.Object {
				return build.Run(ns, name, build.DeploymentTarget(ns, "web", "u")).Step("one", "RolloutRestart", nil).Obj()
			},
			"a RemediationPolicy": func(ns, name string) client.Object { return build.Policy(ns, name, v1alpha1.ModeObserve).Obj() },
		}
		for what, object := range objects {
			By(what)
			user := server.As(hostile + "-user")
			Eventually(func() error { return user.Create(ctx, object(hostile, "last")) }).Should(Succeed(), "the last that there is room for")
			err := user.Create(ctx, object(hostile, "one-more"))
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(ContainSubstring("exceeded quota: kubernaut-objects")))
			Expect(server.As(neighbour+"-user").Create(ctx, object(neighbour, "one"))).To(Succeed())
		}
		By("taking the quota away")
		quota := &corev1.ResourceQuota{}
		quota.Namespace, quota.Name = hostile, "kubernaut-objects"
		more := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"hard":{"count/alertremediations.kubernaut.io":"9000"}}}`))
		Expect(apierrors.IsForbidden(server.As(hostile+"-user").Patch(ctx, quota, more))).To(BeTrue())
		Expect(apierrors.IsForbidden(server.As(hostile+"-user").Delete(ctx, quota))).To(BeTrue())
	})
})
