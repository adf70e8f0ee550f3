package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// leastAsked is how long a container must have run for a refused probe to say
// more than that it is still starting.
const leastAsked = 10 * time.Second

// onlyDeclared is the confidence where only the declared ports speak against a probe.
const onlyDeclared = 50

// probed is a container whose probe is refused.
type probed struct {
	pod       *corev1.Pod
	container *corev1.Container
	kind      string // of the probe, as the kubelet calls it
	port      int32
	event     *corev1.Event
}

// probeWrongPort finds a probe that asks where nothing listens, after a revision changed
// the probe and nothing else that could matter, or while the container says that it
// listens elsewhere. The ports that a container declares are information only: by
// themselves they call a person and do no more. A probe that was answered by the same
// revision asks at the right port.
func probeWrongPort(sc *scene, w *workload) *Finding {
	for _, p := range sc.refused(w) {
		o, known := findOnset(sc, w, map[int64]bool{w.revisionOf[p.pod]: true})
		moved := known && p.moved(o) && !sc.rewritten(o)
		if !moved && p.declared() || sc.answered(w, p) {
			continue // the port is right, and the program is not there yet
		}
		weight := onlyDeclared
		if moved {
			weight = 65
		}
		f := &Finding{
			Code: v1alpha1.CauseProbeWrongPort, Object: w.ref.ObjectReference, Target: &w.ref,
			Message: fmt.Sprintf("%s probe of container %s of %s asks at port %d, where nothing listens; the container %s",
				strings.ToLower(p.kind), p.container.Name, w.ref, p.port, p.listens()),
			Explains: []Ref{
				{v1alpha1.CauseRolloutStuck, w.ref.ObjectReference}, {v1alpha1.CauseCrashBadRelease, w.ref.ObjectReference},
			},
			Evidence:   []v1alpha1.Evidence{says(v1alpha1.EvidenceEvent, refOf(p.pod), "%s: %s", p.event.Reason, p.event.Message)},
			Confidence: percent(weight - 10*sc.details()),
			Again:      sc.startLeft(p),
		}
		f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
		switch {
		case moved:
			goBack(sc, w, f, o)
		case f.Again > 0:
			// It may only be slow to start, so nothing is concluded yet.
			f.Code, f.Target, f.Confidence = v1alpha1.CauseNotEnoughEvidence, nil, 0
			f.Message += "; it has not had the time yet that its probes give it to start"
			f.Remedies = []v1alpha1.Remedy{toPerson(f.Message)}
		}
		return f
	}
	return nil
}

