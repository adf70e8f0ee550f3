package intake_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

func TestIntake(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "intake")
}

var (
	server   *kubetest.Server
	operator client.WithWatch // the operator's own account, with the rights and behind the guards that are shipped
)

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
	server.InstallGuards(ctx)
	var err error
	operator, err = client.NewWithWatch(server.OperatorConfig(ctx), client.Options{Scheme: server.Scheme})
	Expect(err).NotTo(HaveOccurred())
})

var (
	started = time.Date(2026, time.March, 1, 3, 0, 0, 123e6, time.UTC)
	ended   = started.Add(10 * time.Minute)
	now     = started.Add(time.Hour)
)

// replica is one intake, and what can be seen of it from outside.
type replica struct {
	handler  http.Handler
	clock    *clocktesting.FakePassiveClock
	registry *prometheus.Registry
	events   *events.FakeRecorder
	writes   *atomic.Int32
}

// replicaOf is an intake that reads through the one client and writes through
// it, and reads live through the other. Only what reaches the API server counts as a write.
func replicaOf(cached client.WithWatch, live client.Reader, change ...func(*intake.Settings)) *replica {
	r := &replica{
		clock: clocktesting.NewFakePassiveClock(now), registry: prometheus.NewRegistry(),
		events: events.NewFakeRecorder(1000), writes: &atomic.Int32{},
	}
	settings := intake.Settings{Namespace: kubetest.OperatorNamespace, ClusterLabel: "cluster", Ignore: []string{"Watchdog"}}
	for _, c := range change {
		c(&settings)
	}
	counted := interceptor.NewClient(cached, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			r.writes.Add(1)
			return c.Create(ctx, obj, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			r.writes.Add(1)
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		},
	})
	r.handler = intake.New(intake.Cluster{Client: counted, Live: live, Events: r.events}, intake.Door{}, nil, r.clock, settings, r.registry)
	return r
}

func newReplica(change ...func(*intake.Settings)) *replica {
	return replicaOf(operator, operator, change...)
}

// delivery is one alert of a message.
type delivery map[string]any

// crash is a firing KubePodCrashLooping of pod web-1.
func crash(namespace string) delivery {
	return delivery{
		"status":   "firing",
		"labels":   map[string]string{"alertname": "KubePodCrashLooping", "namespace": namespace, "pod": "web-1", "severity": "warning"},
		"startsAt": started.Format(time.RFC3339Nano), "endsAt": "0001-01-01T00:00:00Z",
	}
}

func (d delivery) with(key string, value any) delivery {
	changed := delivery{key: value}
	for k, v := range d {
		if k != key {
			changed[k] = v
		}
	}
	return changed
}

// label returns the delivery with one label changed, or taken away if value is empty.
func (d delivery) label(name, value string) delivery {
	labels := map[string]string{}
	for k, v := range d["labels"].(map[string]string) {
		labels[k] = v
	}
	labels[name] = value
	if value == "" {
		delete(labels, name)
	}
	return d.with("labels", labels)
}

func (d delivery) startedAt(at time.Time) delivery {
	return d.with("startsAt", at.Format(time.RFC3339Nano))
}

func (d delivery) resolvedAt(at time.Time) delivery {
	return d.with("status", "resolved").with("endsAt", at.Format(time.RFC3339Nano))
}

func message(alerts ...delivery) string {
	body, err := json.Marshal(map[string]any{"version": "4", "groupKey": "{}:{}", "alerts": alerts})
	Expect(err).NotTo(HaveOccurred())
	return string(body)
}

func post(ctx context.Context, body string) *http.Request {
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, intake.Path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	return req
}

// answers returns status and body of the answer to a request.
func (r *replica) answers(req *http.Request) (int, string) {
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	resp := w.Result()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	Expect(err).NotTo(HaveOccurred())
	Expect(resp.Header.Get("Content-Type")).To(Equal("application/json"))
	return resp.StatusCode, string(body)
}

// delivered posts alerts and returns the answer without what is zero in it.
func (r *replica) delivered(ctx context.Context, alerts ...delivery) string {
	status, body := r.answers(post(ctx, message(alerts...)))
	if status != http.StatusOK {
		return fmt.Sprint(status)
	}
	var answer struct {
		Created, Repeated, Resolved, Ignored, Foreign, Unknown int
		Rejected                                               []struct {
			Index  int
			Reason string
		}
	}
	Expect(json.Unmarshal([]byte(body), &answer)).To(Succeed())
	Expect(answer.Rejected).NotTo(BeNil(), "rejected is a list")
	var parts []string
	for _, p := range []struct {
		name string
		n    int
	}{
		{"created", answer.Created}, {"repeated", answer.Repeated}, {"resolved", answer.Resolved},
		{"ignored", answer.Ignored}, {"foreign", answer.Foreign}, {"unknown", answer.Unknown},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.name))
		}
	}
	for _, r := range answer.Rejected {
		parts = append(parts, fmt.Sprintf("[%d] %s", r.Index, r.Reason))
	}
	return strings.Join(parts, ", ")
}

// eventReasons returns the reasons of the events so far.
func (r *replica) eventReasons() []string {
	var reasons []string
	for {
		select {
		case e := <-r.events.Events:
			reasons = append(reasons, strings.Fields(e)[1])
		default:
			return reasons
		}
	}
}

// counted returns the value of a counter with this value of its label, if it has one.
func (r *replica) counted(name string, label ...string) float64 {
	families, err := r.registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (len(label) == 0 || m.GetLabel()[0].GetValue() == label[0]) {
				return m.GetCounter().GetValue()
			}
		}
	}
	Fail("no counter " + name)
	return 0
}

func remediations(ctx context.Context, namespace string) []v1alpha1.AlertRemediation {
	list := &v1alpha1.AlertRemediationList{}
	Expect(server.Client.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	return list.Items
}

// only returns the one object of a namespace.
func only(ctx context.Context, namespace string) *v1alpha1.AlertRemediation {
	items := remediations(ctx, namespace)
	Expect(items).To(HaveLen(1))
	return &items[0]
}

// finish ends a remediation as the main controller would.
func finish(ctx context.Context, ar *v1alpha1.AlertRemediation) {
	meta.SetStatusCondition(&ar.Status.Conditions, metav1.Condition{Type: v1alpha1.Succeeded, Status: metav1.ConditionFalse, Reason: string(v1alpha1.OutcomeEscalated)})
	ar.Status.Outcome = v1alpha1.OutcomeEscalated
	Expect(operator.Status().Update(ctx, ar)).To(Succeed())
}
