package actions

import (
	"maps"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// amounts reads "memory=1Gi cpu=2".
func amounts(text string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for _, pair := range strings.Fields(text) {
		name, quantity, _ := strings.Cut(pair, "=")
		list[corev1.ResourceName(name)] = resource.MustParse(quantity)
	}
	return list
}

// sized is a pod of one container with these limits and requests.
func sized(limits, requests string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Resources: corev1.ResourceRequirements{Limits: amounts(limits), Requests: amounts(requests)}}}}
}

// raised is two pods that get twice their memory, one of them beside an old one.
func raised(edits ...func(*demand)) demand {
	d := demand{before: sized("memory=256Mi", "memory=256Mi"), after: sized("memory=512Mi", "memory=512Mi"), pods: 2, unseen: 2, surges: true}
	for _, edit := range edits {
		edit(&d)
	}
	return d
}

func quotaOf(hard, used string) corev1.ResourceQuota {
	return corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "team"}, Spec: corev1.ResourceQuotaSpec{Hard: amounts(hard)},
		Status: corev1.ResourceQuotaStatus{Hard: amounts(hard), Used: amounts(used)},
	}
}

func TestWithinQuota(t *testing.T) {
	frees := func(d *demand) { d.surges = false }
	shrinks := func(d *demand) { d.before, d.after = d.after, d.before }
	scoped := func(q corev1.ResourceQuota, scopes ...corev1.ResourceQuotaScope) corev1.ResourceQuota {
		q.Spec.Scopes = scopes
		return q
	}
	priority := func(q corev1.ResourceQuota, op corev1.ScopeSelectorOperator, values ...string) corev1.ResourceQuota {
		q.Spec.ScopeSelector = &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: op, Values: values}}}
		return q
	}
	full := quotaOf("limits.memory=512Mi", "limits.memory=512Mi")
	rows := map[string]struct {
		quota corev1.ResourceQuota
		d     demand
		want  string
		says  string
	}{
		"a full quota": {quota: full, d: raised(), want: ends, says: "ResourceQuota/team allows 512Mi of limits.memory, and 1280Mi would be in use: 0 by others, and 512Mi for each of 2 pods beside one old pod"},
		"a full quota, though the update frees a pod":      {quota: full, d: raised(frees), want: ends, says: "1Gi would be in use"},
		"room for all new pods beside an old one":          {quota: quotaOf("limits.memory=1280Mi", "limits.memory=512Mi"), d: raised(), want: cure},
		"room for all new pods and no surge":               {quota: quotaOf("limits.memory=1279Mi", "limits.memory=512Mi"), d: raised(), want: ends},
		"room for all new pods where the update frees one": {quota: quotaOf("limits.memory=1Gi", "limits.memory=512Mi"), d: raised(frees), want: cure},
		"what others use counts":                           {quota: quotaOf("limits.memory=2Gi", "limits.memory=1537Mi"), d: raised(frees), want: ends, says: "1025Mi by others"},
		"requests":                                         {quota: quotaOf("requests.memory=512Mi", "requests.memory=512Mi"), d: raised(), want: ends},
		"requests under their short name":                  {quota: quotaOf("memory=512Mi", "memory=512Mi"), d: raised(), want: ends},
		"a request that stays, where the update frees one": {
			quota: quotaOf("requests.memory=128Mi", "requests.memory=128Mi"), want: cure,
			d: raised(frees, func(d *demand) {
				d.before, d.after = sized("memory=256Mi", "memory=64Mi"), sized("memory=512Mi", "memory=64Mi")
			}),
		},
		"a full quota, though the new pods are smaller": {
			quota: quotaOf("limits.memory=1Gi", "limits.memory=1Gi"), d: raised(shrinks), want: ends,
			says: "allows 1Gi of limits.memory, and 1280Mi would be in use: 0 by others, and 256Mi for the first new pod beside 2 old pods of 512Mi each",
		},
		"room for a smaller pod beside the old ones":    {quota: quotaOf("limits.memory=1280Mi", "limits.memory=1Gi"), d: raised(shrinks), want: cure},
		"smaller pods, where the update frees one":      {quota: quotaOf("limits.memory=1Gi", "limits.memory=1Gi"), d: raised(shrinks, frees), want: cure},
		"smaller pods, of which some are there already": {quota: quotaOf("limits.memory=1Gi", "limits.memory=1Gi"), d: raised(shrinks, func(d *demand) { d.begun = true }), want: cure},
		"a stuck surge is taken away before a new one comes": {
			quota: quotaOf("pods=3", "pods=3"), want: cure,
			d: raised(func(d *demand) {
				d.unseen, d.present = 0, []corev1.Pod{{Spec: d.before}, {Spec: d.before}, {Spec: d.before}}
			}),
		},
		"a quota of what the new pods do not name": {
			quota: quotaOf("limits.memory=8Gi", "limits.memory=512Mi"), d: raised(func(d *demand) { d.after = sized("", "memory=64Mi") }), want: ends,
			says: "ResourceQuota/team lets no pod in that does not say its limits.memory, and container web would not",
		},
		"a quota of what the new pods name as zero": {
			quota: quotaOf("requests.cpu=1", "requests.cpu=0"), d: raised(func(d *demand) { d.after = sized("memory=64Mi", "memory=64Mi cpu=0") }), want: cure,
		},
		"a quota of what the new pods name as a whole": {
			quota: quotaOf("limits.memory=8Gi", "limits.memory=512Mi"), want: cure,
			d: raised(func(d *demand) {
				d.after = sized("", "memory=64Mi")
				d.after.Resources = &corev1.ResourceRequirements{Limits: amounts("memory=128Mi")}
			}),
		},
		"a quota of a storage that the new pods do not name": {
			quota: quotaOf("requests.ephemeral-storage=1Gi", "requests.ephemeral-storage=0"), d: raised(), want: cure,
		},
		"a surge needs a pod more than the quota has": {quota: quotaOf("pods=2", "pods=2"), d: raised(), want: ends, says: "of pods"},
		"a full quota of what pods do not use":        {quota: quotaOf("requests.storage=1Gi count/configmaps=3", "requests.storage=1Gi count/configmaps=3"), d: raised(), want: cure},
		"a full quota of jobs":                        {quota: scoped(full, corev1.ResourceQuotaScopeTerminating), d: raised(), want: cure},
		"a full quota of all but jobs":                {quota: scoped(full, corev1.ResourceQuotaScopeNotTerminating), d: raised(), want: ends},
		"a full quota of pods without limits":         {quota: scoped(full, corev1.ResourceQuotaScopeBestEffort), d: raised(), want: cure},
		"a full quota of pods with limits":            {quota: scoped(full, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeNotTerminating), d: raised(), want: ends},
		"a full quota of another priority":            {quota: priority(full, corev1.ScopeSelectorOpIn, "batch"), d: raised(), want: cure},
		"a full quota of this priority":               {quota: priority(full, corev1.ScopeSelectorOpIn, "batch", "front"), d: raised(func(d *demand) { d.after.PriorityClassName = "front" }), want: ends},
		"a full quota of all other priorities":        {quota: priority(full, corev1.ScopeSelectorOpNotIn, "front"), d: raised(func(d *demand) { d.after.PriorityClassName = "front" }), want: cure},
		"a full quota of a scope that came later":     {quota: scoped(full, "SomeLaterScope"), d: raised(), want: ends},
		"a quota that was not counted yet":            {quota: quotaOf("limits.memory=4Gi", ""), d: raised(), want: waits},
		"pods that are there are its own use": {
			quota: quotaOf("limits.memory=1Gi", "limits.memory=512Mi"), want: cure,
			d: raised(frees, func(d *demand) {
				d.unseen = 0
				d.present = []corev1.Pod{{Spec: sized("memory=256Mi", "")}, {Spec: sized("memory=256Mi", "")}}
			}),
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := withinQuota(&row.quota, row.d)
			if got := answerOf(err); got != row.want {
				t.Fatalf("it comes to %s (%v), want %s", got, err, row.want)
			}
			if err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("it says %q, want %q in it", err, row.says)
			}
		})
	}
}

