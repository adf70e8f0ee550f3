package evidence

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/atonce"
	"github.com/kubernaut/kubernaut/internal/dependency"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

const (
	// maxFailing is how many other workloads are considered, each of which costs two
	// requests for metadata; maxNeighbours of them are kept, and their logs read.
	maxFailing    = 8
	maxNeighbours = 3
	// stillFailing is how long ago the last warning about a neighbour may be: the kubelet
	// repeats its warnings about a container that it backs off every few minutes.
	stillFailing = 15 * time.Minute
	// neighbourLines are kept of a neighbour's log.
	neighbourLines = 5
	// knownAround is for how long what was found out about neighbours is good, and mostAround
	// of how many objects and logs it is kept, each of a few hundred bytes.
	knownAround = 5 * time.Second
	mostAround  = 1024
	// maxHosts is how many nodes with crashing containers are looked at.
	maxHosts = 3
)

// neighbours notes which other workloads of the namespace crash as the target's pods do.
// Nothing is asked where the target has no trouble, or nothing is said of others.
func (l *look) neighbours(ctx context.Context) {
	if !l.isTroubled() {
		return
	}
	failing := l.othersBackedOff()
	found := make([]neighbour, len(failing))
	reads := make([]func(), len(failing))
	for i := range failing {
		reads[i] = func() { found[i] = l.neighbour(ctx, &failing[i]) }
	}
	atonce.Do(reads...)
	found = slices.DeleteFunc(found, func(n neighbour) bool { return n.pod == "" })
	slices.SortStableFunc(found, longestUnchanged)
	found = first(found, maxNeighbours)
	reads = reads[:0]
	for i := range found {
		reads = append(reads, func() { l.readLog(ctx, &found[i]) })
	}
	atonce.Do(reads...)
	for i := range found {
		l.snapshot.Neighbours = append(l.snapshot.Neighbours, found[i].Neighbour)
	}
}

// neighbour is one with the container whose log tells why it fails.
type neighbour struct {
	analysis.Neighbour
	pod, container string
}

// longestUnchanged puts first the neighbours whose pods were rolled out longest before they
// failed, for only those that were not changed speak against a release by themselves. Those
// of which nothing tells when they were changed come last.
func longestUnchanged(a, b neighbour) int {
	unchanged := func(n neighbour) time.Duration {
		if n.Changed.IsZero() {
			return -1
		}
		return max(n.Since.Sub(n.Changed), 0)
	}
	return cmp.Compare(unchanged(b), unchanged(a))
}

// isTroubled reports whether a pod of the target is not well now.
func (l *look) isTroubled() bool { return slices.ContainsFunc(l.snapshot.Pods, l.isUnwell) }

// isUnwell reports whether a pod that counts is not ready, or crashed a moment ago.
func (l *look) isUnwell(p corev1.Pod) bool {
	return vitals.Active(&p) && (!vitals.Ready(&p) || slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses),
		func(c corev1.ContainerStatus) bool { return vitals.Crashing(&p, &c, l.snapshot.TakenAt) }))
}

// othersBackedOff returns one warning for each owner of pods that are not the target's
// and are backed off; those that began to fail last come first.
func (l *look) othersBackedOff() []corev1.Event {
	kept := aboutOthers(l.snapshot, l.said, func(e *corev1.Event) bool {
		return e.Reason == "BackOff" && containerOf(e) != "" && l.snapshot.TakenAt.Sub(vitals.LastSeen(e)) <= stillFailing
	})
	slices.SortStableFunc(kept, func(a, b corev1.Event) int { return firstSeen(&b).Compare(firstSeen(&a)) })
	return first(onePerOwner(l.snapshot, kept), maxFailing)
}

// containerOf returns the container that an event is about, as the kubelet's field path
// names it; an image that can't be pulled is backed off, too, and no crash.
func containerOf(e *corev1.Event) string {
	name, found := strings.CutPrefix(e.InvolvedObject.FieldPath, "spec.containers{")
	if !found || !strings.Contains(e.Message, "restarting failed container") {
		return ""
	}
	return strings.TrimSuffix(name, "}")
}

func firstSeen(e *corev1.Event) time.Time {
	if e.FirstTimestamp.IsZero() {
		return vitals.LastSeen(e)
	}
	return e.FirstTimestamp.Time
}

// neighbour returns the one that an event is about; without a pod if that is gone or can't
// be read: it is a detail.
func (l *look) neighbour(ctx context.Context, e *corev1.Event) neighbour {
	ref := e.InvolvedObject
	pod := l.head(ctx, corev1.SchemeGroupVersion.WithKind("Pod"), ref.Name)
	if pod == nil || pod.UID != ref.UID {
		return neighbour{}
	}
	n := neighbour{analysis.Neighbour{Name: "Pod/" + pod.Name, Node: e.Source.Host, Since: firstSeen(e).UTC()}, pod.Name, containerOf(e)}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		n.Name, n.Changed = l.rolledOut(ctx, pod, owner)
	}
	return n
}

// lastWords are what a neighbour wrote before it ended, and the service that it complains of.
type lastWords struct {
	lines    []string
	endpoint string
}

