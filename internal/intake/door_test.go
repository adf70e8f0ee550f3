package intake_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/internal/caller"
	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// wired is an intake with a door, and with an Alertmanager that it may ask.
func wired(door intake.Door, groups intake.Groups) *replica {
	r := &replica{registry: prometheus.NewRegistry(), events: events.NewFakeRecorder(1000), clock: clocktesting.NewFakePassiveClock(now)}
	r.handler = intake.New(intake.Cluster{Client: operator, Live: operator, Events: r.events}, door, groups, r.clock,
		intake.Settings{Namespace: kubetest.OperatorNamespace, ClusterLabel: "cluster"}, r.registry)
	return r
}

// guarded is an intake that asks the API server who posts.
func guarded(reviewer client.Client) *replica {
	clk := clocktesting.NewFakePassiveClock(now)
	r := wired(intake.Door{Callers: caller.New(reviewer, clk, "kubernaut")}, nil)
	r.clock = clk // what it believes ages by this one
	return r
}

// account makes a ServiceAccount and returns its user name, and a token of it for audiences.
func account(ctx context.Context, namespace string, audiences ...string) (user, token string) {
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "sender-"}}
	Expect(server.Client.Create(ctx, sa)).To(Succeed())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	Expect(server.Client.SubResource("token").Create(ctx, sa, request)).To(Succeed())
	return "system:serviceaccount:" + namespace + ":" + sa.Name, request.Status.Token
}

func bearing(req *http.Request, token string) *http.Request {
	req.Header.Set("Authorization", "Bearer "+token)
	return req
}

var _ = Describe("Whoever posts", func() {
	var ns, elsewhere string
	BeforeEach(func(ctx SpecContext) { ns, elsewhere = server.Namespace(ctx), server.Namespace(ctx) })

	It("is told how to come in", func(ctx SpecContext) {
		r := guarded(operator)
		status, body := r.answers(post(ctx, message(crash(ns))))
		Expect(status).To(Equal(http.StatusUnauthorized))
		Expect(body).To(ContainSubstring("kubectl create token ACCOUNT -n NAMESPACE --audience kubernaut"))
		req := post(ctx, message(crash(ns)))
		req.SetBasicAuth("admin", "admin")
		status, _ = r.answers(req)
		Expect(status).To(Equal(http.StatusUnauthorized))
		Expect(remediations(ctx, ns)).To(BeEmpty())
		Expect(r.eventReasons()).To(ContainElement("SenderDenied"))
		Expect(r.counted("kubernaut_intake_messages_total", "denied")).To(BeEquivalentTo(2))
	})

	It("needs a token that is meant for us, not one for the API server", func(ctx SpecContext) {
		user, forUs := account(ctx, ns, "kubernaut")
		server.GrantClusterRole(ctx, ns, user, "kubernaut-alert-sender")
		_, forAPIServer := account(ctx, ns)
		r := guarded(operator)
		for _, token := range []string{forAPIServer, "nonsense", forUs + "x", ""} {
			status, body := r.answers(bearing(post(ctx, message(crash(ns))), token))
			Expect(status).To(Equal(http.StatusUnauthorized), body)
		}
		status, body := r.answers(bearing(post(ctx, message(crash(ns))), forUs))
		Expect(status).To(Equal(http.StatusOK), body)
		Expect(only(ctx, ns).Spec.Alert.Name).To(Equal("KubePodCrashLooping"))
	})

	It("may send about the namespaces it is bound in", func(ctx SpecContext) {
		user, token := account(ctx, ns, "kubernaut")
		r := guarded(operator)
		status, body := r.answers(bearing(post(ctx, message(crash(ns), crash(elsewhere))), token))
		Expect(status).To(Equal(http.StatusForbidden))
		Expect(body).To(And(ContainSubstring(user), ContainSubstring("kubernaut-alert-sender")))

		server.GrantClusterRole(ctx, ns, user, "kubernaut-alert-sender")
		r.clock.SetTime(now.Add(11 * time.Second)) // the no is not believed for ever
		status, body = r.answers(bearing(post(ctx, message(crash(ns), crash(elsewhere))), token))
		Expect(status).To(Equal(http.StatusOK))
		Expect(body).To(MatchJSON(`{"created":1,"repeated":0,"resolved":0,"ignored":0,"foreign":0,"unknown":0,"rejected":[{"index":1,"reason":"NotAllowed"}]}`))
		Expect(remediations(ctx, ns)).To(HaveLen(1))
		Expect(remediations(ctx, elsewhere)).To(BeEmpty())
	})

	It("is sent away, neither in nor out, while nobody knows who it is", func(ctx SpecContext) {
		user, token := account(ctx, ns, "kubernaut")
		server.GrantClusterRole(ctx, ns, user, "kubernaut-alert-sender")
		for _, kind := range []string{"*v1.TokenReview", "*v1.SubjectAccessReview"} {
			away := interceptor.NewClient(operator, interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
					if fmt.Sprintf("%T", obj) == kind {
						return errors.New("connection refused")
					}
					return c.Create(ctx, obj, opts...)
				},
			})
			status, body := guarded(away).answers(bearing(post(ctx, message(crash(ns))), token))
			Expect(status).To(Equal(http.StatusServiceUnavailable), kind)
			Expect(body).To(ContainSubstring("again"))
		}
		Expect(remediations(ctx, ns)).To(BeEmpty())
	})
})