func TestDemandOf(t *testing.T) {
	rolling := func(replicas int32, surge, unavailable string) *appsv1.Deployment {
		d := &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: &replicas, Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType}}}
		if surge != "" {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: new(intstr.Parse(surge)), MaxUnavailable: new(intstr.Parse(unavailable))}
		}
		return d
	}
	rows := map[string]struct {
		obj    client.Object
		surges bool
	}{
		"a quarter of two is no pod to spare":            {obj: rolling(2, "25%", "25%"), surges: true},
		"a quarter of four is one":                       {obj: rolling(4, "25%", "25%")},
		"what the API server takes for nothing said":     {obj: rolling(2, "", ""), surges: true},
		"none may be missing":                            {obj: rolling(4, "1", "0"), surges: true},
		"one may be missing":                             {obj: rolling(4, "1", "1")},
		"no pod may be added":                            {obj: rolling(2, "0", "1")},
		"both come to nothing, so that one is taken":     {obj: rolling(2, "0", "25%")},
		"all go first":                                   {obj: &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Strategy: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}}}},
		"an ordered set takes each pod away first":       {obj: &appsv1.StatefulSet{}},
		"a DaemonSet does, too":                          {obj: &appsv1.DaemonSet{Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3}}},
		"unless it is to start each beside the old one":  {surges: true, obj: &appsv1.DaemonSet{Spec: appsv1.DaemonSetSpec{UpdateStrategy: appsv1.DaemonSetUpdateStrategy{RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxSurge: new(intstr.FromInt32(1))}}}, Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3}}},
		"where nothing is wanted, nothing has to be new": {obj: rolling(0, "1", "0")},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := demandOf(row.obj, corev1.PodSpec{}, nil).surges; got != row.surges {
				t.Errorf("needs room for one more: %t, want %t", got, row.surges)
			}
		})
	}
}

