package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// timeline prints what happens while it happens, each fact once.
type timeline struct {
	cluster *cluster
	places  []string
	told    map[string]bool
	mu      sync.Mutex
}

func newTimeline(c *cluster, incidents []incident) *timeline {
	t := &timeline{cluster: c, told: map[string]bool{}}
	for _, i := range incidents {
		t.places = append(t.places, i.namespace)
	}
	return t
}

// follow looks twice a second until it is stopped.
func (t *timeline) follow(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, namespace := range t.places {
			t.look(ctx, namespace)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look tells what is new in a namespace. A failed read is no news; the next look comes soon.
func (t *timeline) look(ctx context.Context, namespace string) {
	var remediations v1alpha1.AlertRemediationList
	var runs v1alpha1.WorkflowRunList
	if t.cluster.List(ctx, &remediations, client.InNamespace(namespace)) != nil || t.cluster.List(ctx, &runs, client.InNamespace(namespace)) != nil {
		return
	}
	for i := range remediations.Items {
		t.remediation(&remediations.Items[i])
	}
	for i := range runs.Items {
		t.run(&runs.Items[i])
	}
}

// remediation tells how far a remediation has come.
func (t *timeline) remediation(ar *v1alpha1.AlertRemediation) {
	if ar.Status.Outcome == v1alpha1.OutcomeDuplicate {
		t.tell(ar, "duplicate", "alert     %s is about the same %s: %s takes it", ar.Spec.Alert.Name, ar.Status.Target, ar.Status.DuplicateOf)
		return
	}
	if ar.Status.Target != nil {
		t.tell(ar, "alert", "alert     %s fires, about %s", ar.Spec.Alert.Name, ar.Status.Target)
	}
	if d := ar.Status.Diagnosis; d != nil {
		lines := []string{fmt.Sprintf("cause     %s (%d %%): %s", d.Cause, d.Confidence, d.Summary)}
		for n, e := range d.Evidence {
			if n == 3 {
				break
			}
			lines = append(lines, "            · "+e.Says)
		}
		t.tell(ar, "cause", "%s", strings.Join(lines, "\n"))
	}
	if p := ar.Status.Plan; p != nil && len(p.Steps) > 0 {
		step := p.Steps[0]
		diff := "            " + strings.ReplaceAll(strings.TrimSpace(step.Diff), "\n", "\n            ")
		t.tell(ar, "plan"+p.Digest, "plan      %s of %s, risk %s, mode %s\n%s", step.Action, step.Target, step.Risk, p.Mode, diff)
	}
	if c := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved); c != nil {
		t.tell(ar, "approved"+string(c.Status)+c.Reason, "approval  %s: %s", c.Reason, c.Message)
	}
	if v := ar.Status.Verification; v != nil {
		t.tell(ar, "seen"+string(v.Alert+"/")+string(v.Health), "verify    alert %s, target %s", v.Alert, v.Health)
	}
	if ar.Finished() {
		c := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded)
		t.tell(ar, "end", "end       %s: %s", ar.Status.Outcome, c.Message)
	}
}

// run tells each operation, and as whom it was done.
func (t *timeline) run(run *v1alpha1.WorkflowRun) {
	for _, step := range run.Status.Steps {
		for n, op := range step.Operations {
			if op.State != v1alpha1.OperationClaimed {
				t.tell(run, fmt.Sprint(step.Name, n, op.State), "operation %s %s: %s, as %s", op.Verb, op.Object, op.State, run.Status.Actor)
			}
		}
	}
	if c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.Succeeded); c != nil && c.Status == metav1.ConditionFalse {
		t.tell(run, "failed", "run       %s: %s", c.Reason, c.Message)
	}
}

// tell prints a fact about an object, unless it did before.
func (t *timeline) tell(obj client.Object, fact, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := string(obj.GetUID()) + fact
	if t.told[key] {
		return
	}
	t.told[key] = true
	say("%s  %-16s %s", time.Now().Format(time.TimeOnly), obj.GetNamespace(), fmt.Sprintf(format, args...))
}
