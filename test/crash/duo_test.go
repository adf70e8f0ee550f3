//go:build e2e

package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest"
	audit "github.com/kubernaut/kubernaut/internal/ledger"
)

// leaderLease is what the leading replica holds.
const leaderLease = "kubernaut-leader"

// duo is the operator as it is shipped: two replicas, of which one leads.
type duo struct {
	*stage
	turnstile *turnstile
	replicas  []*replica
	turn      atomic.Int64
}

// replica is one pod of the operator, with its own token, by which the audit log
// tells it from the other; and in it one process after another.
type replica struct {
	pod            string
	intake, health string // addresses
	alerts         *kubetest.AlertSender
	log            *os.File
	start          func() (*kubetest.Operator, error)
	process        *kubetest.Operator
	restarts       int
}

func newDuo(t *testing.T, program string) *duo {
	t.Helper()
	d := &duo{stage: newStage(t, program)}
	d.turnstile = newTurnstile(t, d.server)
	for _, pod := range []string{"kubernaut-a", "kubernaut-b"} {
		d.replicas = append(d.replicas, d.deploy(t, pod))
	}
	d.ready(t)
	return d
}

// deploy makes a pod and starts its process.
func (d *duo) deploy(t *testing.T, pod string) *replica {
	t.Helper()
	r := &replica{pod: pod, intake: kubetest.FreeAddress(t), health: kubetest.FreeAddress(t)}
	config, kubeconfig := filepath.Join(d.dir, pod+".yaml"), filepath.Join(d.dir, pod+".kubeconfig")
	text := fmt.Sprintf("namespace: %s\nleaderElection: {enabled: true}\nintake: {address: %q}\nmetrics: {address: \"0\"}\nhealth: {address: %q}\n",
		kubetest.OperatorNamespace, r.intake, r.health)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := clientcmd.WriteToFile(direct(d.server.OperatorPod(t.Context(), pod)), kubeconfig); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.log, err = os.Create(filepath.Join(d.dir, pod+".log")); err != nil {
		t.Fatal(err)
	}
	if r.alerts, err = kubetest.NewAlertSender(t.Context(), d.server.Client, r.intake, true); err != nil {
		t.Fatal(err)
	}
	r.start = func() (*kubetest.Operator, error) { return kubetest.Launch(d.program, kubeconfig, config, r.log) }
	if r.process, err = r.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.process.Kill()
		_ = r.log.Close()
	})
	return r
}

// direct is a kubeconfig that leads to the API server itself.
func direct(account *rest.Config) clientcmdapi.Config {
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["server"] = &clientcmdapi.Cluster{Server: account.Host, CertificateAuthorityData: account.CAData}
	cfg.AuthInfos["operator"] = &clientcmdapi.AuthInfo{Token: account.BearerToken}
	cfg.Contexts["direct"] = &clientcmdapi.Context{Cluster: "server", AuthInfo: "operator"}
	cfg.CurrentContext = "direct"
	return *cfg
}

// Post sends a message as through a Service: to a replica that takes it.
func (d *duo) Post(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	for range d.replicas {
		r := d.replicas[d.turn.Add(1)%int64(len(d.replicas))]
		if status, answer, err = r.alerts.Post(ctx, body); err == nil && status == http.StatusOK {
			break
		}
	}
	return status, answer, err
}

