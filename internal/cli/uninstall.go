package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Uninstall removes everything of Kubernaut's kinds, so that what installed it can
// be deleted without an object or a namespace hanging on a finalizer.
type Uninstall struct {
	// Yes: really do it. Otherwise it is only said what would be removed.
	Yes bool
	// Patience is how long the operator has to let go of its runs by itself.
	Patience time.Duration
	// Operator that is to go.
	Operator Operator
}

// Run removes the remediations, the runs and the policies. A run that is under way
// is not cut off in the middle: whoever types has to cancel it or wait.
func (u Uninstall) Run(ctx context.Context, c Cluster, w io.Writer) error {
	var runs v1alpha1.WorkflowRunList
	var remediations v1alpha1.AlertRemediationList
	var policies v1alpha1.RemediationPolicyList
	lists := []client.ObjectList{&remediations, &runs, &policies} // runs go with their remediations
	for _, list := range lists {
		if err := c.List(ctx, list); err != nil {
			return unreachable(err)
		}
	}
	for i := range runs.Items {
		if run := &runs.Items[i]; !run.Finished() && run.Status.Actor != "" {
			return fmt.Errorf("run %[1]s in %[2]s is under way: wait for it, or stop it with `kubectl patch wr %[1]s -n %[2]s --type=merge -p '{\"spec\":{\"cancelled\":true}}'`", run.Name, run.Namespace)
		}
	}
	p := printer{to: w}
	p.line("AlertRemediations: %d, WorkflowRuns: %d, RemediationPolicies: %d", len(remediations.Items), len(runs.Items), len(policies.Items))
	if !u.Yes {
		p.line("Nothing was removed: say --yes to remove them all, with their history.")
		return p.err
	}
	for _, list := range lists {
		if err := u.clear(ctx, c, list); err != nil {
			return err
		}
	}
	p.line("They are gone. What is left, in this order:")
	p.line("  kubectl delete -k config/default")
	p.line("  kubectl delete role,rolebinding %s %s -n NAMESPACE   # for each namespace that granted something", v1alpha1.RemediatorAccount, impersonates)
	p.line("  kubectl delete serviceaccount %s -n NAMESPACE", v1alpha1.RemediatorAccount)
	p.line("  kubectl delete clusterrole,clusterrolebinding %s   # if nodes were granted", nodeRemediator)
	return p.err
}

// clear deletes the objects of a list, and frees those that nobody frees in time:
// the operator may be gone already.
func (u Uninstall) clear(ctx context.Context, c Cluster, list client.ObjectList) error {
	if err := each(list, func(obj client.Object) error { return client.IgnoreNotFound(c.Delete(ctx, obj)) }); err != nil {
		return unreachable(err)
	}
	if gone, err := c.awaitNone(ctx, list, u.Patience); gone || err != nil {
		return err
	}
	err := each(list, func(obj client.Object) error {
		if obj.GetDeletionTimestamp() == nil {
			return nil // made meanwhile: the operator is at work
		}
		patch := client.MergeFrom(obj.DeepCopyObject().(client.Object))
		obj.SetFinalizers(nil)
		return client.IgnoreNotFound(c.Patch(ctx, obj, patch))
	})
	if err != nil {
		return unreachable(err)
	}
	if gone, err := c.awaitNone(ctx, list, 0); gone || err != nil {
		return err
	}
	return errors.New("new ones are made all the time: stop the operator first, with `kubectl -n " + u.Operator.Namespace + " scale deployment/kubernaut --replicas=0`")
}

// awaitNone reads a list until nothing is in it, for as long as the patience
// lasts; at least once, so that what is left is known as it is after the deletion.
// The patience is for whoever has to let go: an API server that is slow to answer
// is not cut short by it.
func (c Cluster) awaitNone(ctx context.Context, list client.ObjectList, patience time.Duration) (bool, error) {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		// A list that is read into keeps what the new answer does not mention.
		if err := errors.Join(meta.SetList(list, nil), c.List(ctx, list)); err != nil {
			return false, unreachable(err)
		}
		if meta.LenList(list) == 0 {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-over.C:
			return false, nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func each(list client.ObjectList, do func(client.Object) error) error {
	return meta.EachListItem(list, func(item runtime.Object) error { return do(item.(client.Object)) })
}
