package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// TestAlert walks the whole path with an alert of one's own, in mode Observe: the
// cause is looked for, and nothing is ever done.
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
	target, err := c.workload(ctx, t.Workload)
	if err != nil {
		return err
	}
	ar := &v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{Namespace: target.Namespace, GenerateName: "test-alert-"},
		Spec: v1alpha1.AlertRemediationSpec{
			Alert:  v1alpha1.Alert{Source: v1alpha1.SourceManual, Name: "KubernautTestAlert", Severity: v1alpha1.SeverityInfo, StartsAt: metav1.Now()},
			Target: &target.ObjectReference,
			Mode:   v1alpha1.ModeObserve,
		},
	}
	if err := c.Create(ctx, ar); err != nil {
		return fmt.Errorf("making a remediation about %s: %w", target, unreachable(err))
	}
	p := printer{to: w}
	p.line("%s in %s, mode Observe: nothing is done", ar.Name, ar.Namespace)
	err = t.follow(ctx, c, ar, &p)
	if !t.Keep {
		if gone := c.Delete(ctx, ar); client.IgnoreNotFound(gone) != nil {
			err = errors.Join(err, fmt.Errorf("removing %s again: %w", ar.Name, gone))
		}
	}
	return errors.Join(err, p.err)
}

// follow prints each condition as it settles, until the end.
func (t TestAlert) follow(ctx context.Context, c Cluster, ar *v1alpha1.AlertRemediation, p *printer) error {
	told := map[string]string{}
	err := wait.PollUntilContextTimeout(ctx, 500*time.Millisecond, t.Timeout, true, func(context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(ar), ar); err != nil {
			return false, unreachable(err)
		}
		for _, name := range []string{v1alpha1.Admitted, v1alpha1.Diagnosed, v1alpha1.Planned, v1alpha1.Succeeded} {
			condition := meta.FindStatusCondition(ar.Status.Conditions, name)
			if condition == nil || name == v1alpha1.Succeeded && !ar.Finished() || told[name] == condition.Message {
				continue
			}
			told[name] = condition.Message
			p.line("%-10s %s: %s", name, condition.Reason, redact.Line(condition.Message, 1024))
		}
		return ar.Finished(), nil
	})
	switch {
	case wait.Interrupted(err) && len(told) == 0:
		return fmt.Errorf("nobody took it up within %s: `kubectl kubernaut doctor` says why", t.Timeout)
	case wait.Interrupted(err):
		return fmt.Errorf("it has not ended within %s", t.Timeout)
	case err != nil:
		return err
	}
	p.line("ended as %s after %s", ar.Status.Outcome, time.Since(ar.CreationTimestamp.Time).Round(time.Second))
	return nil
}
