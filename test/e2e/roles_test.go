//go:build e2e

package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// right is what somebody may do with a resource of ours.
type right struct{ verb, resource, subresource string }

var (
	see         = right{"list", "alertremediations", ""}
	start       = right{"create", "workflowruns", ""}
	hold        = right{"patch", "alertremediations", ""}
	allow       = right{"update", "remediationpolicies", ""}
	clearUp     = right{"deletecollection", "alertremediations", ""}
	approve     = right{"approve", "alertremediations", ""}
	forge       = right{"patch", "alertremediations", "status"}
	forgeRun    = right{"update", "workflowruns", "status"}
	forgePolicy = right{"update", "remediationpolicies", "status"}
)

var _ = Describe("Whoever has one of Kubernetes' own roles in a namespace", func() {
	DescribeTable("has with it what is theirs of ours there, and never the word of an approver or of the operator",
		func(ctx SpecContext, role string, may []right, mayNot []right) {
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "roles-"}}
			Expect(cluster.Create(ctx, ns)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, ns)).To(Succeed()) })
			cluster.bind(ctx, ns.Name, role, "kim")

			allowed := func(ctx context.Context, namespace string, r right) (bool, error) {
				review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
					User: "kim",
					ResourceAttributes: &authorizationv1.ResourceAttributes{
						Namespace: namespace, Group: v1alpha1.GroupVersion.Group, Verb: r.verb, Resource: r.resource, Subresource: r.subresource,
					},
				}}
				err := cluster.Create(ctx, review)
				return review.Status.Allowed, err
			}
			for _, r := range may { // a controller of Kubernetes puts the rules together, some time after they were applied
				Eventually(allowed).WithContext(ctx).WithArguments(ns.Name, r).Should(BeTrue(), "%s may %v", role, r)
				Expect(allowed(ctx, "default", r)).To(BeFalse(), "%s may %v elsewhere", role, r)
			}
			for _, r := range mayNot {
				Expect(allowed(ctx, ns.Name, r)).To(BeFalse(), "%s may %v", role, r)
			}
		},
		Entry("view", "view", []right{see}, []right{start, hold, allow, clearUp, approve, forge, forgeRun, forgePolicy}, SpecTimeout(time.Minute)),
		Entry("edit", "edit", []right{see, start, hold}, []right{allow, clearUp, approve, forge, forgeRun, forgePolicy}, SpecTimeout(time.Minute)),
		Entry("admin", "admin", []right{see, start, hold, allow, clearUp}, []right{approve, forge, forgeRun, forgePolicy}, SpecTimeout(time.Minute)),
	)
})