// refused returns the containers that run, and whose probe gets no connection.
func (sc *scene) refused(w *workload) []probed {
	var all []probed
	for _, pod := range w.pods {
		for i := range pod.Status.ContainerStatuses {
			status := &pod.Status.ContainerStatuses[i]
			c, found := containerOf(&pod.Spec, status.Name)
			if !found || !sc.asked(status) {
				continue
			}
			for kind, probe := range probesOf(c) {
				port, has := portOf(c, probe)
				if e := sc.refusal(pod, kind, port); has && e != nil {
					all = append(all, probed{pod: pod, container: c, kind: kind, port: port, event: e})
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b probed) int { return strings.Compare(a.kind, b.kind) })
	return all
}

// asked reports whether a container has run long enough for its probes to mean
// something, or was ended by one and not by itself.
func (sc *scene) asked(c *corev1.ContainerStatus) bool {
	last := c.LastTerminationState.Terminated
	if c.State.Terminated != nil {
		last = c.State.Terminated
	}
	if last != nil && (last.Reason == "OOMKilled" || last.ExitCode != 0 && last.ExitCode != 137 && last.ExitCode != 143) {
		return false // it ends by itself: nothing listens because nothing is there
	}
	ran := c.State.Running != nil && sc.TakenAt.Sub(c.State.Running.StartedAt.Time) >= leastAsked
	return !c.Ready && (ran || last != nil)
}

func probesOf(c *corev1.Container) map[string]*corev1.Probe {
	return map[string]*corev1.Probe{"Readiness": c.ReadinessProbe, "Liveness": c.LivenessProbe, "Startup": c.StartupProbe}
}

// portOf returns the port a probe asks at, by number. One that asks another host says
// nothing of where the container listens.
func portOf(c *corev1.Container, p *corev1.Probe) (int32, bool) {
	var port intstr.IntOrString
	switch {
	case p == nil:
		return 0, false
	case p.HTTPGet != nil && p.HTTPGet.Host == "":
		port = p.HTTPGet.Port
	case p.TCPSocket != nil && p.TCPSocket.Host == "":
		port = p.TCPSocket.Port
	case p.GRPC != nil:
		return p.GRPC.Port, true
	default:
		return 0, false
	}
	if port.Type == intstr.Int {
		return port.IntVal, true
	}
	for _, named := range c.Ports {
		if named.Name == port.StrVal {
			return named.ContainerPort, true
		}
	}
	return 0, false
}

// refusal returns the kubelet's word that a probe was refused at a port.
func (sc *scene) refusal(p *corev1.Pod, kind string, port int32) *corev1.Event {
	at := regexp.MustCompile(fmt.Sprintf(`:%d(?:\D|$)`, port)) // port 80 is no part of 8080
	for i := range sc.Events {
		e := &sc.Events[i]
		if e.InvolvedObject.UID == p.UID && e.Reason == "Unhealthy" && strings.HasPrefix(e.Message, kind+" probe failed") &&
			strings.Contains(e.Message, "connection refused") && at.MatchString(e.Message) {
			return e
		}
	}
	return nil
}

// declared reports whether a container of the pod says that it listens at the
// port, or none says where it listens.
func (p probed) declared() bool {
	says := false
	for _, c := range slices.Concat(p.pod.Spec.InitContainers, p.pod.Spec.Containers) {
		for _, port := range c.Ports {
			if port.ContainerPort == p.port {
				return true
			}
			says = says || c.Name == p.container.Name
		}
	}
	return !says
}

// moved reports whether the revision changed where the probe asks, and nothing by
// which a program could listen elsewhere: neither this container's nor that of
// another in the pod, which may be the one that is asked.
func (p probed) moved(o onset) bool {
	was, existed := containerOf(&o.good.template.Spec, p.container.Name)
	if !existed {
		return false
	}
	before, asked := portOf(was, probesOf(was)[p.kind])
	return asked && before != p.port && equality.Semantic.DeepEqual(programs(&o.good.template.Spec), programs(&o.bad.template.Spec))
}

// programs returns what of a pod decides where its programs listen.
func programs(spec *corev1.PodSpec) corev1.PodSpec {
	bare := corev1.PodSpec{Volumes: spec.Volumes}
	keep := func(all []corev1.Container) []corev1.Container {
		var kept []corev1.Container
		for _, c := range all {
			kept = append(kept, corev1.Container{
				Name: c.Name, Image: c.Image, Command: c.Command, Args: c.Args, Env: c.Env, EnvFrom: c.EnvFrom, VolumeMounts: c.VolumeMounts,
			})
		}
		return kept
	}
	bare.InitContainers, bare.Containers = keep(spec.InitContainers), keep(spec.Containers)
	return bare
}

// rewritten reports whether a ConfigMap of the pods was written since shortly
// before a revision came: the port may stand in it.
func (sc *scene) rewritten(o onset) bool {
	return slices.ContainsFunc(sc.Changes, func(c analysis.Change) bool {
		return c.Object.Kind == "ConfigMap" && c.At.After(o.bad.came.Earliest.Add(-recentChange))
	})
}

// listens says where the container says that it listens.
func (p probed) listens() string {
	var ports []string
	for _, port := range p.container.Ports {
		ports = append(ports, fmt.Sprint(port.ContainerPort))
	}
	if len(ports) == 0 {
		return "does not say where it listens"
	}
	return "listens at " + join(ports)
}