var _ = Describe("Too much at once", func() {
	It("is answered 503 at once, and taken when there is room again", func(ctx SpecContext) {
		ns, r := server.Namespace(ctx), newReplica()
		answers := make(chan int)
		var slow []*io.PipeWriter
		for range 4 { // of 4 MiB each, which fill the room, and do not come
			reader, writer := io.Pipe()
			req := httptest.NewRequestWithContext(ctx, http.MethodPost, intake.Path, reader)
			req.Header.Set("Content-Type", "application/json")
			req.ContentLength = alert.MaxBody
			slow = append(slow, writer)
			go func() {
				w := httptest.NewRecorder()
				r.handler.ServeHTTP(w, req)
				answers <- w.Code
			}()
			_, err := writer.Write([]byte(`{`)) // it is being read: it has its place
			Expect(err).NotTo(HaveOccurred())
		}
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, post(ctx, message(crash(ns))))
		Expect(w.Code).To(Equal(http.StatusServiceUnavailable))
		Expect(w.Header().Get("Retry-After")).To(Equal("1"))
		Expect(w.Body.String()).To(MatchJSON(`{"error":"too many messages at once; send this one again"}`))
		Expect(r.counted("kubernaut_intake_messages_total", "overload")).To(BeEquivalentTo(1))
		for _, writer := range slow {
			Expect(writer.Close()).To(Succeed())
			Expect(<-answers).To(Equal(http.StatusBadRequest))
		}
		Expect(r.delivered(ctx, crash(ns))).To(Equal("1 created"))
	})
})

const grafanaSecret = "a secret of sixteen bytes or more"

func signed(timestamp, body, secret string) string {
	sum := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(sum, timestamp+":"+body)
	return hex.EncodeToString(sum.Sum(nil))
}

// TestSignaturesAreBelieved needs no API server: a message without alerts stores nothing.
func TestSignaturesAreBelieved(t *testing.T) {
	const body = `{"version":"1","alerts":[]}`
	at := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).Unix(), 10) }
	rows := map[string]struct {
		secret, timestamp, signature string
		want                         int
	}{
		"one of our secret":                  {grafanaSecret, at(0), signed(at(0), body, grafanaSecret), http.StatusOK},
		"one with the secret's newline off":  {grafanaSecret + "\n", at(0), signed(at(0), body, grafanaSecret), http.StatusOK},
		"one in capital letters":             {grafanaSecret, at(0), strings.ToUpper(signed(at(0), body, grafanaSecret)), http.StatusOK},
		"one of a clock that is a bit ahead": {grafanaSecret, at(4 * time.Minute), signed(at(4*time.Minute), body, grafanaSecret), http.StatusOK},
		"not one of another secret":          {grafanaSecret, at(0), signed(at(0), body, "another"), http.StatusUnauthorized},
		"not one of another body":            {grafanaSecret, at(0), signed(at(0), body+" ", grafanaSecret), http.StatusUnauthorized},
		"not one of another time":            {grafanaSecret, at(0), signed(at(time.Second), body, grafanaSecret), http.StatusUnauthorized},
		"not one that is replayed":           {grafanaSecret, at(-6 * time.Minute), signed(at(-6*time.Minute), body, grafanaSecret), http.StatusUnauthorized},
		"not one of the future":              {grafanaSecret, at(time.Hour), signed(at(time.Hour), body, grafanaSecret), http.StatusUnauthorized},
		"not one without a time":             {grafanaSecret, "", signed("", body, grafanaSecret), http.StatusUnauthorized},
		"not one of a time that is none":     {grafanaSecret, "-9223372036854775808", signed("-9223372036854775808", body, grafanaSecret), http.StatusUnauthorized},
		"not half of one":                    {grafanaSecret, at(0), signed(at(0), body, grafanaSecret)[:32], http.StatusUnauthorized},
		"not what is none":                   {grafanaSecret, at(0), "sha256=x", http.StatusUnauthorized},
		"nothing, with no signature":         {grafanaSecret, at(0), "", http.StatusUnauthorized},
		"nothing yet, with no secret":        {"", at(0), signed(at(0), body, ""), http.StatusServiceUnavailable},
		"nothing yet, with a short secret":   {"short", at(0), signed(at(0), body, "short"), http.StatusServiceUnavailable},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte(row.secret), 0o600); err != nil {
				t.Fatal(err)
			}
			door := intake.Door{
				Callers:    caller.New(nil, clocktesting.NewFakePassiveClock(now), "kubernaut"), // is asked about tokens only
				Signatures: &intake.Signatures{Header: "X-Sig", TimestampHeader: "X-Time", SecretFile: file},
			}
			handler := intake.New(intake.Cluster{Events: events.NewFakeRecorder(10)}, door, nil, clocktesting.NewFakePassiveClock(now),
				intake.Settings{}, prometheus.NewRegistry())
			req := post(t.Context(), body)
			req.Header.Set("X-Time", row.timestamp)
			req.Header.Set("X-Sig", row.signature)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, req)
			if w.Code != row.want {
				t.Errorf("answered %d %s, want %d", w.Code, w.Body, row.want)
			}
		})
	}
}
