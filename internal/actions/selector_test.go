package actions_test

import (
	"context"
	"errors"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/internal/kubetest/build"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// replicated makes Deployment web with labels of its template, ready, and a pod of it that
// carries more; and a Service of a selector. It returns the Service.
func replicated(ctx context.Context, ns string, template, atRunTime, selector map[string]string) *corev1.Service {
	GinkgoHelper()
	d := build.Deployment(ns, "web").Ready().Obj()
	d.Spec.Selector = &metav1.LabelSelector{MatchLabels: template}
	d.Spec.Template.Labels = template
	server.Create(ctx, d)
	rs := build.ReplicaSetOf(d, 1)
	server.Create(ctx, rs)
	pod := build.PodOf(rs, "abcde")
	pod.Labels = maps.Clone(template)
	maps.Copy(pod.Labels, atRunTime)
	server.Create(ctx, pod)
	service := build.Service(ns, "front", "x")
	service.Spec.Selector = selector
	server.Create(ctx, service)
	return service
}

var _ = Describe("A change of a selector", func() {
	type labels = map[string]string
	type row struct {
		template, atRunTime, selector labels
		wanted                        string
		around                        func(ctx context.Context, ns string)
		why                           string // empty: it is planned
	}
	another := func(selector labels) func(ctx context.Context, ns string) {
		return func(ctx context.Context, ns string) {
			service := build.Service(ns, "second", "x")
			service.Spec.Selector, service.Spec.ClusterIP = selector, corev1.ClusterIPNone
			server.Create(ctx, service)
		}
	}
	rows := map[string]row{
		"mends a slip":                      {template: labels{"app": "web"}, selector: labels{"app": "wbe"}, wanted: "app=web"},
		"finds the value under another key": {template: labels{"app": "web"}, selector: labels{"application": "web"}, wanted: "app=web"},
		"is refused for a role that pods carry at run time": {template: labels{"app": "web"}, atRunTime: labels{"role": "follower"},
			selector: labels{"app": "web", "role": "leader"}, wanted: "app=web", why: "pods of the namespace carry the label role (follower)"},
		"is refused for a role that only a pod of nothing carries": {template: labels{"app": "web"}, selector: labels{"application": "web"}, wanted: "app=web",
			around: func(ctx context.Context, ns string) {
				pod := build.PodOf(build.ReplicaSetOf(build.Deployment(ns, "job").Obj(), 1), "zzzzz")
				pod.OwnerReferences, pod.Labels = nil, labels{"application": "job"}
				server.Create(ctx, pod)
			}, why: "carry the label application (job)"},
		"is refused for a role that no pod carries yet": {template: labels{"app": "web"}, selector: labels{"app": "web", "role": "leader"}, wanted: "app=web", why: "role=leader would be dropped"},
		"is refused for a colour that is yet to come":   {template: labels{"app": "web", "color": "blue"}, selector: labels{"app": "web", "color": "green"}, wanted: "app=web,color=blue", why: "color=green has been so"},
		"is refused for a value that was never edited":  {template: labels{"app": "web"}, selector: labels{"app": "ghost"}, wanted: "app=web", why: "app=ghost has been so"},
		"is refused where another Service serves the workload": {template: labels{"app": "web"}, selector: labels{"app": "wbe"}, wanted: "app=web",
			around: another(labels{"app": "web"}), why: "Service/second selects its pods already"},
		"is refused where another Service serves pods by what they carry at run time": {template: labels{"app": "web"}, atRunTime: labels{"role": "follower"}, selector: labels{"app": "wbe"}, wanted: "app=web",
			around: another(labels{"role": "follower"}), why: "Service/second selects its pods already"},
		"is refused where it selects a workload that has no pods now": {template: labels{"app": "web"}, selector: labels{"app": "webs"}, wanted: "app=web",
			around: func(ctx context.Context, ns string) {
				d := build.Deployment(ns, "webs").Obj()
				d.Spec.Replicas, d.Spec.Selector, d.Spec.Template.Labels = new(int32(0)), &metav1.LabelSelector{MatchLabels: labels{"app": "webs"}}, labels{"app": "webs"}
				server.Create(ctx, d)
			}, why: "it selects the pods of Deployment/webs, which is not ready"},
		"is refused where it selects a pod that is not ready": {template: labels{"app": "web"}, selector: labels{"app": "webs"}, wanted: "app=web",
			around: func(ctx context.Context, ns string) {
				pod := build.PodOf(build.ReplicaSetOf(build.Deployment(ns, "job").Obj(), 1), "zzzzz")
				pod.OwnerReferences, pod.Labels = nil, labels{"app": "webs"}
				server.Create(ctx, pod)
			}, why: "it selects Pod/job-"},
		"is not held by a Service of something else": {template: labels{"app": "web"}, selector: labels{"app": "wbe"}, wanted: "app=web", around: another(labels{"app": "api"})},
	}
	for name, row := range rows {
		It(name, func(ctx SpecContext) {
			ns := server.Namespace(ctx)
			service := replicated(ctx, ns, row.template, row.atRunTime, row.selector)
			if row.around != nil {
				row.around(ctx, ns)
			}
			plan, err := find("FixServiceSelector").Plan(ctx, world(), build.TargetOf(service, build.ServiceKind), action.Params{"selector": row.wanted})
			if row.why == "" {
				Expect(err).NotTo(HaveOccurred())
				Expect(plan.Operations).To(HaveLen(1))
				return
			}
			var refusal *action.NotApplicableError
			Expect(errors.As(err, &refusal)).To(BeTrue(), "%v", err)
			Expect(refusal.Why).To(ContainSubstring(row.why))
		})
	}

	It("takes back what was written after the Service was made", func(ctx SpecContext) {
		ns := server.Namespace(ctx)
		service := replicated(ctx, ns, labels{"app": "web"}, nil, labels{"app": "web"})
		// Managed fields count in seconds: only a write in a later second is one after it was made.
		Eventually(func(g Gomega) {
			update(ctx, service, func(s *corev1.Service) { s.Spec.Selector = labels{"app": "ghost-" + s.ResourceVersion} })
			_, err := find("FixServiceSelector").Plan(ctx, world(), build.TargetOf(service, build.ServiceKind), action.Params{"selector": "app=web"})
			g.Expect(err).NotTo(HaveOccurred())
		}).WithTimeout(5e9).Should(Succeed())
	})
})
