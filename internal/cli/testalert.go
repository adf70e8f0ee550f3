package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// TestAlert has the operator look into a workload as if an alert fired, in mode
// Observe: the cause is looked for, and nothing is ever done. What comes before the
// AlertRemediation, the webhook with its certificate and token, is not tried.
type TestAlert struct {
	// Workload as namespace/name, or namespace/kind/name.
	Workload string
	// Keep the remediation instead of deleting it at the end.
	Keep bool
	// Timeout of the whole walk.
	Timeout time.Duration
}

// Walk makes the remediation, tells what becomes of it as it happens, and removes it.
func (t TestAlert) Walk(ctx context.Context, c Cluster, w io.Writer) error {
	meant, err := c.workload(ctx, t.Workload)
	if err != nil {
		return err
	}
	target := meant.TargetReference
	ar := &v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, GenerateName: "test-alert-"},
		Spec: v1alpha1.AlertRemediationSpec{
			Alert:  v1alpha1.Alert{Source: v1alpha1.SourceManual, Name: "KubernautTestAlert", Severity: v1alpha1.SeverityInfo, StartsAt: metav1.Now()},
			Target: &target.ObjectReference,
			Mode:   v1alpha1.ModeObserve,
		},
	}
	if err := c.Create(ctx, ar); err != nil {
		return fmt.Errorf("making a remediation about %s: %w", target, explained(err))
	}
	p := printer{Screen: Screen{Writer: w}}
	p.line("%s in %s is a test about %s, mode Observe: nothing is done.", ar.Name, ar.Namespace, target)
	p.also("test-alert", meant)
	err = t.follow(ctx, c, ar, &p)
	if !t.Keep {
		// Also after an interrupt: nothing of the walk is left behind.
		if gone := c.Delete(context.WithoutCancel(ctx), ar); client.IgnoreNotFound(gone) != nil {
			err = errors.Join(err, fmt.Errorf("removing it again with `kubectl delete ar %s -n %s`: %w", ar.Name, ar.Namespace, explained(gone)))
		}
	}
	return errors.Join(err, p.err)
}

// follow prints each condition as it settles, until the end.
func (t TestAlert) follow(ctx context.Context, c Cluster, made *v1alpha1.AlertRemediation, p *printer) error {
	told := map[string]string{}
	over := time.NewTimer(t.Timeout)
	defer over.Stop()
	for {
		ar := &v1alpha1.AlertRemediation{} // what is read into keeps what the answer does not mention
		if err := c.Get(ctx, client.ObjectKeyFromObject(made), ar); err != nil {
			return explained(err)
		}
		p.settled(ar, told)
		if ar.Finished() {
			p.line("Ended as %s after %s.", ar.Status.Outcome, time.Since(ar.CreationTimestamp.Time).Round(time.Second))
			return nil
		}
		select {
		case <-ctx.Done():
			return explained(ctx.Err())
		case <-time.After(500 * time.Millisecond):
			continue
		case <-over.C:
		}
		if len(told) == 0 {
			return fmt.Errorf("nobody took it up within %s: `kubectl kubernaut doctor` says why", t.Timeout)
		}
		return fmt.Errorf("it has not ended within %s, it is %s: say --keep and a longer --timeout, then look with `kubectl kubernaut describe`", t.Timeout, state(ar))
	}
}

// settled prints the conditions that say something new.
func (p *printer) settled(ar *v1alpha1.AlertRemediation, told map[string]string) {
	for _, name := range []string{v1alpha1.Admitted, v1alpha1.Diagnosed, v1alpha1.Planned, v1alpha1.Succeeded} {
		condition := meta.FindStatusCondition(ar.Status.Conditions, name)
		if condition == nil || name == v1alpha1.Succeeded && !ar.Finished() || told[name] == condition.Message {
			continue
		}
		told[name] = condition.Message
		p.line("%s", redact.Line(heading(name, condition.Status, condition.Reason)+sentence(condition.Message), 1024))
	}
}
