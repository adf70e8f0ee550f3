package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	// leastPending is how long a pod must have found no node to speak of it.
	leastPending = 30 * time.Second
	// hopelessPending is how long it must have found none before anything comes of it:
	// until then an autoscaler may still bring a node.
	hopelessPending = 5 * time.Minute
)

// unplaced are the pods of a workload that find no node, and why not, in the
// scheduler's words about one of them.
type unplaced struct {
	pods     []*corev1.Pod
	waited   time.Duration // by the one that has waited longest
	nodes    int           // that there are
	tainted  int
	noCPU    int
	noMemory int
	says     string
}

var (
	ofNodes   = regexp.MustCompile(`^0/(\d+) nodes are available: `)
	isTainted = regexp.MustCompile(`(\d+) node\(s\) had untolerated taint`)
	lacksCPU  = regexp.MustCompile(`(\d+) Insufficient cpu(?:[,. ]|$)`)
	lacksRAM  = regexp.MustCompile(`(\d+) Insufficient memory(?:[,. ]|$)`)
)

// unplacedOf reads what the scheduler says of a workload's pods. What it says of
// preemption, after the reasons, repeats them.
func unplacedOf(sc *scene, w *workload) (unplaced, bool) {
	var u unplaced
	for _, p := range w.pods {
		for _, c := range p.Status.Conditions {
			waited := sc.TakenAt.Sub(p.CreationTimestamp.Time)
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable && waited >= leastPending {
				u.pods, u.says, u.waited = append(u.pods, p), c.Message, max(u.waited, waited)
			}
		}
	}
	reasons, _, _ := strings.Cut(u.says, "preemption:")
	total := ofNodes.FindStringSubmatch(reasons)
	if total == nil {
		return u, false
	}
	u.nodes = number(total[1])
	for _, m := range isTainted.FindAllStringSubmatch(reasons, -1) {
		u.tainted += number(m[1]) // older schedulers count each taint for itself
	}
	u.noCPU, u.noMemory = count(lacksCPU, reasons), count(lacksRAM, reasons)
	return u, true
}

func count(pattern *regexp.Regexp, text string) int {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return number(m[1])
	}
	return 0
}

func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0 // more digits than there are nodes in the world
	}
	return n
}

// untoleratedTaint finds pods that are kept off by taints that people set. The
// taints of Kubernetes itself say that a node is failing or has a role, which is no
// fault of this kind; a node that the pod does not ask for would not take it without
// its taint either; and where a node is open to the pod, it is for another reason
// that it finds none. While an autoscaler replaces nodes, the pod most likely waits
// for the next one: what people set counts then only if a release lost a toleration.
func untoleratedTaint(sc *scene, w *workload) *Finding {
	u, found := unplacedOf(sc, w)
	if !found {
		return nil
	}
	byPeople, kept := sc.nodesThatAre(analysis.NodeTainted), sc.nodesThatAre(analysis.NodeTaintKept)
	nodes := min(u.tainted, len(byPeople)+len(kept))
	if nodes == 0 || u.nodes > len(sc.Nodes) || len(sc.nodesThatAre(analysis.NodeReady)) > 0 {
		return nil
	}
	what := fmt.Sprintf("%d of %d nodes carry a taint of somebody's that they do not tolerate", nodes, u.nodes)
	f := u.finding(sc, w, v1alpha1.CauseUntoleratedTaint, share{what, nodes, lessTolerant})
	undoes := f.Remedies[0].Action == rolloutUndo
	if !undoes && len(sc.nodesThatAre(analysis.NodeLifecycle)) > 0 {
		return nil
	}
	if !undoes && len(byPeople) == 0 {
		f.Message += "; no action of Kubernaut takes taints of such keys off: see kubectl describe node " + kept[0]
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	}
	if !undoes && len(byPeople) > 0 {
		// A remediation changes nothing outside its namespace, and which taint it is stays out.
		// Whether UntaintNode could take it off depends on what else runs on the node, which is not seen here: it is not advised.
		f.Message += fmt.Sprintf("; if it is a mistake, take it off %s, else let the pods tolerate it", join(byPeople[:min(len(byPeople), 3)]))
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	}
	return f
}

// nodesComeAndGo finds pods that are kept off by the taints of an autoscaler, or of a
// controller that starts and ends nodes. Another node may be on its way; until it has
// had its time, and after it, nothing is changed: the program would put its taint back.
func nodesComeAndGo(sc *scene, w *workload) *Finding {
	u, found := unplacedOf(sc, w)
	names := sc.nodesThatAre(analysis.NodeLifecycle)
	nodes := min(u.tainted, len(names))
	if !found || nodes == 0 || u.nodes > len(sc.Nodes) || len(sc.nodesThatAre(analysis.NodeReady)) > 0 {
		return nil
	}
	if f := untoleratedTaint(sc, w); f != nil {
		return nil // a release lost a toleration
	}
	what := fmt.Sprintf("%d of %d nodes (%s) carry a taint of %s, which takes them away or has not set them up yet",
		nodes, u.nodes, join(names[:min(len(names), 3)]), join(sc.programs()))
	if others := len(sc.nodesThatAre(analysis.NodeTainted)) + len(sc.nodesThatAre(analysis.NodeTaintKept)); others > 0 {
		what += fmt.Sprintf(", and %d carry a taint that a person set", others)
	}
	unchanged := func(_, _ *corev1.PodSpec) bool { return false }
	f := u.finding(sc, w, v1alpha1.CauseNotEnoughEvidence, share{what, nodes, unchanged})
	f.Target, f.Confidence = nil, 0
	f.Message += "; no other node has come yet"
	f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	return f
}

