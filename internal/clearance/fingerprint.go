package clearance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// waitingFacts is what a plan depends on that waits: when nothing of it differs, the
// plan is not made again for a while.
type waitingFacts struct {
	Remediation version
	Plan        string // its digest
	ShownUnder  string // the guards
	Alert       string
	Stop        bool
	Guards      policy.Guards
	Rights      string
	Policies    []version
	Objects     []version
	Mode        v1alpha1.Mode
	Policy      string
	Refusals    []policy.Refusal // of the gates that need no dry run
}

// version names an object and the generation of its spec.
type version struct {
	Name       string
	UID        types.UID
	Generation int64
	Gone       bool
}

// Fingerprint names the facts that a waiting plan depends on, as far as they are known
// at little cost: two that differ mean that something changed. Policies and objects
// come from the cache; the emergency stop, the guards and the remediator's rights were
// read a moment ago, for all waiting plans together. So it says when to plan again,
// and never that a plan may be carried out. An error means that it is not known
// whether something changed.
func (d *Desk) Fingerprint(ctx context.Context, ar *v1alpha1.AlertRemediation) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, recentTimeout)
	defer cancel()
	facts, err := d.cachedFacts(ctx, ar)
	if err != nil {
		return "", err
	}
	rights, err := d.rights.get(ctx, facts.Now, ar.Namespace, func(ctx context.Context) (string, error) {
		tenant, err := d.Open(ar.Namespace)
		if err != nil {
			return "", err
		}
		return tenant.Rights(ctx)
	})
	if err != nil {
		return "", err
	}
	alert, err := d.alertFingerprint(ctx, ar)
	if err != nil {
		return "", err
	}
	return sum(facts, ar, rights, alert)
}

// sum hashes the facts, with what the gates say to them that need no dry run: a
// cooldown that is over and a pause that has ended are changes too.
func sum(facts policy.Facts, ar *v1alpha1.AlertRemediation, rights, alert string) (string, error) {
	judged := policy.JudgeTarget(facts)
	all := waitingFacts{
		Remediation: version{Name: ar.Name, UID: ar.UID, Generation: ar.Generation},
		Alert:       alert, Stop: facts.EmergencyStop.Value, Guards: facts.Guards.Value, Rights: rights,
		Mode: judged.Mode, Policy: judged.Policy, Refusals: judged.Refusals,
	}
	if plan := ar.Status.Plan; plan != nil {
		all.Plan, all.ShownUnder = plan.Digest, plan.Guards
	}
	if p := facts.Default.Value; p != nil {
		all.Policies = append(all.Policies, versionOf(p))
	}
	for i := range facts.Policies.Value {
		all.Policies = append(all.Policies, versionOf(&facts.Policies.Value[i]))
	}
	slices.SortFunc(all.Policies, func(a, b version) int { return strings.Compare(a.Name, b.Name) })
	for _, object := range append(facts.Objects, facts.Space) {
		seen := object.Value
		all.Objects = append(all.Objects, version{Name: fmt.Sprintf("%+v", seen.Ref), UID: seen.UID, Generation: seen.Generation, Gone: seen.Gone})
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("writing down what the plan of AlertRemediation %s/%s depends on: %w", ar.Namespace, ar.Name, err)
	}
	hash := sha256.Sum256(text)
	return hex.EncodeToString(hash[:]), nil
}

func versionOf(obj client.Object) version {
	return version{Name: obj.GetNamespace() + "/" + obj.GetName(), UID: obj.GetUID(), Generation: obj.GetGeneration()}
}

