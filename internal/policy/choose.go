package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// What a policy says when it says nothing: the defaults of the schema, which the
// API server applies only inside objects that are there.
const (
	defaultCooldown         = 10 * time.Minute
	defaultMaxPerHour       = 20
	defaultApprovalDeadline = 4 * time.Hour
	defaultWindow           = 5 * time.Minute
	defaultDeadline         = 15 * time.Minute
)

// view is the facts, and what the policies say about them.
type view struct {
	Facts
	// chosen policy for each target, in the order of Targets; nil: none is about it.
	chosen []choice
	mode   v1alpha1.Mode
}

// choice is the policy for one target, or why it can't be known.
type choice struct {
	target v1alpha1.TargetReference
	policy *v1alpha1.RemediationPolicy
	err    error
}

// eachPolicy asks about the policy of every target. One that can't be read refuses;
// where there is none, the scope has said so.
func (v view) eachPolicy(refuses func(choice) (Refusal, bool)) []Refusal {
	var all []Refusal
	for _, c := range v.chosen {
		if c.err != nil {
			all = append(all, unreadable(policies(v), c.err)...)
			continue
		}
		if c.policy == nil {
			continue
		}
		if no, refused := refuses(c); refused {
			all = append(all, no)
		}
	}
	return all
}

func (f Facts) view() view {
	v := view{Facts: f}
	for _, target := range f.Targets() {
		p, err := f.choose(target)
		v.chosen = append(v.chosen, choice{target: target, policy: p, err: err})
	}
	v.mode = v.effective()
	return v
}

// first returns the policy that decides about the first target: the one whose
// budget is spent, and whose deadlines count.
func (v view) first() *v1alpha1.RemediationPolicy {
	if len(v.chosen) == 0 {
		return nil
	}
	return v.chosen[0].policy
}

// policies returns the policies that decide, each once.
func (v view) policies() []*v1alpha1.RemediationPolicy {
	var all []*v1alpha1.RemediationPolicy
	seen := map[string]bool{}
	for _, c := range v.chosen {
		if c.policy != nil && !seen[name(c.policy)] {
			seen[name(c.policy)] = true
			all = append(all, c.policy)
		}
	}
	return all
}

// choose returns the policy that decides about a target: of those of the
// namespace, or where it has none of the operator's default, the one with the
// most specific selectors; ties go by name. Nil: none is about it.
func (f Facts) choose(target v1alpha1.TargetReference) (*v1alpha1.RemediationPolicy, error) {
	candidates, err := f.candidates()
	if err != nil {
		return nil, err
	}
	var best *v1alpha1.RemediationPolicy
	for i := range candidates {
		selects, err := f.selects(candidates[i].Spec.Selectors, target)
		if err != nil {
			return nil, fmt.Errorf("matching the selectors of RemediationPolicy %s: %w", name(&candidates[i]), err)
		}
		if selects && (best == nil || compare(&candidates[i], best) < 0) {
			best = &candidates[i]
		}
	}
	return best, nil
}

func (f Facts) candidates() ([]v1alpha1.RemediationPolicy, error) {
	if f.Policies.Err != nil {
		return nil, f.Policies.Err
	}
	if len(f.Policies.Value) > 0 {
		return f.Policies.Value, nil
	}
	if f.Default.Err != nil {
		return nil, f.Default.Err
	}
	if f.Default.Value == nil {
		return nil, nil
	}
	return []v1alpha1.RemediationPolicy{*f.Default.Value}, nil
}

// selects reports whether each selector that is given matches. A run that a
// person made is about no alert, so the selector of alerts says nothing about it.
func (f Facts) selects(s v1alpha1.PolicySelectors, target v1alpha1.TargetReference) (bool, error) {
	if len(s.Alerts) > 0 && !f.byHand() && !slices.Contains(s.Alerts, f.Remediation.Spec.Alert.Name) {
		return false, nil
	}
	if len(s.Kinds) > 0 && !slices.Contains(s.Kinds, target.Kind) {
		return false, nil
	}
	if s.Labels == nil {
		return true, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(s.Labels)
	if err != nil {
		return false, err
	}
	object := f.object(target.ObjectReference)
	if object.Err != nil {
		return false, object.Err
	}
	return selector.Matches(labels.Set(object.Value.Labels)), nil
}

// object returns what is known of an object.
func (f Facts) object(ref v1alpha1.ObjectReference) Fact[Object] {
	for _, object := range f.Objects {
		if object.Value.Ref == ref {
			return object
		}
	}
	return Fact[Object]{Value: Object{Ref: ref}, Err: fmt.Errorf("%s was not read", ref)}
}

// compare orders policies from the most specific to the least.
func compare(a, b *v1alpha1.RemediationPolicy) int {
	return cmp.Or(
		cmp.Compare(specificity(b.Spec.Selectors), specificity(a.Spec.Selectors)),
		cmp.Compare(a.Name, b.Name),
	)
}

// specificity counts the selectors that are given; where two policies give
// equally many, alerts outweigh kinds and kinds outweigh labels.
func specificity(s v1alpha1.PolicySelectors) int {
	score := 0
	if len(s.Alerts) > 0 {
		score += 8 + 4
	}
	if len(s.Kinds) > 0 {
		score += 8 + 2
	}
	if s.Labels != nil {
		score += 8 + 1
	}
	return score
}

func name(p *v1alpha1.RemediationPolicy) string { return p.Namespace + "/" + p.Name }

// durations of a policy: cooldown, deadline of an approval, window and deadline of the verification.
func durations(p *v1alpha1.RemediationPolicy) (cooldown, approval, window, deadline time.Duration) {
	if p == nil {
		return defaultCooldown, defaultApprovalDeadline, defaultWindow, defaultDeadline
	}
	return Cooldown(p),
		or(p.Spec.Approval.Deadline, defaultApprovalDeadline),
		or(p.Spec.Verification.Window, defaultWindow),
		or(p.Spec.Verification.Deadline, defaultDeadline)
}

// Cooldown of a policy.
func Cooldown(p *v1alpha1.RemediationPolicy) time.Duration {
	return or(p.Spec.Limits.Cooldown, defaultCooldown)
}

func or(d *metav1.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return d.Duration
}
