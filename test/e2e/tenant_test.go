//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"text/template"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// tenant is a namespace of its own with one workload behind a Service.
type tenant struct {
	ns, app, container string
	replicas           int
	mode               v1alpha1.Mode
}

// newTenant makes one, and waits until it serves.
func newTenant(ctx context.Context, level string, change ...func(*tenant)) *tenant {
	GinkgoHelper()
	t := &tenant{ns: "t-" + rand.String(6), app: "w-" + rand.String(5), container: "c-" + rand.String(4), replicas: 1, mode: v1alpha1.ModeAuto}
	for _, c := range change {
		c(t)
	}
	text, err := os.ReadFile(filepath.Join(cluster.root, "test", "e2e", "testdata", "tenant.yaml"))
	Expect(err).NotTo(HaveOccurred())
	program, err := os.ReadFile(filepath.Join(cluster.root, "hack", "demo", "manifests", "shop.py"))
	Expect(err).NotTo(HaveOccurred())
	quoted, err := json.Marshal(string(program))
	Expect(err).NotTo(HaveOccurred())
	var rendered bytes.Buffer
	Expect(template.Must(template.New("tenant").Parse(string(text))).Execute(&rendered, map[string]any{
		"Namespace": t.ns, "App": t.app, "Container": t.container, "Replicas": t.replicas, "Mode": t.mode, "Program": string(quoted),
	})).To(Succeed())
	cluster.apply(ctx, rendered.Bytes())
	if level != "" {
		cluster.apply(ctx, cluster.output(ctx, cluster.bin("kubectl-kubernaut"), "grant", t.ns, "--level", level))
	}
	cluster.kubectl(ctx, "-n", t.ns, "rollout", "status", "deployment/"+t.app, "--timeout=120s")
	Eventually(t.serves).WithContext(ctx).Should(Succeed())
	DeferCleanup(func(ctx SpecContext) { cluster.kubectl(ctx, "delete", "namespace", t.ns, "--wait=false") })
	return t
}

// serves asks the workload through its Service.
func (t *tenant) serves(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err := cluster.clients.CoreV1().Services(t.ns).ProxyGet("http", t.app, "80", "/", nil).DoRaw(ctx)
	return err
}

// proven is how long a release must have run before it counts as one to return to.
const proven = 25 * time.Second

// release rolls out the release that ends at once, after the first one has proven itself.
func (t *tenant) release(ctx context.Context) {
	GinkgoHelper()
	Eventually(t.readyFor).WithContext(ctx).Should(BeNumerically(">=", proven))
	cluster.kubectl(ctx, "-n", t.ns, "patch", "deployment", t.app, "--type=json",
		"-p", `[{"op":"replace","path":"/spec/template/spec/containers/0/args","value":["--release=2.0.0"]}]`)
}

// readyFor returns how long the youngest pod of the workload has been ready.
func (t *tenant) readyFor(ctx context.Context) (time.Duration, error) {
	var pods corev1.PodList
	if err := cluster.List(ctx, &pods, client.InNamespace(t.ns), client.MatchingLabels{"run": t.app}); err != nil {
		return 0, err
	}
	var since time.Time
	for _, pod := range pods.Items {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.LastTransitionTime.After(since) {
				since = c.LastTransitionTime.Time
			}
		}
	}
	return time.Since(since), nil
}

// crashing returns the pods whose container crashed at least twice.
func (t *tenant) crashing(ctx context.Context) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := cluster.List(ctx, &pods, client.InNamespace(t.ns)); err != nil {
		return nil, err
	}
	var found []corev1.Pod
	for _, pod := range pods.Items {
		for _, c := range pod.Status.ContainerStatuses {
			if c.RestartCount >= 2 || c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff" {
				found = append(found, pod)
			}
		}
	}
	return found, nil
}

// alert is one alert as Alertmanager sends it.
func (t *tenant) alert(name string, labels map[string]string) map[string]any {
	all := map[string]string{"alertname": name, "namespace": t.ns, "severity": "warning"}
	for k, v := range labels {
		all[k] = v
	}
	return map[string]any{
		"status": "firing", "labels": all, "annotations": map[string]string{"summary": "it crashes"},
		"startsAt": time.Now().UTC().Format(time.RFC3339Nano), "endsAt": "0001-01-01T00:00:00Z",
		"generatorURL": "http://prometheus/graph",
	}
}

// post sends alerts to the webhook and returns when the first byte left.
func (t *tenant) post(ctx context.Context, status string, alerts ...map[string]any) time.Time {
	GinkgoHelper()
	for _, a := range alerts {
		a["status"] = status
		if status == "resolved" {
			a["endsAt"] = time.Now().UTC().Format(time.RFC3339Nano)
		}
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": fmt.Sprintf("{}:{namespace=%q}", t.ns), "status": status, "receiver": "kubernaut",
		"groupLabels": map[string]string{}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		"externalURL": "http://alertmanager", "alerts": alerts,
	})
	Expect(err).NotTo(HaveOccurred())
	began := time.Now()
	code, said, err := cluster.Alerts.Post(ctx, body)
	Expect(err).NotTo(HaveOccurred())
	Expect(code).To(Equal(http.StatusOK), "%s", said)
	return began
}

// remediations returns those of the namespace.
func (t *tenant) remediations(ctx context.Context) ([]v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	err := cluster.List(ctx, &list, client.InNamespace(t.ns))
	return list.Items, err
}

// ended waits for the one remediation that is no duplicate, and returns it.
func (t *tenant) ended(ctx context.Context) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	var found *v1alpha1.AlertRemediation
	Eventually(func(g Gomega) {
		all, err := t.remediations(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		for i := range all {
			g.Expect(all[i].Finished()).To(BeTrue(), "%s is %s: %+v", all[i].Name, all[i].Status.Phase, all[i].Status.Conditions)
			if all[i].Status.Outcome != v1alpha1.OutcomeDuplicate {
				found = &all[i]
			}
		}
		g.Expect(found).NotTo(BeNil(), "no remediation in %s yet", t.ns)
	}).WithContext(ctx).WithTimeout(4 * time.Minute).Should(Succeed())
	return found
}
