//go:build e2e

package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// TestNamespaces: namespaces that go away, and namespaces that are full, with
// Kubernetes' own controllers to see to both.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	s := newStage(t, kubetest.Compile(t))
	s.server.RunControllers("namespace-controller", "resourcequota-controller")
	t.Run("one goes away between claimed and applied", s.vanish)
	t.Run("one has no room for the run", s.cramped)
	t.Run("one is going, and one has room for one alert only", s.partly)
}

// vanish deletes the namespace of a remediation that has claimed its operation.
func (s *stage) vanish(t *testing.T) {
	g := NewWithT(t)
	var r *round
	gone := make(chan error, 1)
	r = s.open(t, at(write.isEffect, func() { gone <- s.remove(t.Context(), r.ns) }), healed.patience)
	r.until(healed.act, func() bool { return len(gone) > 0 })
	g.Expect(<-gone).To(Succeed())
	began, before := time.Now(), r.ledger.requests()

	g.Eventually(func(ctx context.Context) error {
		err := s.server.Client.Get(ctx, client.ObjectKey{Name: r.ns}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return r.released(ctx) // the lease is elsewhere
		}
		return errors.Join(errors.New("the namespace is still there"), err)
	}).WithContext(t.Context()).WithTimeout(patient).WithPolling(100 * time.Millisecond).Should(Succeed())
	t.Logf("the namespace and the lease were gone after %s: %s", time.Since(began).Round(100*time.Millisecond), r.ledger.requests().since(before))

	before = r.ledger.requests()
	g.Consistently(func() []string {
		var about []string
		for what := range r.ledger.requests().since(before) {
			if strings.Contains(what, r.ns) {
				about = append(about, what)
			}
		}
		return about
	}).WithTimeout(5*time.Second).WithPolling(time.Second).Should(BeEmpty(), "what is gone is asked about no more")
	g.Expect(r.errors()).To(BeNumerically("<=", 3), "no error comes again and again")
	r.close()
}

// remove deletes a namespace, and returns once it takes no more objects.
func (s *stage) remove(ctx context.Context, name string) error {
	return s.server.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// errors counts those that a controller logged.
func (r *round) errors() int {
	said, err := os.ReadFile(r.log.Name())
	NewWithT(r.t).Expect(err).NotTo(HaveOccurred())
	return strings.Count(string(said), `"Reconciler error"`)
}

// cramped plays a remediation in a namespace that has no room for its run at first.
func (s *stage) cramped(t *testing.T) {
	g := NewWithT(t)
	r := s.open(t, undisturbed, healed.patience)
	quota := s.limited(t, r.ns, "workflowruns.kubernaut.io", 0)
	waits := func() bool {
		ar, err := r.remediation(t.Context(), healed.act)
		if err != nil {
			return false
		}
		executed := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Executed)
		return executed != nil && executed.Status == metav1.ConditionUnknown && executed.Reason == v1alpha1.ReasonOverQuota
	}
	r.until(healed.act, waits)
	ar, err := r.remediation(t.Context(), healed.act)
	g.Expect(err).NotTo(HaveOccurred())
	said := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Executed).Message
	g.Expect(said).To(ContainSubstring(quota.Name))
	t.Logf("Executed is Unknown: %s: %s", v1alpha1.ReasonOverQuota, anonymous(said))

	before := r.ledger.requests()
	g.Consistently(waits).WithTimeout(5 * time.Second).WithPolling(time.Second).Should(BeTrue())
	asked := r.ledger.requests().since(before)
	t.Logf("in five seconds of waiting, %d requests: %s", asked.total(), asked)
	g.Expect(asked.total()).To(BeNumerically("<", 20))
	g.Expect(r.errors()).To(BeZero(), "a wait is no error")

	quota.Spec.Hard = roomFor("workflowruns.kubernaut.io", 2)
	g.Expect(s.server.Client.Update(t.Context(), quota)).To(Succeed())
	r.tell(healed).once(t)
}

