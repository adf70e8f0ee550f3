package intake_test

import (
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// pods are so many firing alerts about different pods of a namespace.
func pods(namespace string, many int) []delivery {
	var all []delivery
	for i := range many {
		all = append(all, crash(namespace).label("pod", fmt.Sprintf("web-%d", i)))
	}
	return all
}

var _ = Describe("a namespace that holds too many remediations", func() {
	const most = 3
	limited := func(s *intake.Settings) { s.MaxPerNamespace = most }

	It("gets no more by a flood of alerts, and the neighbour in the same message does", func(ctx SpecContext) {
		hostile, neighbour := server.Namespace(ctx), server.Namespace(ctx)
		r := newReplica(limited)
		flood := append(pods(hostile, 10), crash(neighbour))
		status, body := r.answers(post(ctx, message(flood...)))
		Expect(status).To(Equal(http.StatusTooManyRequests), "what Alertmanager logs, and sends again later")
		Expect(body).To(And(ContainSubstring("7 alerts of the message were not taken: namespace "+hostile+": the limit of 3 AlertRemediations"),
			ContainSubstring("intake.maxPerNamespace"), Not(ContainSubstring(neighbour))))
		Expect(remediations(ctx, hostile)).To(HaveLen(most))
		Expect(remediations(ctx, neighbour)).To(HaveLen(1))
		Expect(r.eventReasons()).To(ConsistOf("NamespaceFull", "NamespaceFull"), "one for the operator's people, one for the namespace's")
		Expect(r.counted("kubernaut_intake_rejected_alerts_total", "NamespaceFull")).To(BeEquivalentTo(7))
		Expect(r.counted("kubernaut_intake_messages_total", "full")).To(BeEquivalentTo(1))

		By("the next messages")
		Expect(r.delivered(ctx, pods(hostile, 10)...)).To(Equal("429"))
		Expect(r.delivered(ctx, pods(neighbour, 2)...)).To(Equal("1 created, 1 repeated"))
		Expect(remediations(ctx, hostile)).To(HaveLen(most))
	})

	It("hears of the alerts that it has all the same, and takes others once there is room", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica(limited)
		Expect(r.delivered(ctx, pods(ns, most)...)).To(Equal("3 created"))
		Expect(r.delivered(ctx, pods(ns, most)...)).To(Equal("3 repeated"))
		Expect(r.delivered(ctx, pods(ns, 1)[0].resolvedAt(ended))).To(Equal("1 resolved"))
		Expect(r.delivered(ctx, pods(ns, most+1)...)).To(Equal("429"))
		gone := remediations(ctx, ns)[0]
		Expect(server.Client.Delete(ctx, &gone)).To(Succeed())
		Expect(r.delivered(ctx, crash(ns).label("pod", "another"))).To(Equal("1 created"))
	})

	It("counts what its users made by hand", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica(limited)
		for i := range most {
			server.Create(ctx, build.Remediation(ns, fmt.Sprintf("by-hand-%d", i)).Obj())
		}
		Expect(r.delivered(ctx, crash(ns))).To(Equal("429"))
	})

	It("is refused in the same way where a quota is what has no room", func(ctx SpecContext) {
		full, neighbour := server.Namespace(ctx), server.Namespace(ctx)
		quota(ctx, full)
		r := newReplica(limited)
		status, body := r.answers(post(ctx, message(pods(full, 2)...)))
		Expect(status).To(Equal(http.StatusTooManyRequests))
		Expect(body).To(ContainSubstring("the quota of their namespace holds no more AlertRemediations"))
		Expect(r.delivered(ctx, crash(full), crash(neighbour))).To(Equal("1 created, [0] OverQuota"))
	})
})
