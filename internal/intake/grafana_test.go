package intake_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubernaut/kubernaut/internal/caller"
	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// byGrafana is a message as Grafana was recorded to send it, about a namespace.
func byGrafana(namespace string) string {
	recorded, err := os.ReadFile(kubetest.Path("pkg", "alert", "testdata", "grafana.json"))
	Expect(err).NotTo(HaveOccurred())
	about := strings.Replace(string(recorded), `"namespace": "shop"`, `"namespace": "`+namespace+`"`, 1)
	Expect(about).To(ContainSubstring(namespace))
	return about
}

// signs posts a body with the signature of another, or of itself.
func signs(ctx context.Context, body, signedBody, secret string) *http.Request {
	at := strconv.FormatInt(now.Unix(), 10)
	req := post(ctx, body)
	req.Header.Set("X-Grafana-Alerting-Timestamp", at)
	req.Header.Set("X-Grafana-Alerting-Signature", signed(at, signedBody, secret))
	return req
}

var _ = Describe("Grafana", func() {
	var (
		ns, elsewhere string
		r             *replica
	)
	BeforeEach(func(ctx SpecContext) {
		ns, elsewhere = server.Namespace(ctx), server.Namespace(ctx)
		file := filepath.Join(GinkgoT().TempDir(), "secret")
		Expect(os.WriteFile(file, []byte(grafanaSecret), 0o600)).To(Succeed())
		r = wired(intake.Door{
			Callers: caller.New(operator, clocktesting.NewFakePassiveClock(now), "kubernaut"),
			Signatures: &intake.Signatures{
				Header: "X-Grafana-Alerting-Signature", TimestampHeader: "X-Grafana-Alerting-Timestamp", SecretFile: file,
			},
		}, nil)
	})

	It("is believed by its signature, and what it says is stored", func(ctx SpecContext) {
		body := byGrafana(ns)
		status, answer := r.answers(signs(ctx, body, body, grafanaSecret))
		Expect(status).To(Equal(http.StatusOK), answer)
		Expect(answer).To(ContainSubstring(`"created":1`))
		stored := only(ctx, ns).Spec.Alert
		Expect(stored.Name).To(Equal("High memory usage"))
		Expect(stored.Labels).To(HaveKeyWithValue("pod", "web-1"))
		Expect(stored.Fingerprint).To(Equal("c6eadffa33fcdf37"))
	})

	It("is not believed by the signature of another secret, nor by that of another body", func(ctx SpecContext) {
		body, changed := byGrafana(ns), byGrafana(elsewhere)
		for _, req := range []*http.Request{
			signs(ctx, body, body, grafanaSecret+"x"),
			signs(ctx, changed, body, grafanaSecret),
		} {
			status, answer := r.answers(req)
			Expect(status).To(Equal(http.StatusUnauthorized))
			Expect(answer).To(ContainSubstring("the signature does not fit the body"))
		}
		Expect(remediations(ctx, ns)).To(BeEmpty())
		Expect(remediations(ctx, elsewhere)).To(BeEmpty())
		Expect(r.counted("kubernaut_intake_messages_total", "denied")).To(BeEquivalentTo(2))
	})

	It("may speak about every namespace, where an account may only about those it is bound in", func(ctx SpecContext) {
		user, token := account(ctx, ns, "kubernaut")
		server.GrantClusterRole(ctx, ns, user, "kubernaut-alert-sender")
		body := message(crash(ns), crash(elsewhere))
		status, answer := r.answers(bearing(signs(ctx, body, body, grafanaSecret), token))
		Expect(status).To(Equal(http.StatusOK))
		Expect(answer).To(ContainSubstring(`{"index":1,"reason":"NotAllowed"}`), "who has a token is known by it, signed or not")
		Expect(remediations(ctx, elsewhere)).To(BeEmpty())

		status, answer = r.answers(signs(ctx, body, body, grafanaSecret))
		Expect(status).To(Equal(http.StatusOK))
		Expect(answer).To(MatchJSON(`{"created":1,"repeated":1,"resolved":0,"ignored":0,"foreign":0,"unknown":0,"rejected":[]}`))
		Expect(remediations(ctx, ns)).To(HaveLen(1))
		Expect(only(ctx, elsewhere).Spec.Alert.Name).To(Equal("KubePodCrashLooping"))
	})
})