func TestAdmitted(t *testing.T) {
	ranges := []corev1.LimitRange{{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{
		{Type: corev1.LimitTypeContainer, Default: amounts("memory=1Gi cpu=2"), DefaultRequest: amounts("memory=128Mi cpu=500m")},
		{Type: corev1.LimitTypePod, Max: amounts("memory=8Gi")},
	}}}}
	rows := map[string]struct {
		spec   corev1.PodSpec
		ranges []corev1.LimitRange
		want   string
	}{
		"a container without a request requests its limit": {spec: sized("memory=256Mi", ""), want: "limits.memory=256Mi memory=256Mi requests.memory=256Mi"},
		"a request stays": {spec: sized("memory=256Mi", "memory=64Mi"), want: "limits.memory=256Mi memory=64Mi requests.memory=64Mi"},
		"what is missing comes from the LimitRange":   {spec: sized("", ""), ranges: ranges, want: "cpu=500m limits.cpu=2 limits.memory=1Gi memory=128Mi requests.cpu=500m requests.memory=128Mi"},
		"but no request where there is a limit of it": {spec: sized("memory=256Mi", ""), ranges: ranges, want: "cpu=500m limits.cpu=2 limits.memory=256Mi memory=256Mi requests.cpu=500m requests.memory=256Mi"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			before := row.spec.DeepCopy()
			got := usageOf(admitted(row.spec, row.ranges))
			maps.DeleteFunc(got, func(name corev1.ResourceName, _ resource.Quantity) bool {
				return strings.HasSuffix(string(name), "pods")
			})
			want := amounts(row.want)
			if !maps.EqualFunc(got, want, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 }) {
				t.Errorf("a pod uses %v, want %v", got, want)
			}
			if !maps.EqualFunc(usageOf(row.spec), usageOf(*before), func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 }) {
				t.Error("the template itself was changed")
			}
		})
	}
}

