package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"text/template"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	operatorNamespace = "kubernaut-system"
	// baseline is how long the workloads run before they are broken.
	baseline = 30 * time.Second
)

// tour is one showing of the incidents.
type tour struct {
	*cluster
	incidents []incident
	started   time.Time
}

// prepare installs the operator and the tenants, and waits until all is well.
func (t *tour) prepare(ctx context.Context) error {
	say("\nInstalling the operator (kubectl apply -k hack/demo/overlay: config/default and a NodePort) …")
	install := func() error {
		_, err := t.output(ctx, t.kubectl, "--kubeconfig", t.kubeconfig, "apply", "-k", filepath.Join("hack", "demo", "overlay"))
		return err
	}
	// The API server may take a moment to serve the kinds that were just defined.
	if err := t.eventually(ctx, 30*time.Second, install); err != nil {
		return err
	}
	if err := t.count(ctx); err != nil {
		return err
	}
	if err := t.rolledOut(ctx, operatorNamespace, "kubernaut"); err != nil {
		return t.explain(ctx, operatorNamespace, err)
	}
	if err := t.raiseCeiling(ctx); err != nil {
		return err
	}
	if err := t.quotasCounted(ctx); err != nil {
		return t.explain(ctx, operatorNamespace, err)
	}
	say("Installing the tenants, each made healable by: kubectl kubernaut grant NAMESPACE --level full | kubectl apply -f -")
	for _, i := range t.incidents {
		if err := t.tenant(ctx, i); err != nil {
			return err
		}
	}
	for _, i := range t.incidents {
		if err := t.rolledOut(ctx, i.namespace, i.workload); err != nil {
			return t.explain(ctx, i.namespace, err)
		}
		if err := t.eventually(ctx, time.Minute, func() error { return t.get(ctx, i.namespace, i.workload, "/") }); err != nil {
			return t.explain(ctx, i.namespace, fmt.Errorf("waiting for %s/%s to serve: %w", i.namespace, i.workload, err))
		}
	}
	return t.settle(ctx)
}

// settle lets the baselines run for a while, since a release that never ran is
// nothing to return to, and then opens the way from Prometheus to the operator.
func (t *tour) settle(ctx context.Context) error {
	say("All serve. They run for %s, so that there is a good state to return to …", baseline)
	wait := time.NewTimer(baseline)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
	}
	if err := t.eventually(ctx, time.Minute, func() error { return t.quiet(ctx) }); err != nil {
		return err
	}
	return t.sendAlerts(ctx)
}