// readLog notes what a neighbour wrote before it ended, as far as it can be read.
func (l *look) readLog(ctx context.Context, n *neighbour) {
	of := analysis.Log{Pod: n.pod, Container: n.container, Previous: true}
	said := known(l, l.snapshot.Target.Namespace+" "+of.String(), func() (lastWords, bool) {
		lines, err := l.logs.Tail(ctx, l.snapshot.Target.Namespace, of)
		return lastWordsOf(lines), err == nil
	})
	n.Lines, n.Endpoint = slices.Clone(said.lines), said.endpoint
}

// lastWordsOf cuts a log to the line that complains of a service, or to its last lines.
func lastWordsOf(lines []string) lastWords {
	if len(lines) == 0 {
		return lastWords{}
	}
	lines = strings.Split(redact.Text(strings.Join(lines, "\n")), "\n")
	if c, complains := dependency.Find(lines); complains {
		return lastWords{[]string{redact.Cut(c.Line, 400)}, redact.Cut(c.Endpoint, 400)}
	}
	var said lastWords
	for _, line := range lines[max(0, len(lines)-neighbourLines):] {
		said.lines = append(said.lines, redact.Cut(line, 400))
	}
	return said
}

// known returns what was found out a moment ago, or finds it out; a failure is not kept.
func known[T any](l *look, what string, find func() (T, bool)) T {
	if found, ok := l.around.Get(what); ok {
		return found.(T)
	}
	found, ok := find()
	if ok {
		l.around.Add(what, found, knownAround)
	}
	return found
}

// rolledOut names the workload of a pod, and when the pod's template was rolled out.
func (l *look) rolledOut(ctx context.Context, pod *metav1.PartialObjectMetadata, owner *metav1.OwnerReference) (string, time.Time) {
	name := owner.Kind + "/" + owner.Name
	keeper, kept := "ReplicaSet", owner.Name
	if owner.Kind != keeper {
		keeper, kept = "ControllerRevision", pod.Labels[appsv1.ControllerRevisionHashLabelKey]
		if owner.Kind == "DaemonSet" {
			kept = owner.Name + "-" + kept
		}
	}
	meta := l.head(ctx, appsv1.SchemeGroupVersion.WithKind(keeper), kept)
	if meta == nil {
		return name, time.Time{}
	}
	if top := metav1.GetControllerOf(meta); top != nil {
		name = top.Kind + "/" + top.Name
	}
	if meta.Annotations[reusedAnnotation] != "" {
		return name, time.Time{} // it was rolled out again, and its creation does not say when
	}
	return name, meta.CreationTimestamp.UTC()
}

// head reads an object's metadata, which must not be changed; nil if it can't be had.
func (l *look) head(ctx context.Context, kind schema.GroupVersionKind, name string) *metav1.PartialObjectMetadata {
	if name == "" {
		return nil
	}
	key := client.ObjectKey{Namespace: l.snapshot.Target.Namespace, Name: name}
	return known(l, kind.Kind+" "+key.String(), func() (*metav1.PartialObjectMetadata, bool) {
		meta := &metav1.PartialObjectMetadata{}
		meta.SetGroupVersionKind(kind)
		if l.shared.Get(ctx, key, meta) != nil {
			return nil, false
		}
		meta.ManagedFields = nil // half of what it holds
		return meta, true
	})
}

// hosts notes how the nodes are on which containers crash, and since when: one that
// restarted takes its pods with it. Which node a pod runs on is known to those who may
// read the pod; of the node only this word is kept.
func (l *look) hosts(ctx context.Context) {
	var names []string
	for i := range l.snapshot.Pods {
		p := &l.snapshot.Pods[i]
		if p.Spec.NodeName != "" && l.isUnwell(*p) && !slices.Contains(names, p.Spec.NodeName) {
			names = append(names, p.Spec.NodeName)
		}
	}
	for _, name := range first(names, maxHosts) {
		var node corev1.Node
		if l.shared.Get(ctx, client.ObjectKey{Name: name}, &node) != nil {
			continue // a detail that needs a right of its own
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady {
				l.snapshot.Hosts = append(l.snapshot.Hosts, analysis.Host{Name: name, Code: codeOf(&node, nil), Since: c.LastTransitionTime.UTC()})
			}
		}
	}
}

// endpoints notes which templates name the hosts that the logs complain of, before the
// values that do are taken out of the snapshot.
func endpoints(s *analysis.Snapshot) {
	var hosts []string
	for _, log := range s.Logs {
		if c, complains := dependency.Find(log.Lines); complains && c.Host() != "" && !slices.Contains(hosts, c.Host()) {
			hosts = append(hosts, c.Host())
		}
	}
	for _, host := range hosts {
		e := analysis.Endpoint{Host: host}
		for i := range s.ReplicaSets {
			if isGiven(&s.ReplicaSets[i].Spec.Template.Spec, host) {
				e.Templates = append(e.Templates, s.ReplicaSets[i].Name)
			}
		}
		for i := range s.Revisions {
			if isGiven(&s.Revisions[i].Template.Spec, host) {
				e.Templates = append(e.Templates, s.Revisions[i].Name)
			}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
}

// isGiven reports whether a container is given a host by a variable or on its command line.
func isGiven(spec *corev1.PodSpec, host string) bool {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		values := slices.Concat(c.Command, c.Args)
		for _, v := range c.Env {
			values = append(values, v.Value)
		}
		if slices.ContainsFunc(values, func(value string) bool { return dependency.Mentions(value, host) }) {
			return true
		}
	}
	return false
}
