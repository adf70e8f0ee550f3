package cli

import (
	"cmp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// merge says the same rights in as few rules as can be read: one for each API
// group and set of verbs, sorted. Rules that name objects stay as they are.
func merge(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var merged []rbacv1.PolicyRule
	for _, rule := range rules {
		same := slices.IndexFunc(merged, func(m rbacv1.PolicyRule) bool { return mergeable(m, rule) })
		if same < 0 {
			merged = append(merged, *rule.DeepCopy())
			continue
		}
		merged[same].Resources = append(merged[same].Resources, rule.Resources...)
	}
	for i := range merged {
		slices.Sort(merged[i].Resources)
		merged[i].Resources = slices.Compact(merged[i].Resources)
	}
	slices.SortFunc(merged, func(a, b rbacv1.PolicyRule) int {
		return cmp.Or(slices.Compare(a.APIGroups, b.APIGroups), strings.Compare(strings.Join(a.Verbs, ","), strings.Join(b.Verbs, ",")))
	})
	return merged
}

func mergeable(a, b rbacv1.PolicyRule) bool {
	return len(a.ResourceNames) == 0 && len(b.ResourceNames) == 0 &&
		slices.Equal(a.APIGroups, b.APIGroups) && slices.Equal(a.Verbs, b.Verbs)
}
