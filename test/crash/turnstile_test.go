//go:build e2e

package crash

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// turnstile is asked by the API server about every change of a Deployment before
// it is stored: a place between an operation's claim and its effect that is nobody's
// connection, so that nothing lies between an operator and its API server.
type turnstile struct {
	front *httptest.Server

	mu     sync.Mutex
	asked  int
	halted map[string]chan func() // by namespace
}

func newTurnstile(t *testing.T, server *kubetest.Server) *turnstile {
	t.Helper()
	s := &turnstile{halted: map[string]chan func(){}}
	s.front = httptest.NewUnstartedServer(s)
	s.front.Config.ErrorLog = log.New(io.Discard, "", 0) // API servers are killed
	s.front.StartTLS()
	t.Cleanup(func() { s.front.CloseClientConnections() }) // whoever still waits
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.front.Certificate().Raw})
	server.Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "turnstile"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "turnstile.example.test", AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: ptr.To(int32(30)),
			SideEffects:   ptr.To(admissionregistrationv1.SideEffectClassNone),
			FailurePolicy: ptr.To(admissionregistrationv1.Fail),
			ClientConfig:  admissionregistrationv1.WebhookClientConfig{URL: &s.front.URL, CABundle: authority},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
			}},
		}},
	})
	s.await(t, server)
	return s
}

// await waits until the API server, which reads webhooks in the background, asks.
func (s *turnstile) await(t *testing.T, server *kubetest.Server) {
	t.Helper()
	probe := build.Deployment(server.Namespace(t.Context()), "probe").Obj()
	server.Create(t.Context(), probe)
	asked := func(ctx context.Context) (bool, error) {
		patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{"at":%q}}}`, time.Now()))
		if err := server.Client.Patch(ctx, probe, patch, client.DryRunAll); err != nil {
			return false, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.asked > 0, nil
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, asked); err != nil {
		t.Fatalf("waiting for the turnstile to be asked: %v", err)
	}
}

// halt keeps the next change by the remediator of a namespace waiting. When it is
// there, it hands over what lets it through.
func (s *turnstile) halt(namespace string) <-chan func() {
	arrived := make(chan func(), 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halted[namespace] = arrived
	return arrived
}

// stop returns where to report a change that is to wait, once.
func (s *turnstile) stop(r *admissionv1.AdmissionRequest) (chan func(), bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if ptr.Deref(r.DryRun, false) || r.UserInfo.Username != kubetest.RemediatorUser(r.Namespace) {
		return nil, false
	}
	arrived, ok := s.halted[r.Namespace]
	delete(s.halted, r.Namespace)
	return arrived, ok
}

// ServeHTTP allows everything, some of it later. A change whose sender is gone is not
// waited for by the API server any more.
func (s *turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "want an AdmissionReview", http.StatusBadRequest)
		return
	}
	if arrived, waits := s.stop(review.Request); waits {
		passed := make(chan struct{})
		arrived <- sync.OnceFunc(func() { close(passed) })
		select {
		case <-passed:
		case <-r.Context().Done():
			return
		}
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	_ = json.NewEncoder(w).Encode(review)
}
