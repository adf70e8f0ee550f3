package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/dependency"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	// sameMinutes is how near to each other troubles must have begun to have one cause.
	sameMinutes = 5 * time.Minute
	// leastNeighbours is how many other workloads that fail on one node speak against that
	// node.
	leastNeighbours = 2
)

// whyNotUndo says why a release is not to blame for crashes that follow it; empty: it may
// well be. What is looked at, in this order: pods of it that serve, what failed on the
// same node, others that lack the same dependency, and what the program itself said
// before it ended.
func (sc *scene) whyNotUndo(w *workload, o onset, loops []failure) string {
	if pod := sc.servesSteadily(w, o.bad); pod != "" {
		return fmt.Sprintf("pod %s of the same revision has been ready for over %s", pod, steadily)
	}
	began := sc.began(w, o, revisionsOf(loops))
	if why := sc.nodeTrouble(loops, o, began); why != "" {
		return why
	}
	c, complains := sc.complaint(loops)
	if !complains {
		if unread := sc.unheard(loops); unread != nil && o.good.ready == 0 {
			return fmt.Sprintf("the %s could not be read, and no pod of revision %d is left that could show whether something else fails", unread.What, o.good.number)
		}
		return ""
	}
	alike := sc.alike(c, began)
	switch {
	case slices.ContainsFunc(alike, unchanged):
		return "others, which were not changed, can't use it either"
	case sc.touches(w, o, c):
		return ""
	case len(alike) > 0: // one incident, and not several bad releases
		return fmt.Sprintf("%s can't use it either since the same minutes, so it is no fault of this release alone", join(namesOf(alike)))
	case o.good.ready > 0: // it gets along with the dependency as it is
		return ""
	}
	return fmt.Sprintf("no pod of revision %d is left that could show it, and what changed (%s) names nothing of it", o.good.number, differ(o.good, o.bad)[0])
}

func namesOf(neighbours []analysis.Neighbour) []string {
	names := make([]string, len(neighbours))
	for i := range neighbours {
		names[i] = neighbours[i].Name
	}
	return names
}

// steadily is how long a pod must have been ready for its revision to be one that runs.
const steadily = vitals.UsualDelay

// servesSteadily names a pod of a revision that has been ready for long, and did not
// crash lately.
func (sc *scene) servesSteadily(w *workload, r revision) string {
	for _, p := range w.pods {
		if w.revisionOf[p] == r.number && vitals.Ready(p) && sc.TakenAt.Sub(vitals.ReadySince(p)) >= steadily && !sc.endedLately(p) {
			return p.Name
		}
	}
	return ""
}

// endedLately reports whether a container of a pod ended within a steady run: it may be in
// a loop whose runs are long.
func (sc *scene) endedLately(p *corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), func(c corev1.ContainerStatus) bool {
		last := c.LastTerminationState.Terminated
		return last != nil && c.RestartCount > 0 && sc.TakenAt.Sub(last.FinishedAt.Time) < vitals.SteadyRun
	})
}

// nodeTrouble says that crashes came with trouble of the node, after a release: the
// node was not ready in between, or each of several nodes, or several workloads that were
// not changed began to fail on the one node in the same minutes.
func (sc *scene) nodeTrouble(loops []failure, o onset, began vitals.Span) string {
	nodes := nodesOf(loops)
	after := func(at time.Time) bool { return at.After(o.bad.came.Latest) && near(at, began) }
	if why := sc.nodesTurned(nodes, after); why != "" || len(nodes) != 1 || nodes[0] == "" {
		return why
	}
	var names []string
	for _, n := range sc.Neighbours {
		if n.Node == nodes[0] && unchanged(n) && after(n.Since) {
			names = append(names, n.Name)
		}
	}
	if len(names) < leastNeighbours {
		return ""
	}
	return fmt.Sprintf("%s, which were not changed, began to fail on the same node %s in the same minutes", join(names), nodes[0])
}

// nodesTurned says since when each of some nodes is ready, or is not, if that began for all
// of them at a time that counts.
func (sc *scene) nodesTurned(nodes []string, counts func(time.Time) bool) string {
	share := "all"
	if len(nodes) > 1 {
		share = "some"
	}
	var turned []string
	for _, h := range sc.Hosts {
		if slices.Contains(nodes, h.Name) && counts(h.Since) {
			turned = append(turned, fmt.Sprintf("node %s, where %s of them run, is %s since %s", h.Name, share, h.Code, h.Since.UTC().Format(time.RFC3339)))
		}
	}
	if len(turned) < len(nodes) {
		return ""
	}
	return strings.Join(turned, "; ")
}

// nodesOf returns the nodes that the failing containers run on.
func nodesOf(failures []failure) []string {
	var nodes []string
	for _, f := range failures {
		if name := f.pod.Spec.NodeName; !slices.Contains(nodes, name) {
			nodes = append(nodes, name)
		}
	}
	return nodes
}

// complaint returns what the containers that fail said of a dependency before they
// ended; the first one that complains speaks for all, for replicas fail alike.
func (sc *scene) complaint(failures []failure) (dependency.Complaint, bool) {
	for _, f := range failures {
		if c, found := dependency.Find(sc.lastLines(f)); found {
			return c, true
		}
	}
	return dependency.Complaint{}, false
}