// cachedFacts reads what the gates look at, but for the API server's answers to the
// operations. The error names what could not be read.
func (d *Desk) cachedFacts(ctx context.Context, ar *v1alpha1.AlertRemediation) (policy.Facts, error) {
	facts := policy.Facts{
		Case: shownCase(ar), Now: d.Clock.Now(),
		Operator: d.Namespace, Cluster: d.Cluster, Protected: d.Protected,
	}
	facts.EmergencyStop.Value, facts.EmergencyStop.Err = d.recentStop.get(ctx, facts.Now, func(ctx context.Context) (bool, error) {
		stop := d.emergencyStop(ctx)
		return stop.Value, stop.Err
	})
	facts.Guards.Value, facts.Guards.Err = d.recentGuards.get(ctx, facts.Now, func(ctx context.Context) (policy.Guards, error) {
		return d.Guards(ctx, d.Live)
	})
	facts.Policies = policiesIn(ctx, d.Client, ar.Namespace)
	facts.Default = d.defaultIn(ctx, d.Client)
	facts.Space = object(ctx, d.Client, v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: ar.Namespace})
	failed := []error{facts.EmergencyStop.Err, facts.Guards.Err, facts.Policies.Err, facts.Default.Err, facts.Space.Err}
	for _, ref := range watchedObjects(facts.Case) {
		found := object(ctx, d.metadataReader(ref), ref)
		facts.Objects = append(facts.Objects, found)
		failed = append(failed, found.Err)
	}
	if err := errors.Join(failed...); err != nil {
		return facts, fmt.Errorf("reading what the plan of AlertRemediation %s/%s depends on: %w", ar.Namespace, ar.Name, err)
	}
	return facts, nil
}

// shownCase is the plan that is shown, without its operations.
func shownCase(ar *v1alpha1.AlertRemediation) Case {
	c := Case{Remediation: ar}
	if ar.Status.Plan == nil {
		return c
	}
	c.Digest = ar.Status.Plan.Digest
	for _, step := range ar.Status.Plan.Steps {
		c.Steps = append(c.Steps, Step{Name: step.Name, Action: action.Spec{Name: step.Action, Risk: step.Risk}, Target: step.Target})
	}
	return c
}

// watchedObjects are the targets of the plan and the object that the alert is about.
func watchedObjects(c Case) []v1alpha1.ObjectReference {
	refs := c.Touched()
	if about := subject(c); about != nil && !slices.Contains(refs, *about) {
		refs = append(refs, *about)
	}
	return refs
}

// cachedKinds are the kinds whose metadata the cache keeps, of the whole cluster, once
// a plan for one of them waits. There are few objects of them. Of any other kind the
// one object is read.
var cachedKinds = map[schema.GroupKind]bool{
	{Kind: "Namespace"}:                  true,
	{Kind: "Node"}:                       true,
	{Kind: "Service"}:                    true,
	{Group: "apps", Kind: "Deployment"}:  true,
	{Group: "apps", Kind: "StatefulSet"}: true,
	{Group: "apps", Kind: "DaemonSet"}:   true,
}

func (d *Desk) metadataReader(ref v1alpha1.ObjectReference) client.Reader {
	if cachedKinds[ref.GroupVersionKind().GroupKind()] {
		return d.Client
	}
	return d.Live
}

// LeanMetadata is what the cache keeps of objects of which only the metadata is asked for.
func LeanMetadata(meta *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	lean := &metav1.PartialObjectMetadata{TypeMeta: meta.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID, ResourceVersion: meta.ResourceVersion,
		Generation: meta.Generation, Labels: meta.Labels, DeletionTimestamp: meta.DeletionTimestamp,
	}}
	if why, paused := meta.Annotations[v1alpha1.PauseAnnotation]; paused {
		lean.Annotations = map[string]string{v1alpha1.PauseAnnotation: why}
	}
	return lean
}

// alertFingerprint changes when the state of the alert may have changed. What an
// alert's labels lead to is not looked up: only which alerts there are.
func (d *Desk) alertFingerprint(ctx context.Context, ar *v1alpha1.AlertRemediation) (string, error) {
	if ar.Spec.Alert.Source != v1alpha1.SourceAlertmanager || ar.Status.Target == nil {
		return string(ar.AlertState()), nil
	}
	if d.Alertmanager == nil {
		state, _, err := d.heard(ctx, ar.Spec.Alert.Name, *ar.Status.Target, ar)
		return string(state), err
	}
	alerts, err := d.Alertmanager.Firing(ctx, ar.Spec.Alert.Name)
	if err != nil {
		return "", fmt.Errorf("asking whether %s fires: %w", ar.Spec.Alert.Name, err)
	}
	about := slices.Sorted(maps.Keys(d.about(ar.Spec.Alert.Name, alerts, ar.Status.Target.Namespace)))
	if len(about) > 0 {
		return strings.Join(about, "\n"), nil
	}
	since, err := d.Alertmanager.Since(ctx)
	if err != nil {
		return "", fmt.Errorf("asking when Alertmanager was started: %w", err)
	}
	return fmt.Sprint("silent, started ", since.UTC().Format(time.RFC3339), d.Clock.Now().Before(since.Add(toldAgain))), nil
}