// programs names the programs whose taints keep pods off, each once.
func (sc *scene) programs() []string {
	var names []string
	for _, node := range sc.Nodes {
		if node.Code == analysis.NodeLifecycle && !slices.Contains(names, node.By) {
			names = append(names, node.By)
		}
	}
	return names
}

func insufficientCPU(sc *scene, w *workload) *Finding {
	return insufficient(sc, w, v1alpha1.CauseInsufficientCPU, corev1.ResourceCPU)
}

func insufficientMemory(sc *scene, w *workload) *Finding {
	return insufficient(sc, w, v1alpha1.CauseInsufficientMemory, corev1.ResourceMemory)
}

// insufficient finds pods that request more than any node has left.
func insufficient(sc *scene, w *workload, code v1alpha1.Cause, name corev1.ResourceName) *Finding {
	u, found := unplacedOf(sc, w)
	nodes := map[corev1.ResourceName]int{corev1.ResourceCPU: u.noCPU, corev1.ResourceMemory: u.noMemory}[name]
	if !found || nodes == 0 {
		return nil
	}
	wanted := requests(&w.template.Spec, name)
	what := fmt.Sprintf("%d of %d nodes have no %s of %s left", nodes, u.nodes, name, wanted.String())
	more := func(from, to *corev1.PodSpec) bool {
		was, now := requests(from, name), requests(to, name)
		return now.Cmp(was) > 0
	}
	return u.finding(sc, w, code, share{what, nodes, more})
}

// share is how many nodes a reason keeps a pod off, and whether a revision made it so.
type share struct {
	says  string
	nodes int
	made  func(from, to *corev1.PodSpec) bool
}

// finding weighs a reason by the nodes that the pod asks for. Going back helps
// where the revision asks for more than the one that is served from.
func (u unplaced) finding(sc *scene, w *workload, code v1alpha1.Cause, s share) *Finding {
	f := &Finding{
		Code: code, Object: w.ref.ObjectReference, Target: &w.ref,
		Message:    fmt.Sprintf("%d of %d pods of %s find no node: %s", len(u.pods), len(w.pods), w.ref, s.says),
		Confidence: percent(55 + 35*s.nodes/max(u.nodes-len(sc.nodesThatAre(analysis.NodeUnwanted)), s.nodes) - 10*sc.details()),
		Explains:   []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
		Evidence:   []v1alpha1.Evidence{says(v1alpha1.EvidenceObject, refOf(u.pods[0]), "PodScheduled is False: %s", u.says)},
	}
	f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	if f.Again = hopelessPending - u.waited; f.Again > 0 {
		return f
	}
	f.Again = 0
	failing := map[int64]bool{}
	for _, p := range u.pods {
		failing[w.revisionOf[p]] = true
	}
	if o, known := findOnset(sc, w, failing); known && s.made(&o.good.template.Spec, &o.bad.template.Spec) {
		weight := f.Confidence
		goBack(sc, w, f, o)
		f.Confidence = min(weight, f.Confidence)
	}
	return f
}

// nodesThatAre names the nodes of a code.
func (sc *scene) nodesThatAre(code analysis.NodeCode) []string {
	var names []string
	for _, node := range sc.Nodes {
		if node.Code == code {
			names = append(names, node.Name)
		}
	}
	return names
}

// requests returns what the pods of a template request, as the scheduler counts it:
// where nothing is requested, the limit is.
func requests(spec *corev1.PodSpec, name corev1.ResourceName) resource.Quantity {
	pod := &corev1.Pod{Spec: *spec.DeepCopy()}
	for _, all := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range all {
			limit, limited := all[i].Resources.Limits[name]
			if _, requested := all[i].Resources.Requests[name]; limited && !requested {
				all[i].Resources.Requests = corev1.ResourceList{name: limit} // no other name is asked for
			}
		}
	}
	return resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})[name]
}

// lessTolerant reports whether a revision lost a toleration.
func lessTolerant(from, to *corev1.PodSpec) bool {
	for _, had := range from.Tolerations {
		kept := false
		for _, has := range to.Tolerations {
			kept = kept || equality.Semantic.DeepEqual(had, has)
		}
		if !kept {
			return true
		}
	}
	return false
}
