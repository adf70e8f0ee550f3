//go:build e2e

package crash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/lease"
)

// patient is how long an incident may take, on two cores that others use too.
const patient = 2 * time.Minute

// act is one firing of the alert of an incident.
type act struct {
	helps    bool // the good release serves
	startsAt time.Time
}

// incident is one namespace with one Deployment that crashes, and the alert about it.
type incident struct {
	api    *kubetest.Server
	ns     string
	player *player
	sender *sender
	lasts  bool // the alert goes on firing, whatever helps
}

// incident rolls a bad release out in a namespace of its own.
func (s *stage) incident(ctx context.Context, p patience, operator poster) (*incident, error) {
	in := &incident{api: s.server, ns: s.tenant(ctx, p)}
	var err error
	if in.player, err = release(ctx, s.server.Client, in.ns); err != nil {
		return nil, fmt.Errorf("rolling the bad release out: %w", err)
	}
	in.sender = &sender{operator: operator, labels: map[string]string{
		"alertname": alertName, "namespace": in.ns, "pod": in.player.bad.Name + "-a", "container": shop, "severity": "warning",
	}}
	return in, nil
}

// begin sets the scene for one firing.
func (in *incident) begin(a act) {
	in.player.sick = false
	in.sender.fired, in.sender.resolved, in.sender.startsAt = false, false, a.startsAt
}

// advance lets everybody but the operator do what is theirs to do now, and says
// what is still to come until the very end: nothing is left to be written, and the
// lease is given back.
func (in *incident) advance(ctx context.Context, a act) error {
	if err := in.player.play(ctx); err != nil { // the alert is about what is there
		return err
	}
	if in.sender.fire(ctx); !in.sender.fired {
		return errors.New("the alert was not taken")
	}
	ar, err := in.remediation(ctx, a)
	if err != nil {
		return err
	}
	observed := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Verified) != nil
	in.player.sick = !a.helps && observed // the rollout is completed first
	if observed && a.helps && !in.lasts {
		in.sender.resolve(ctx)
	}
	if !ar.Finished() {
		return fmt.Errorf("the remediation goes on: phase %s", ar.Status.Phase)
	}
	return in.released(ctx)
}

// remediation returns the AlertRemediation of a firing.
func (in *incident) remediation(ctx context.Context, a act) (*v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	if err := in.api.Client.List(ctx, &list, client.InNamespace(in.ns)); err != nil {
		return nil, err
	}
	for i := range list.Items {
		if list.Items[i].Spec.Alert.StartsAt.Time.Equal(a.startsAt) {
			return &list.Items[i], nil
		}
	}
	return nil, errors.New("there is no AlertRemediation")
}

// runs returns the WorkflowRuns.
func (in *incident) runs(ctx context.Context) ([]v1alpha1.WorkflowRun, error) {
	var list v1alpha1.WorkflowRunList
	err := in.api.Client.List(ctx, &list, client.InNamespace(in.ns))
	return list.Items, err
}

// released reports whether the runs have let go of everything.
func (in *incident) released(ctx context.Context) error {
	runs, err := in.runs(ctx)
	if err != nil {
		return err
	}
	for i := range runs {
		if slices.Contains(runs[i].Finalizers, v1alpha1.RunFinalizer) {
			return fmt.Errorf("WorkflowRun %s keeps its finalizer", runs[i].Name)
		}
	}
	held := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: kubetest.OperatorNamespace, Name: lease.Name(in.player.dep.UID)}}
	if err := in.api.Client.Get(ctx, client.ObjectKeyFromObject(held), held); client.IgnoreNotFound(err) != nil || err == nil {
		return errors.Join(fmt.Errorf("lease %s is still there", held.Name), err)
	}
	return nil
}

// report shows the objects and the events.
func (in *incident) report(ctx context.Context) string {
	var text strings.Builder
	for _, kind := range append(slices.Clone(compared), schema.GroupVersionKind{Group: "events.k8s.io", Version: "v1", Kind: "Event"}) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := in.api.Client.List(ctx, list, client.InNamespace(in.ns)); err != nil {
			fmt.Fprintf(&text, "--- %s: %v\n", kind.Kind, err)
		}
		for _, obj := range list.Items {
			fmt.Fprintf(&text, "--- %s\n%s", kind.Kind, shown(obj))
		}
	}
	return text.String()
}