// lastLines are what a container wrote before it ended: the log of the run that ended
// last, the other one where there is no such, and the termination message, which may be
// all there is.
func (sc *scene) lastLines(f failure) []string {
	var lines []string
	for _, l := range sc.Logs {
		if l.Pod == f.pod.Name && l.Container == f.container && (l.Previous != f.isCurrent || len(lines) == 0) {
			lines = l.Lines
		}
	}
	if f.last != nil && f.last.Message != "" {
		lines = append(slices.Clone(lines), strings.Split(f.last.Message, "\n")...)
	}
	return lines
}

// unheard is the log that could not be read, where nothing is known of what the containers
// that fail wrote; nil: something is, or they wrote nothing.
func (sc *scene) unheard(failures []failure) *analysis.Missing {
	var unread *analysis.Missing
	for _, f := range failures {
		if len(sc.lastLines(f)) > 0 {
			return nil
		}
		log := analysis.Log{Pod: f.pod.Name, Container: f.container}.String()
		if i := slices.IndexFunc(sc.Missing, func(m analysis.Missing) bool { return m.What == log }); i >= 0 {
			unread = &sc.Missing[i]
		}
	}
	return unread
}

// alike returns the neighbours that complain of the same dependency since the same
// minutes, whether they were changed themselves or not.
func (sc *scene) alike(c dependency.Complaint, began vitals.Span) []analysis.Neighbour {
	var found []analysis.Neighbour
	for _, n := range sc.Neighbours {
		other, complains := dependency.Find(n.Lines)
		if n.Endpoint != "" {
			other.Endpoint = n.Endpoint
		}
		if complains && c.Endpoint != "" && sameHost(c, other) && near(n.Since, began) {
			found = append(found, n)
		}
	}
	return found
}

// sameHost reports whether two programs speak of one host. Inside a namespace a Service
// has a short name and several longer ones.
func sameHost(a, b dependency.Complaint) bool {
	one, other := a.Host(), b.Host()
	return one == other || strings.HasPrefix(one, other+".") || strings.HasPrefix(other, one+".")
}

// unchanged reports whether a neighbour's pods were rolled out long before it failed.
func unchanged(n analysis.Neighbour) bool {
	return !n.Changed.IsZero() && n.Since.Sub(n.Changed) > vitals.UsualDelay
}

// near reports whether a moment is in the same minutes as a trouble's beginning.
func near(at time.Time, began vitals.Span) bool {
	return !at.Before(began.Earliest.Add(-sameMinutes)) && !at.After(began.Latest.Add(sameMinutes))
}

// touches reports whether what a release changed has to do with the dependency: its
// host came with the release, or the name of something that changed is in the line, or
// shares a word with it. The words by which the workload itself is called are in the names
// of its variables and of its hosts, whatever those are about.
func (sc *scene) touches(w *workload, o onset, c dependency.Complaint) bool {
	for _, e := range sc.Endpoints {
		if e.Host == c.Host() && slices.Contains(e.Templates, o.bad.keeper.Name) && !slices.Contains(e.Templates, o.good.keeper.Name) {
			return true
		}
	}
	own := w.ref.Namespace + " " + w.ref.Name
	for i := range o.bad.template.Spec.Containers {
		own += " " + o.bad.template.Spec.Containers[i].Name
	}
	said := dependency.Words(c, dependency.WordsOf(own))
	for _, name := range changedConfig(&o.good.template.Spec, &o.bad.template.Spec) {
		if mentioned(c.Line, name) || slices.ContainsFunc(dependency.WordsOf(name), func(word string) bool { return said[word] }) {
			return true
		}
	}
	return false
}

// crashDependency finds containers that crash for want of a service outside their pod,
// as they say themselves. Where a release may be to blame, that is another finding;
// nothing is changed here, for what is to be mended is elsewhere.
func crashDependency(sc *scene, w *workload) *Finding {
	loops := filter(w.failures, failure.loops)
	c, complains := sc.complaint(loops)
	if !complains || loudest(loops).outOfMemory() {
		return nil
	}
	o, suspected := findOnset(sc, w, revisionsOf(loops))
	suspected = suspected && len(differ(o.good, o.bad)) > 0
	reason := ""
	if suspected {
		if reason = sc.whyNotUndo(w, o, loops); reason == "" {
			return nil
		}
	}
	worst := loudest(loops)
	f := &Finding{
		Code: v1alpha1.CauseCrashDependency, Object: w.ref.ObjectReference, Target: &w.ref,
		Message: fmt.Sprintf("container %s of %s crashed %s, the last time %s, because it can't use %s, which is outside its pod: %s",
			worst.container, w.ref, times(worst.crashes), worst.ended(), c.Name(), c.Line),
		Explains:   []Ref{{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}},
		Evidence:   crashEvidence(sc, loops),
		Confidence: percent(70 - 10*sc.details()),
	}
	if suspected {
		f.Message += fmt.Sprintf("; revision %d of %s was rolled out %s and is not gone back from: %s", o.bad.number, w.ref, when(o.bad.came), reason)
		f.Evidence = append(f.Evidence, releaseEvidence(sc, w, o, differ(o.good, o.bad))...)
	}
	if alike := sc.alike(c, vitals.Onset(w.pods, sc.Events, sc.TakenAt)); len(alike) > 0 {
		f.Confidence = min(f.Confidence+15, 95)
		for _, n := range alike {
			f.Evidence = append(f.Evidence, says(v1alpha1.EvidenceLog, v1alpha1.ObjectReference{}, "%s fails alike since %s: %s", n.Name, n.Since.UTC().Format(time.RFC3339), strings.Join(n.Lines, " ")))
		}
	}
	f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
	return f
}