func roomFor(what string, many int64) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceName("count/" + what): *resource.NewQuantity(many, resource.DecimalSI)}
}

// limited gives a namespace room for so many objects, and waits until they are counted.
func (s *stage) limited(t *testing.T, ns, what string, many int64) *corev1.ResourceQuota {
	t.Helper()
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "tight"},
		Spec:       corev1.ResourceQuotaSpec{Hard: roomFor(what, many)},
	}
	s.server.Create(t.Context(), quota)
	NewWithT(t).Eventually(func(ctx context.Context) (corev1.ResourceList, error) {
		err := s.server.Client.Get(ctx, client.ObjectKeyFromObject(quota), quota)
		return quota.Status.Used, err
	}).WithContext(t.Context()).WithTimeout(patient).ShouldNot(BeEmpty())
	return quota
}

// partly posts one message about three namespaces: one that is going, one with
// room for one alert, and one that is well.
func (s *stage) partly(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()
	r := s.open(t, undisturbed, healed.patience)
	going, tight, well := s.server.Namespace(ctx), s.server.Namespace(ctx), s.server.Namespace(ctx)
	s.server.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: going, Name: "stays", Finalizers: []string{"example.test/stays"}}})
	s.limited(t, tight, "alertremediations.kubernaut.io", 1)
	g.Expect(s.remove(ctx, going)).To(Succeed())
	g.Eventually(func(context.Context) error { return errors.Join(r.revive(ctx), r.up()) }).WithContext(ctx).WithTimeout(patient).Should(Succeed())

	labels := func(ns, queue string) map[string]string {
		return map[string]string{"alertname": "QueueTooLong", "namespace": ns, "queue": queue}
	}
	body := kubetest.Message(alert.Firing, labels(going, "a"), labels(tight, "b"), labels(tight, "c"), labels(well, "d"))
	var code int
	var answer struct {
		Created  int
		Rejected []struct{ Reason string }
	}
	g.Eventually(func(ctx context.Context) error {
		var said []byte
		var err error
		if code, said, err = s.alerts.Post(ctx, body); err != nil {
			return err
		}
		return json.Unmarshal(said, &answer)
	}).WithContext(ctx).WithTimeout(patient).Should(Succeed())
	g.Expect(code).To(Equal(http.StatusOK), "another try would mend nothing")
	g.Expect(answer.Created).To(Equal(2))
	var reasons []string
	for _, rejected := range answer.Rejected {
		reasons = append(reasons, rejected.Reason)
	}
	g.Expect(reasons).To(ConsistOf("NamespaceTerminating", "OverQuota"))
	for _, reason := range reasons {
		g.Expect(s.rejected(ctx, reason)).To(Equal(1))
		g.Eventually(s.told).WithContext(ctx).WithArguments(reason).WithTimeout(patient).Should(ContainSubstring("1 alerts of a message were rejected"))
	}
	r.close()
	held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: going, Name: "stays"}}
	g.Expect(s.server.Client.Patch(ctx, held, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
}

// rejected is how many alerts the operator's metrics say it rejected for a reason.
func (s *stage) rejected(ctx context.Context, reason string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.metrics+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`kubernaut_intake_rejected_alerts_total\{reason="` + reason + `"\} (\d+)`).FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("no metric counts alerts rejected because of %s", reason)
	}
	return strconv.Atoi(string(found[1]))
}

// told returns what an event in the operator's namespace says for a reason.
func (s *stage) told(ctx context.Context, reason string) (string, error) {
	var list eventsv1.EventList
	if err := s.server.Client.List(ctx, &list, client.InNamespace(kubetest.OperatorNamespace)); err != nil {
		return "", err
	}
	at := slices.IndexFunc(list.Items, func(e eventsv1.Event) bool { return e.Reason == reason })
	if at < 0 {
		return "", fmt.Errorf("no event tells of %s", reason)
	}
	return list.Items[at].Note, nil
}
