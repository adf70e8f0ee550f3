package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// underWay are the runs that have begun and not ended.
func underWay(runs []v1alpha1.WorkflowRun) []v1alpha1.WorkflowRun {
	return slices.DeleteFunc(slices.Clone(runs), func(run v1alpha1.WorkflowRun) bool { return run.Finished() || run.Status.Actor == "" })
}

// leave decides about runs that are under way: they are not cut off while anybody
// may still carry them out, and not without being shown.
func (u Uninstall) leave(ctx context.Context, c Cluster, p *printer, begun []v1alpha1.WorkflowRun) error {
	if len(begun) == 0 {
		return nil
	}
	if run := begun[0]; !u.Abandon {
		return fmt.Errorf("run %[1]s in %[2]s is under way: wait for it, or stop it with `kubectl patch wr %[1]s -n %[2]s --type=merge -p '{\"spec\":{\"cancelled\":true}}'`; "+
			"if no operator is left to do that, `kubectl kubernaut uninstall%[3]s --abandon` shows what is half done", run.Name, run.Namespace, u.Operator.flags())
	}
	if err := u.atWork(ctx, c, p); err != nil {
		return err
	}
	p.line("Under way, with nobody to end them: %d. What they did stays as it is, and nobody looks whether it helped.", len(begun))
	for i := range begun {
		p.halfDone(&begun[i])
	}
	p.line("What would take each operation back is in the runs only. Keep them: kubectl get wr -A -o yaml > runs.yaml")
	return p.err
}

// atWork says who may still carry runs out. A leader writes its Lease every second,
// so it is watched for longer than it lasts: the clock of whoever types may be wrong,
// and a replica may be about to take it.
func (u Uninstall) atWork(ctx context.Context, c Cluster, p *printer) error {
	before, err := c.leader(ctx, u.Operator)
	if err != nil {
		return err
	}
	watched := max(u.Patience, time.Duration(ptr.Deref(before.Spec.LeaseDurationSeconds, 0))*time.Second)
	p.line("Looking for %s whether an operator is at work.", watched)
	over := time.NewTimer(watched)
	defer over.Stop()
	for last := false; ; {
		now, err := c.leader(ctx, u.Operator)
		switch {
		case err != nil:
			return err
		case now.ResourceVersion != before.ResourceVersion:
			return fmt.Errorf("an operator is at work, for its Lease %s/%s was just written: cancel the run and let it end, or stop the operator with `%s` and say it again",
				u.Operator.Namespace, leaderLease, u.Operator.stopIt())
		case last && before.ResourceVersion == "":
			return u.wanted(ctx, c)
		case last:
			return nil
		}
		select {
		case <-ctx.Done():
			return explained(ctx.Err())
		case <-over.C:
			last = true
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// wanted says whether an operator is meant to run that needs no Lease to be at work.
func (u Uninstall) wanted(ctx context.Context, c Cluster) error {
	deployment, err := c.deployment(ctx, u.Operator)
	switch {
	case err != nil:
		return explained(err)
	case deployment != nil && ptr.Deref(deployment.Spec.Replicas, 1) > 0:
		return errors.New("an operator may be at work, without a Lease that would tell: stop it with `" + u.Operator.stopIt() + "` and say it again")
	}
	return nil
}

// leader reads the Lease of the leading replica; an empty one if there is none.
func (c Cluster) leader(ctx context.Context, o Operator) (*coordinationv1.Lease, error) {
	held := &coordinationv1.Lease{}
	err := c.Get(ctx, types.NamespacedName{Namespace: o.Namespace, Name: leaderLease}, held)
	if apierrors.IsNotFound(err) {
		return &coordinationv1.Lease{}, nil
	}
	return held, explained(err)
}

// stages say how far an operation is that nobody will carry on.
var stages = map[v1alpha1.OperationState]string{
	"":                        "not begun",
	v1alpha1.OperationClaimed: "may be done or not, look",
	v1alpha1.OperationApplied: "done",
	v1alpha1.OperationRefused: "refused, nothing was changed by it",
	v1alpha1.OperationUndone:  "taken back",
}

// halfDone prints how far a run is, and how to look at each object it may have changed.
func (p *printer) halfDone(run *v1alpha1.WorkflowRun) {
	p.line("%s in %s, as %s", run.Name, run.Namespace, redact.Line(run.Status.Actor, widest))
	told := false
	for _, step := range run.Status.Steps {
		for _, op := range step.Operations {
			told = true
			p.line("  %s of %s %s: %s", op.Verb, spelled(op.Object.Kind), spelled(op.Object.Name), stages[op.State])
			if op.State == v1alpha1.OperationClaimed || op.State == v1alpha1.OperationApplied {
				p.line("    %s", lookAt(op.Object))
			}
		}
	}
	if !told {
		p.line("  nothing was done yet")
	}
}

// lookAt is the command that shows an object, and who wrote to it.
func lookAt(ref v1alpha1.ObjectReference) string {
	kind := strings.ToLower(ref.Kind)
	if group := ref.GroupVersionKind().Group; group != "" {
		kind += "." + group
	}
	where := ""
	if ref.Namespace != "" {
		where = "-n " + word(ref.Namespace, "NAMESPACE") + " "
	}
	return fmt.Sprintf("kubectl %sget %s %s -o yaml --show-managed-fields", where, word(kind, "KIND"), word(ref.Name, "NAME"))
}
