package policy

import (
	"slices"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var (
	modes = []v1alpha1.Mode{v1alpha1.ModeObserve, v1alpha1.ModeRecommend, v1alpha1.ModeApprove, v1alpha1.ModeAuto}
	risks = []v1alpha1.Risk{v1alpha1.RiskNone, v1alpha1.RiskLow, v1alpha1.RiskMedium, v1alpha1.RiskHigh, v1alpha1.RiskCritical}
)

// lower returns the lower of two modes. A mode nobody knows is the lowest.
func lower(a, b v1alpha1.Mode) v1alpha1.Mode {
	rank := min(slices.Index(modes, a), slices.Index(modes, b))
	return modes[max(rank, 0)]
}

// riskRank orders risks; no risk at all is below none.
func riskRank(r v1alpha1.Risk) int { return slices.Index(risks, r) }

// effective is the lowest of the ceiling, the mode of the policy and of its
// first matching rule for every step, and of what the remediation asks for.
// It is empty when no policy is about the case, or none could be read.
func (v view) effective() v1alpha1.Mode {
	if v.Default.Err != nil {
		return ""
	}
	if v.Default.Value == nil || v.Default.Value.Spec.Ceiling == "" {
		return v1alpha1.ModeObserve
	}
	mode := v.Default.Value.Spec.Ceiling
	for _, c := range v.chosen {
		if c.policy == nil {
			return ""
		}
		mode = lower(mode, c.policy.Spec.Mode)
	}
	for _, step := range v.Steps {
		mode = lower(mode, v.stepMode(step))
	}
	return lower(mode, v.wished())
}

// stepMode is what the rules of the policy and the risk of the step allow.
func (v view) stepMode(step Step) v1alpha1.Mode {
	mode := v1alpha1.ModeAuto
	for _, c := range v.chosen {
		if c.policy != nil && c.target.ObjectReference == step.Target.ObjectReference {
			mode = lower(mode, ruleMode(c.policy.Spec.Rules, step))
		}
	}
	if step.Risk() == v1alpha1.RiskCritical {
		mode = lower(mode, v1alpha1.ModeApprove)
	}
	return mode
}

// ruleMode is the mode of the first rule that matches. No rules say nothing;
// rules that all don't match recommend at most.
func ruleMode(rules []v1alpha1.PolicyRule, step Step) v1alpha1.Mode {
	if len(rules) == 0 {
		return v1alpha1.ModeAuto
	}
	for _, rule := range rules {
		if matches(rule, step) {
			return rule.Mode
		}
	}
	return v1alpha1.ModeRecommend
}

func matches(rule v1alpha1.PolicyRule, step Step) bool {
	switch {
	case len(rule.Actions) > 0 && !slices.Contains(rule.Actions, step.Action.Name):
		return false
	case len(rule.Kinds) > 0 && !slices.Contains(rule.Kinds, step.Target.Kind):
		return false
	case rule.MaxRisk != "" && riskRank(step.Risk()) > riskRank(rule.MaxRisk):
		return false
	}
	return true
}

// wished is what the remediation itself allows: its spec.mode, and no more than
// Observe when nobody can tell which cluster its alert is about.
func (v view) wished() v1alpha1.Mode {
	if v.Remediation == nil {
		return v1alpha1.ModeAuto
	}
	spec := v.Remediation.Spec
	// What a person wrote into this cluster is about this cluster.
	if v.Cluster != "" && spec.Alert.Cluster == "" && spec.Alert.Source == v1alpha1.SourceAlertmanager {
		return v1alpha1.ModeObserve
	}
	if spec.Mode == "" {
		return v1alpha1.ModeAuto
	}
	return spec.Mode
}