// accounts returns the audit lines about the operations in a namespace that a
// replica wrote to stdout when it saw them stored, in short. What it found when it
// began is not among them.
func (r *replica) accounts(t *testing.T, namespace string) []string {
	t.Helper()
	text, err := os.ReadFile(r.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range bytes.Lines(text) {
		var said audit.Line
		if json.Unmarshal(line, &said) == nil && said.Namespace == namespace && said.What == "Operation" && !said.Found { // else it is a log's
			all = append(all, said.From+">"+said.To)
		}
	}
	return all
}

// revive starts what has ended, as the kubelet does.
func (d *duo) revive() error {
	for _, r := range d.replicas {
		if !r.process.Gone() {
			continue
		}
		r.restarts++
		fmt.Fprintf(r.log, "--- ended (%s); the next one starts ---\n", r.process.End())
		var err error
		if r.process, err = r.start(); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until both replicas are ready and one leads.
func (d *duo) ready(t *testing.T) {
	t.Helper()
	NewWithT(t).Eventually(func(ctx context.Context) error {
		if err := d.revive(); err != nil {
			return err
		}
		for _, r := range d.replicas {
			if err := r.ready(ctx); err != nil {
				return err
			}
		}
		_, err := d.holder(ctx)
		return err
	}).WithContext(t.Context()).WithTimeout(patient).WithPolling(100 * time.Millisecond).Should(Succeed())
}

// ready asks a replica as the kubelet does.
func (r *replica) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.health+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %d", r.pod, answer.StatusCode)
	}
	_ = answer.Body.Close()
	return err
}

// holder returns who signs the lease of the leader.
func (d *duo) holder(ctx context.Context) (string, error) {
	var held coordinationv1.Lease
	if err := d.server.Client.Get(ctx, client.ObjectKey{Namespace: kubetest.OperatorNamespace, Name: leaderLease}, &held); err != nil {
		return "", err
	}
	if ptr.Deref(held.Spec.HolderIdentity, "") == "" {
		return "", fmt.Errorf("nobody holds lease %s", leaderLease)
	}
	return *held.Spec.HolderIdentity, nil
}

// term is one replica's time as the leader.
type term struct {
	*replica
	holder string
	since  time.Time
}

// leader returns who leads, by the audit log.
func (d *duo) leader(t *testing.T) term {
	t.Helper()
	var last term
	for _, event := range d.server.AuditIn(kubetest.OperatorNamespace) {
		if event.ObjectRef.Resource != "leases" || event.ResponseStatus == nil || event.ResponseStatus.Code >= 300 || event.ResponseObject == nil {
			continue
		}
		var held coordinationv1.Lease
		if json.Unmarshal(event.ResponseObject.Raw, &held) != nil || held.Name != leaderLease {
			continue
		}
		if holder := ptr.Deref(held.Spec.HolderIdentity, ""); holder != last.holder {
			last = term{replica: d.replica(kubetest.PodOf(event)), holder: holder, since: event.RequestReceivedTimestamp.Time}
		}
	}
	if last.replica == nil || last.holder == "" {
		t.Fatal("nobody leads, as far as the audit log says")
	}
	return last
}

func (d *duo) replica(pod string) *replica {
	if i := slices.IndexFunc(d.replicas, func(r *replica) bool { return r.pod == pod }); i >= 0 {
		return d.replicas[i]
	}
	return nil
}

// next waits until another replica leads than the one that did.
func (d *duo) next(t *testing.T, before term) term {
	t.Helper()
	NewWithT(t).Eventually(func(ctx context.Context) error {
		holder, err := d.holder(ctx)
		if err == nil && holder == before.holder {
			err = fmt.Errorf("%s still holds lease %s", holder, leaderLease)
		}
		return err
	}).WithContext(t.Context()).WithTimeout(patient).WithPolling(50 * time.Millisecond).Should(Succeed())
	after := d.leader(t)
	if after.replica == before.replica {
		t.Fatalf("%s leads again", after.pod)
	}
	return after
}

// episode is an incident that a duo deals with.
type episode struct {
	*duo
	*incident
	t *testing.T
}

func (d *duo) open(t *testing.T) *episode {
	t.Helper()
	d.ready(t)
	in, err := d.incident(t.Context(), healed.patience, d)
	if err != nil {
		t.Fatal(err)
	}
	e := &episode{duo: d, incident: in, t: t}
	t.Cleanup(func() {
		if t.Failed() {
			e.report()
		}
	})
	e.begin(healed.act)
	return e
}

// until lets the story go on until something holds.
func (e *episode) until(what string, holds func(ctx context.Context) bool) {
	e.t.Helper()
	NewWithT(e.t).Eventually(func(ctx context.Context) error {
		if holds(ctx) {
			return nil
		}
		if err := e.advance(ctx, healed.act); err != nil {
			return fmt.Errorf("waiting until %s: %w", what, err)
		}
		return StopTrying("it is over, and was never so that " + what)
	}).WithContext(e.t.Context()).WithTimeout(patient).WithPolling(50 * time.Millisecond).Should(Succeed())
}

// end lets the story go on to its end, and shows by the audit log that it is the
// right one, and that nothing took effect twice.
func (e *episode) end() {
	e.t.Helper()
	g := NewWithT(e.t)
	g.Eventually(func(ctx context.Context) error {
		if err := e.revive(); err != nil {
			return StopTrying(err.Error())
		}
		return e.advance(ctx, healed.act)
	}).WithContext(e.t.Context()).WithTimeout(patient).WithPolling(50 * time.Millisecond).Should(Succeed())
	ar, err := e.remediation(e.t.Context(), healed.act)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ar.Status.Outcome).To(Equal(healed.outcome))
	log := e.server.AuditIn(e.ns)
	g.Expect(effects(log, e.ns)).To(Equal(changes(healed.effects)), "changes of the Deployment")
	g.Expect(made(log, e.ns)).To(Equal(map[string]int{"alertremediations": 1, "workflowruns": healed.runs}), "objects made")
	g.Expect(e.player.played.image).To(Equal(goodImage))
}

// writes counts what each replica wrote of the run, which only a leader does, by the audit log.
func (e *episode) writes() map[string]int {
	count := map[string]int{}
	for _, event := range e.server.AuditIn(e.ns) {
		if event.User.Username == kubetest.OperatorUser && event.ResponseStatus != nil && event.ResponseStatus.Code < 300 &&
			event.ObjectRef.Resource == "workflowruns" {
			count[kubetest.PodOf(event)]++
		}
	}
	return count
}

// report shows what a failed episode has come to.
func (e *episode) report() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	e.t.Log(e.incident.report(ctx))
	for _, event := range e.server.AuditIn(e.ns) {
		if event.ObjectRef.Resource == "deployments" {
			e.t.Log(told(event))
		}
	}
	for _, r := range e.replicas {
		said, err := os.ReadFile(r.log.Name())
		e.t.Logf("--- log of %s (%v)\n%s", r.pod, err, said[max(0, len(said)-16<<10):])
	}
}

// told is an audit event as people read it.
func told(event auditv1.Event) string {
	status, object := "no answer", "none"
	if event.ResponseStatus != nil {
		status = fmt.Sprintf("%d %s", event.ResponseStatus.Code, event.ResponseStatus.Message)
	}
	if event.ResponseObject != nil {
		object = string(event.ResponseObject.Raw)
	}
	return fmt.Sprintf("%s-%s %s %s by %s: %s; object: %.400s", event.RequestReceivedTimestamp.Format(time.StampMicro),
		event.StageTimestamp.Format(time.StampMicro), event.Verb, event.RequestURI, actor(event, event.ObjectRef.Namespace), status, object)
}
