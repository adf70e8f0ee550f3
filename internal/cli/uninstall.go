package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
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
	// Abandon what is under way, if nobody is left to end it.
	Abandon bool
	// Patience is how long the operator has to let go of its runs by itself.
	Patience time.Duration
	// Operator that is to go.
	Operator Operator
}

// Run removes the remediations, the runs and the policies. A run that is under way
// is not cut off in the middle: whoever types has to cancel it or wait, or abandon
// it if the operator is gone.
func (u Uninstall) Run(ctx context.Context, c Cluster, w io.Writer) error {
	var runs v1alpha1.WorkflowRunList
	var remediations v1alpha1.AlertRemediationList
	var policies v1alpha1.RemediationPolicyList
	lists := []client.ObjectList{&remediations, &runs, &policies} // runs go with their remediations
	for _, list := range lists {
		if err := c.List(ctx, list); err != nil {
			return unseen(explained(err))
		}
	}
	p := printer{Screen: Screen{Writer: w}}
	if err := u.leave(ctx, c, &p, underWay(runs.Items)); err != nil {
		return err
	}
	p.line("AlertRemediations: %d, WorkflowRuns: %d, RemediationPolicies: %d", len(remediations.Items), len(runs.Items), len(policies.Items))
	if !u.Yes {
		p.line("Nothing was removed: say --yes to remove them all, with their history.")
		return p.err
	}
	for _, list := range lists {
		if err := u.clear(ctx, c, list); err != nil {
			return unseen(err)
		}
	}
	p.line("They are gone. What is left, in this order:")
	p.line("  kubectl delete -k config/default")
	p.left(u.leftovers(ctx, c))
	return p.err
}

// unseen says which role it takes to uninstall, where something may not be seen or
// removed: one namespace alone would not do.
func unseen(err error) error {
	var denied *deniedError
	if !errors.As(err, &denied) || denied.user == "" {
		return err
	}
	return &deniedError{
		missing: fmt.Sprintf("you (%s) may not see and remove what Kubernaut has in all namespaces", denied.user),
		giver:   clusterAdmin, command: everywhere("kubernaut-admin", denied.user),
	}
}

// remains are what people granted by hand, and Kubernaut's kinds leave behind.
type remains struct {
	commands []string // that remove them
	byHand   []string // whose names do not belong into a command
}

// unbind adds what removes a binding of a name that somebody chose who may not be
// trusted by whoever pastes: RBAC lets it hold every sign but / and %.
func (r *remains) unbind(command string, b client.Object) {
	if plain.MatchString(b.GetName()) {
		r.commands = append(r.commands, command+" "+b.GetName())
		return
	}
	what := "ClusterRoleBinding"
	if b.GetNamespace() != "" {
		what = "RoleBinding in namespace " + b.GetNamespace()
	}
	r.byHand = append(r.byHand, fmt.Sprintf("%s, uid %s, name %s", what, b.GetUID(), spelled(b.GetName())))
}

func (p *printer) left(r remains) {
	for _, command := range r.commands {
		p.line("  %s", command)
	}
	if len(r.byHand) > 0 {
		p.line("These you have to look at and remove by hand. Their names do not belong into a command, and may be meant to do harm in one;")
		p.line("signs other than letters, digits and @ . _ : - are written as their numbers:")
	}
	for _, binding := range r.byHand {
		p.line("  %s", binding)
	}
}

// leftovers are what people granted by hand: the rights of the remediators and of
// the operator there, and the bindings of the shipped roles.
func (u Uninstall) leftovers(ctx context.Context, c Cluster) remains {
	var everywhere rbacv1.ClusterRoleBindingList
	var somewhere rbacv1.RoleBindingList
	if errors.Join(c.List(ctx, &everywhere), c.List(ctx, &somewhere)) != nil {
		return remains{commands: []string{grantsOf("NAMESPACE") + "   # for each namespace that granted something; you may not list them"}}
	}
	var left remains
	for i := range everywhere.Items {
		switch b := &everywhere.Items[i]; {
		case b.Name == nodeRemediator:
			left.commands = append(left.commands, fmt.Sprintf("kubectl delete clusterrolebinding/%[1]s clusterrole/%[1]s", nodeRemediator))
		case ours(b.RoleRef):
			left.unbind("kubectl delete clusterrolebinding", b)
		}
	}
	for i := range somewhere.Items {
		if b := &somewhere.Items[i]; b.Namespace != u.Operator.Namespace { // that goes with its namespace
			left.ungrant(b)
		}
	}
	return left
}

// ungrant adds what removes what was granted in a namespace by a binding.
func (r *remains) ungrant(b *rbacv1.RoleBinding) {
	switch {
	case b.Name == nodeLeases:
		r.commands = append(r.commands, fmt.Sprintf("kubectl -n %[1]s delete rolebinding/%[2]s role/%[2]s", b.Namespace, nodeLeases))
	case b.Name == impersonates:
		r.commands = append(r.commands, grantsOf(b.Namespace))
	case ours(b.RoleRef):
		r.unbind("kubectl -n "+b.Namespace+" delete rolebinding", b)
	}
}

func ours(role rbacv1.RoleRef) bool {
	return slices.ContainsFunc(shippedRoles, func(name string) bool { return isShipped(role, name) })
}

// shippedRoles are for people to bind.
var shippedRoles = []string{"kubernaut-viewer", "kubernaut-operator", "kubernaut-approver", "kubernaut-admin", alertSender}

func grantsOf(namespace string) string {
	return fmt.Sprintf("kubectl -n %[1]s delete --ignore-not-found rolebinding/%[2]s rolebinding/%[3]s role/%[2]s role/%[3]s serviceaccount/%[2]s resourcequota/%[4]s",
		namespace, v1alpha1.RemediatorAccount, impersonates, objectQuota)
}

// clear deletes the objects of a list, and frees those that nobody frees in time:
// the operator may be gone already.
func (u Uninstall) clear(ctx context.Context, c Cluster, list client.ObjectList) error {
	if err := each(list, func(obj client.Object) error { return client.IgnoreNotFound(c.Delete(ctx, obj)) }); err != nil {
		return explained(err)
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
		return explained(err)
	}
	if gone, err := c.awaitNone(ctx, list, 0); gone || err != nil {
		return err
	}
	return errors.New("new ones are made all the time: stop the operator first, with `" + u.Operator.stopIt() + "`")
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
			return false, explained(err)
		}
		if meta.LenList(list) == 0 {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, explained(ctx.Err())
		case <-over.C:
			return false, nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func each(list client.ObjectList, do func(client.Object) error) error {
	return meta.EachListItem(list, func(item runtime.Object) error { return do(item.(client.Object)) })
}