// quiet reports an error while an alert fires that nobody has given cause for yet.
func (t *tour) quiet(ctx context.Context) error {
	if t.existing {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.place.URLs["prometheus"]+"/api/v1/alerts", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking Prometheus for alerts: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string `json:"labels"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("reading the alerts of Prometheus: %w", err)
	}
	if n := len(answer.Data.Alerts); n > 0 {
		return fmt.Errorf("%d alerts are active before anything went wrong, for example %v", n, answer.Data.Alerts[0].Labels)
	}
	return nil
}

// tenant makes one namespace with its shop and its grant.
func (t *tour) tenant(ctx context.Context, i incident) error {
	program, err := os.ReadFile(filepath.Join("hack", "demo", "manifests", "shop.py"))
	if err != nil {
		return err
	}
	text, err := json.Marshal(string(program)) // JSON is YAML
	if err != nil {
		return err
	}
	tmpl, err := template.ParseFiles(filepath.Join("hack", "demo", "manifests", "shop.yaml"))
	if err != nil {
		return err
	}
	var rendered bytes.Buffer
	if err := tmpl.Execute(&rendered, map[string]any{
		"Namespace": i.namespace, "Mode": i.mode, "Service": i.workload, "Program": string(text),
		"Workloads": append([]workload{{Name: i.workload, Release: "1.0.0", Replicas: 1}}, i.beside...),
	}); err != nil {
		return err
	}
	if err := t.apply(ctx, rendered.Bytes()); err != nil {
		return err
	}
	grant, err := t.output(ctx, filepath.Join(t.bin, "kubectl-kubernaut"), "grant", i.namespace, "--level", "full")
	if err != nil {
		return err
	}
	return t.apply(ctx, grant)
}

// run makes the workloads sick, one a moment after the other, and follows each
// to its end.
func (t *tour) run(ctx context.Context) ([]result, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	say("\nAll is well. Now things go wrong.\n")
	follower := newTimeline(t.cluster, t.incidents)
	var wg sync.WaitGroup
	watching, stop := context.WithCancel(ctx)
	wg.Go(func() { follower.follow(watching) })
	results := make([]result, len(t.incidents))
	faults := make([]error, len(t.incidents))
	var each sync.WaitGroup
	for n, i := range t.incidents {
		say("%s  %-16s %s", time.Now().Format(time.TimeOnly), i.namespace, i.story)
		if err := i.sick(ctx, t.cluster); err != nil {
			stop()
			return nil, err
		}
		broken := time.Now()
		each.Go(func() { results[n], faults[n] = t.judge(ctx, i, broken) })
	}
	each.Wait()
	stop()
	wg.Wait()
	return results, errors.Join(faults...)
}

// count learns how many nodes there are.
func (t *tour) count(ctx context.Context) error {
	var nodes corev1.NodeList
	if err := t.List(ctx, &nodes); err != nil {
		return fmt.Errorf("listing the nodes: %w", err)
	}
	t.nodes = len(nodes.Items)
	return nil
}

// rolledOut waits until a Deployment has all the pods it asks for.
func (t *tour) rolledOut(ctx context.Context, namespace, name string) error {
	return t.eventually(ctx, 2*time.Minute, func() error {
		var d appsv1.Deployment
		if err := t.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &d); err != nil {
			return err
		}
		if d.Status.ObservedGeneration < d.Generation || d.Status.UpdatedReplicas < *d.Spec.Replicas || d.Status.AvailableReplicas < *d.Spec.Replicas {
			return fmt.Errorf("deployment %s/%s: %d of %d pods available", namespace, name, d.Status.AvailableReplicas, *d.Spec.Replicas)
		}
		return nil
	})
}

// eventually tries until it works, and returns the last reason when it never does.
func (t *tour) eventually(ctx context.Context, patience time.Duration, try func() error) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-deadline.C:
			return err
		case <-tick.C:
		}
	}
}

// explain adds what a person needs to find the cause: pods and events.
func (t *tour) explain(ctx context.Context, namespace string, err error) error {
	ctx = context.WithoutCancel(ctx)
	for _, args := range [][]string{{"get", "pods,deployments,ar,wr", "-o", "wide"}, {"get", "events", "--sort-by=.lastTimestamp"}} {
		out, failed := t.output(ctx, t.kubectl, append([]string{"--kubeconfig", t.kubeconfig, "-n", namespace}, args...)...)
		if failed == nil {
			fmt.Fprintf(os.Stderr, "\n%s in %s:\n%s", args[1], namespace, out)
		}
	}
	if out, failed := t.output(ctx, t.kubectl, "--kubeconfig", t.kubeconfig, "-n", operatorNamespace, "logs", "deployment/kubernaut", "--tail=60"); failed == nil {
		fmt.Fprintf(os.Stderr, "\nthe operator's log:\n%s", out)
	}
	return err
}

// restarts counts the restarts of a workload's pods.
func (t *tour) restarts(ctx context.Context, namespace, app string) (int32, error) {
	var pods corev1.PodList
	if err := t.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{"app": app}); err != nil {
		return 0, fmt.Errorf("listing the pods of %s/%s: %w", namespace, app, err)
	}
	total := int32(0)
	for _, pod := range pods.Items {
		for _, c := range pod.Status.ContainerStatuses {
			total += c.RestartCount
		}
	}
	return total, nil
}
