package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	if !u.Yes {
		p.line("What would take each operation back is in the runs only. Keep them: kubectl get wr -A -o yaml > runs.yaml")
		return p.err
	}
	p.line("What would take each operation back is in the runs only, which are removed now:")
	return p.whole(begun)
}

// whole prints runs as they are stored, so that what they did can still be taken back
// by hand: as JSON, in which whatever a terminal would obey can be spelled.
func (p *printer) whole(runs []v1alpha1.WorkflowRun) error {
	list := v1alpha1.WorkflowRunList{Items: slices.Clone(runs)}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("WorkflowRunList"))
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("WorkflowRun"))
		list.Items[i].ManagedFields = nil
	}
	text, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("showing the runs: %w", err)
	}
	p.line("%s", inASCII(text))
	return p.err
}

// inASCII spells what is not ASCII in JSON, where it can only be within a string.
// (Control characters below are spelled already; DEL is not.)
func inASCII(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		if r < 0x7f {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// takeover is how long after a Lease ran out somebody may still take it: 2.2 times
// the retry period of a second, and what is slow.
const takeover = 5 * time.Second

// atWork says who may still carry runs out, wherever they are installed: whoever
// types may have named another namespace. A leader writes its Lease every second, so
// it is watched for longer than it lasts: the clock of whoever types may be wrong,
// and a replica may be about to take it. Where an operator is meant to run at all,
// one that is down for a moment comes back.
func (u Uninstall) atWork(ctx context.Context, c Cluster, p *printer) error {
	before, err := c.leaders(ctx)
	if err != nil {
		return err
	}
	watched := u.Patience
	for _, held := range before {
		watched = max(watched, time.Duration(ptr.Deref(held.Spec.LeaseDurationSeconds, 0))*time.Second+takeover)
	}
	p.line("Looking for %s whether an operator is at work.", watched)
	over := time.NewTimer(watched)
	defer over.Stop()
	for last := false; ; {
		now, err := c.leaders(ctx)
		if err != nil {
			return err
		}
		if writer, found := written(before, now); found {
			return fmt.Errorf("an operator is at work, for its Lease %s/%s was just written: cancel the run and let it end, or stop the operator with `%s` and say it again",
				writer.Namespace, leaderLease, writer.stopIt())
		}
		if last {
			return c.wanted(ctx)
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

// leaders are the Leases of whoever leads or led, in all namespaces.
func (c Cluster) leaders(ctx context.Context) ([]coordinationv1.Lease, error) {
	var held coordinationv1.LeaseList
	err := c.List(ctx, &held, client.MatchingFields{"metadata.name": leaderLease})
	return held.Items, explained(err)
}

// written returns whose Lease is another one than before. It is pure.
func written(before, now []coordinationv1.Lease) (Operator, bool) {
	for _, held := range now {
		same := func(b coordinationv1.Lease) bool {
			return b.Namespace == held.Namespace && b.ResourceVersion == held.ResourceVersion
		}
		if !slices.ContainsFunc(before, same) {
			return Operator{Namespace: held.Namespace}, true
		}
	}
	return Operator{}, false
}

// wanted says whether an operator is meant to run: one without leader election has no
// Lease, or an old one, and one that is down for a moment comes back.
func (c Cluster) wanted(ctx context.Context) error {
	var deployments appsv1.DeploymentList
	if err := c.List(ctx, &deployments, ofOperator); err != nil {
		return explained(err)
	}
	for _, d := range deployments.Items {
		if ptr.Deref(d.Spec.Replicas, 1) > 0 {
			return fmt.Errorf("an operator is meant to run, Deployment %s/%s, and may be at work or come back: stop it with `%s` and say it again",
				d.Namespace, d.Name, Operator{Namespace: d.Namespace}.stopIt())
		}
	}
	return nil
}

// stages say how far an operation is that nobody will carry on.
var stages = map[v1alpha1.OperationState]string{
	"":                        "not begun",
	v1alpha1.OperationClaimed: "may be done or not, look",
	v1alpha1.OperationApplied: "done",
	v1alpha1.OperationSkipped: "skipped: the pod was ready, gone or replaced, nothing was changed by it",
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
			stage := stages[op.State]
			if op.State == v1alpha1.OperationApplied && takingBack(run) {
				stage = "done, or taken back already, look"
			}
			p.line("  %s of %s %s: %s", op.Verb, spelled(op.Object.Kind), spelled(op.Object.Name), stage)
			if op.State == v1alpha1.OperationClaimed || op.State == v1alpha1.OperationApplied {
				p.line("    %s", lookAt(op.Object))
			}
		}
	}
	if !told {
		p.line("  nothing was done yet")
	}
}

// takingBack reports whether somebody had begun to take back what a run did.
func takingBack(run *v1alpha1.WorkflowRun) bool {
	c := meta.FindStatusCondition(run.Status.Conditions, v1alpha1.RolledBack)
	return c != nil && c.Status == metav1.ConditionUnknown
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