func TestJudgeNodes(t *testing.T) {
	node := func(name, memory string, edits ...func(*corev1.Node)) corev1.Node {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}}, Status: corev1.NodeStatus{Allocatable: amounts("memory=" + memory)}}
		for _, edit := range edits {
			edit(&n)
		}
		return n
	}
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	kept := func(n *corev1.Node) {
		n.Spec.Taints = []corev1.Taint{{Key: "for", Value: "batch", Effect: corev1.TaintEffectNoSchedule}}
	}
	big := func(edits ...func(*demand)) demand { return raised(edits...) } // requests 512Mi
	rows := map[string]struct {
		kind  string
		d     demand
		nodes []corev1.Node
		want  string
	}{
		"no node is known: one may come":           {d: big(), want: cure},
		"the largest node has just as much":        {d: big(), nodes: []corev1.Node{node("a", "256Mi"), node("b", "512Mi")}, want: cure},
		"no node has as much":                      {d: big(), nodes: []corev1.Node{node("a", "256Mi"), node("b", "511Mi")}, want: ends},
		"the only one that has is cordoned":        {d: big(), nodes: []corev1.Node{node("a", "256Mi"), node("b", "4Gi", cordoned)}, want: ends},
		"the only one that has is kept for others": {d: big(), nodes: []corev1.Node{node("a", "256Mi"), node("b", "4Gi", kept)}, want: ends},
		"it is kept for this": {d: big(func(d *demand) {
			d.after.Tolerations = []corev1.Toleration{{Key: "for", Operator: corev1.TolerationOpExists}}
		}), nodes: []corev1.Node{node("a", "256Mi"), node("b", "4Gi", kept)}, want: cure},
		"the pod is bound to a small one":            {d: big(func(d *demand) { d.after.NodeSelector = map[string]string{"kubernetes.io/hostname": "a"} }), nodes: []corev1.Node{node("a", "256Mi"), node("b", "4Gi")}, want: ends},
		"a DaemonSet's pod runs on a small one":      {kind: "DaemonSet", d: big(func(d *demand) { d.present = []corev1.Pod{{Spec: corev1.PodSpec{NodeName: "a"}}} }), nodes: []corev1.Node{node("a", "256Mi"), node("b", "4Gi")}, want: ends},
		"a DaemonSet's pods run on large nodes only": {kind: "DaemonSet", d: big(func(d *demand) { d.present = []corev1.Pod{{Spec: corev1.PodSpec{NodeName: "b"}}} }), nodes: []corev1.Node{node("a", "256Mi"), node("b", "4Gi")}, want: cure},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			kind := row.kind
			if kind == "" {
				kind = "Deployment"
			}
			if err := judgeNodes(aim(kind, "web"), row.d, row.nodes); answerOf(err) != row.want {
				t.Errorf("it comes to %s (%v), want %s", answerOf(err), err, row.want)
			}
		})
	}
}

func TestWithinLimitRangesOfAnyResource(t *testing.T) {
	rows := map[string]struct {
		item corev1.LimitRangeItem
		says string
	}{
		"a processor limit at the maximum": {item: corev1.LimitRangeItem{Max: amounts("cpu=2 memory=1Gi")}},
		"a processor limit beyond it":      {item: corev1.LimitRangeItem{Max: amounts("cpu=1")}, says: "LimitRange/ lets a container have 1 of cpu, and it would have 2"},
		"a request below the minimum":      {item: corev1.LimitRangeItem{Min: amounts("cpu=600m")}, says: "request no less than 600m of cpu"},
		"a limit out of proportion":        {item: corev1.LimitRangeItem{MaxLimitRequestRatio: amounts("cpu=3")}, says: "have a cpu limit of 3 times its request"},
		"a maximum of what is not named":   {item: corev1.LimitRangeItem{Max: amounts("ephemeral-storage=1Gi")}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			row.item.Type = corev1.LimitTypeContainer
			err := withinLimitRanges([]corev1.LimitRange{{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{row.item}}}}, sized("cpu=2 memory=1Gi", "cpu=500m memory=1Gi"))
			if (err != nil) != (row.says != "") || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("it says %v, want %q", err, row.says)
			}
		})
	}
}
