package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
)

const (
	// alertRange is how long an alert may fire after its trouble ended: the range of
	// common rules, or the time for which they keep firing.
	alertRange = 15 * time.Minute
	// alertLead is how long before an alert its trouble may have ended already: the
	// range of the rates that most rules about errors and latency are made of.
	alertLead = 5 * time.Minute
)

// answers reports whether Healthy answers the alert. What is checked is readiness,
// restarts and rollouts. An alert about anything else, or one whose name is not known,
// is answered only by a trouble that was seen to end: that all pods are ready says
// nothing about errors, latency or a disk.
func (sc *scene) answers() bool {
	broken, all := sc.brokenPorts()
	switch {
	case all:
		return false // the Service reaches no pod at all, however ready they are
	case isAboutReadiness(sc.alert, sc.Machine != nil):
		return true
	}
	return len(broken) == 0 && len(sc.undeclaredPorts()) == 0 && !isLasting(sc.alert.Name) && sc.troubleEnded()
}

// unanswered says, of a target that is well, what was checked and that it does
// not answer the alert.
func (sc *scene) unanswered(v vitals.Vitals) string {
	if v.Health != v1alpha1.HealthHealthy || sc.answers() {
		return ""
	}
	looked := "readiness, restarts and rollouts were checked"
	if sc.Machine != nil {
		looked = "the readiness and the conditions of the node were checked"
	}
	message := fmt.Sprintf("; %s, which does not answer alert %s", looked, sc.alert.Name)
	broken, _ := sc.brokenPorts()
	for _, p := range broken {
		message += fmt.Sprintf("; port %d of %s sends to the container port named %q, which no container of its pods declares", p.Port, sc.Target, p.TargetPort.StrVal)
	}
	for _, p := range sc.undeclaredPorts() {
		message += fmt.Sprintf("; port %d of %s sends to %d, which no container of its pods declares: check that the program listens there", p.Port, sc.Target, targetPort(p))
	}
	return message
}

// claimless matches names of words that claim no trouble. Such an alert, for example
// the one of kubectl kubernaut test-alert, asks only whether its target is well.
var claimless = regexp.MustCompile(`^(?: ?(?:kubernaut|kubernetes|kube|k|8s|tests?|alerts?))* ?$`)

// workloadWords are those for what has pods, or is one.
const workloadWords = `(?:pods?|containers?|deployments?|stateful ?sets?|daemon ?sets?|replica ?sets?|workloads?)`

// readinessClaims are the phrases of alerts about readiness, restarts and rollouts.
// A name is matched as words: KubePodNotReady is "kube pod not ready".
var readinessClaims = regexp.MustCompile(strings.Join([]string{
	`\breadiness probes?|\bendpoints? (?:address(?:es)? )?not ?ready`,
	`crash(?:es|ed|ing|loop\w*)?\b(?: ?loop\w*)?(?: back ?off)?`,
	`restart(?:s|ed|ing)?\b`,
	`(?:\bmemory )?(?:\blimit )?\boom(?: ?kill\w*)?|\bout of memory`,
	`(?:\berr )?\bimage ?pull(?: ?back ?off)?(?: errors?)?|\berr ?image ?(?:never )?pull|\binvalid image name|\bpull image`,
	`\b(?:create|run) ?container (?:config )?error|\bcontainers? creating`,
	`\bcontainers? waiting|` + workloadWords + ` (?:(?:is|are|in|stuck|too|long|phase) )*pending|\bpending ` + workloadWords,
	`\bunschedulable|\bnot scheduled|\bfailed scheduling`,
	`\breplicas? (?:count )?(?:mismatch\w*|unavailable|not available)|\bunavailable replicas?|\bgeneration mismatch`,
	`\brollouts?\b|\brolled out|\bprogress deadline(?: exceeded)?`,
	workloadWords + ` (?:unavailable|not available|unhealthy|not healthy|down|degraded|stuck|not running|not progressing)\b`,
	`\b(?:unhealthy|unavailable|stuck) ` + workloadWords,
	`\b(?:no|without|missing|zero) (?:(?:ready|available|healthy) )?endpoints?|\bendpoints? (?:address(?:es)? )?not available`,
}, "|"))

// unreadyWords are about readiness where the name says of what: certificates, custom
// resources and nodes are not ready, too, and no pod answers for them.
var (
	unreadyWords = regexp.MustCompile(`not ?ready|\bunready|\breadiness`)
	ofWorkload   = regexp.MustCompile(`\b(?:` + workloadWords + `|replicas?)|pods?not`)
	ofNode       = regexp.MustCompile(`\bnodes? ?(?:not ?ready|unready|readiness)`)
)

// nodeClaims are those of alerts about the readiness of a node, without spaces:
// people write node_down, NodeDown and nodedown.
var nodeClaims = regexp.MustCompile(`notready|unreachable|nodedown`)

// What a word of an alert's name stands for if it is no part of a claim above.
const (
	// lastingWords are about what a restart or a return to readiness does not end.
	lastingWords = `disks?|file ?systems?|volumes?|storage|pvcs?|persistent|inodes?|cpu|memory|certificates?|certs?|tls|expir\w*|quotas?|throttl\w*|backups?|hpa|autoscal\w*|predict\w*|forecast\w*|soon|near\w*|approach\w*|risk\w*`
	// passingWords are about what is served, or about other measures than readiness.
	passingWords = `errors?|exceptions?|latenc\w+|slow\w*|durations?|delay\w*|requests?|traffic|throughput|https?|grpc|[1-5]xx|slos?|slis?|burn\w*|budgets?|performan\w*|saturat\w*|queues?|lag\w*|backlogs?|network\w*|packets?|connections?|dns|pdb|disruptions?|targets?|flap\w*|replication|required|needed|terminat\w*|scrap\w+|exporters?`
)

var (
	lasting   = regexp.MustCompile(`\b(?:` + lastingWords + `)\b`)
	otherwise = regexp.MustCompile(`\b(?:` + lastingWords + `|` + passingWords + `)\b`)
)

// waitingReasons are the values of the label reason by which kube-state-metrics
// tells why a container waits or ended.
var waitingReasons = []string{
	"CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "OOMKilled", "ContainerCreating",
	"PodInitializing", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "Unschedulable", "ProgressDeadlineExceeded",
}

// readyConditions are the values of the label condition that are about readiness.
var readyConditions = []string{"Ready", "ContainersReady", "PodScheduled", "Available", "Progressing"}

// isAboutReadiness reports whether an alert is about readiness, restarts or a
// rollout, or claims nothing at all. It goes by the name and two labels, and is
// conservative: PodNetworkErrors and DeploymentLatencyHigh are not, and neither is
// a name that is not known.
func isAboutReadiness(a v1alpha1.Alert, node bool) bool {
	name := nameWords(a.Name)
	if claimless.MatchString(name) {
		return true
	}
	if node {
		compact := strings.ReplaceAll(name, " ", "")
		return (nodeClaims.MatchString(compact) || a.Labels["condition"] == string(corev1.NodeReady)) && !otherwise.MatchString(name)
	}
	rest := readinessClaims.ReplaceAllString(name, " ")
	if otherwise.MatchString(rest) || ofNode.MatchString(name) {
		return false
	}
	ready := unreadyWords.MatchString(rest) || slices.Contains(readyConditions, a.Labels["condition"])
	return rest != name || ready && ofWorkload.MatchString(name) || slices.Contains(waitingReasons, a.Labels["reason"])
}

// isLasting reports whether an alert is about what no return to readiness ends.
func isLasting(name string) bool {
	return lasting.MatchString(readinessClaims.ReplaceAllString(nameWords(name), " "))
}

// nameWords splits a name in CamelCase or snake_case: "KubePodOOMKilled" is "kube pod oom killed".
func nameWords(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			b.WriteRune(' ')
			continue
		}
		if i > 0 && startsWord(runes, i) {
			b.WriteRune(' ')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// startsWord reports whether a word begins at a letter or digit of a name: at a
// capital after a small letter, at the last capital of several before a small
// letter, and at the first digit.
func startsWord(name []rune, i int) bool {
	before, r := name[i-1], name[i]
	switch {
	case unicode.IsDigit(r):
		return unicode.IsLetter(before)
	case !unicode.IsUpper(r):
		return false
	case unicode.IsUpper(before):
		return i+1 < len(name) && unicode.IsLower(name[i+1])
	}
	return true
}

// troubleEnded reports whether a trouble was seen to end around the time of the alert.
func (sc *scene) troubleEnded() bool {
	if sc.Machine != nil {
		ready := vitals.ReadyCondition(sc.Machine)
		return ready != nil && sc.cameBack(ready.LastTransitionTime.Time)
	}
	return slices.ContainsFunc(sc.workloads, func(w *workload) bool {
		return slices.ContainsFunc(w.failures, sc.recoveredLately) || sc.availableAgain(w) || slices.ContainsFunc(w.pods, sc.readyAgain)
	})
}

// recoveredLately reports whether a container ended around the time of the alert
// and has run since.
func (sc *scene) recoveredLately(f failure) bool {
	if f.state != recovered || f.last == nil {
		return false
	}
	at := f.last.FinishedAt.Time
	return !at.Before(sc.alertBegan().Add(-alertLead)) && sc.TakenAt.Sub(at) <= alertRange
}

// alertBegan is when the alert began to fire, or as long ago as counts where it
// does not say.
func (sc *scene) alertBegan() time.Time {
	if sc.alert.StartsAt.IsZero() {
		return sc.TakenAt.Add(-alertRange)
	}
	return sc.alert.StartsAt.Time
}

// cameBack reports whether something that became true did so while the alert fired,
// and not so long ago that the alert should have resolved since.
func (sc *scene) cameBack(at time.Time) bool {
	return !at.Before(sc.alertBegan()) && sc.TakenAt.Sub(at) <= alertRange
}

// availableAgain reports whether a Deployment became available while the alert
// fired, other than by a new revision, the first one included.
func (sc *scene) availableAgain(w *workload) bool {
	if r, ok := w.current(); w.deployment == nil || !ok || !r.came.Latest.Before(sc.alertBegan()) {
		return false
	}
	return slices.ContainsFunc(w.deployment.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentAvailable && c.Status == corev1.ConditionTrue && sc.cameBack(c.LastTransitionTime.Time)
	})
}

// readyAgain reports whether a pod that had run long before the alert became ready
// while it fired. One that was started lately may only have been on its way.
func (sc *scene) readyAgain(p *corev1.Pod) bool {
	long := func(c corev1.ContainerStatus) bool {
		return c.State.Running != nil && c.State.Running.StartedAt.Time.Before(sc.alertBegan().Add(-alertRange))
	}
	if len(p.Status.ContainerStatuses) == 0 || slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return !long(c) }) {
		return false
	}
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && sc.cameBack(c.LastTransitionTime.Time)
	})
}

// brokenPorts returns the ports of the Service that send to a port name which no
// container of its pods declares, and whether all of its ports do. Such a port has
// no endpoint, whichever pods are ready.
func (sc *scene) brokenPorts() (broken []corev1.ServicePort, all bool) {
	specs := sc.behindService()
	if len(specs) == 0 {
		return nil, false
	}
	for _, p := range sc.service.Spec.Ports {
		if p.TargetPort.Type == intstr.String && !declaresPort(specs, p) {
			broken = append(broken, p)
		}
	}
	return broken, len(broken) > 0 && len(broken) == len(sc.service.Spec.Ports)
}

// undeclaredPorts returns the ports of the Service that send to a port number which
// no container declares, though they declare others. Declaring ports is optional,
// so this is a suspicion and no finding.
func (sc *scene) undeclaredPorts() []corev1.ServicePort {
	specs := sc.behindService()
	if !slices.ContainsFunc(specs, func(spec *corev1.PodSpec) bool {
		return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool { return len(c.Ports) > 0 })
	}) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(sc.service.Spec.Ports), func(p corev1.ServicePort) bool {
		return p.TargetPort.Type == intstr.String || declaresPort(specs, p)
	})
}

// behindService returns the specs of the pods behind the Service that is the
// target: of those it selects, and of the templates of their owners, for some pods
// may be left out of the snapshot.
func (sc *scene) behindService() []*corev1.PodSpec {
	if sc.service == nil {
		return nil
	}
	selected := vitals.Selected(sc.Snapshot, sc.service)
	var specs []*corev1.PodSpec
	for i := range selected {
		specs = append(specs, &selected[i].Spec)
	}
	for _, w := range sc.workloads {
		specs = append(specs, &w.template.Spec)
	}
	return specs
}

// declaresPort reports whether a container declares the port that a Service sends to. A
// name counts only under the same protocol, as for the EndpointSlice controller.
func declaresPort(specs []*corev1.PodSpec, p corev1.ServicePort) bool {
	fits := func(port corev1.ContainerPort) bool {
		if p.TargetPort.Type == intstr.Int {
			return port.ContainerPort == targetPort(p)
		}
		return port.Name == p.TargetPort.StrVal && protocolOf(port.Protocol) == protocolOf(p.Protocol)
	}
	return slices.ContainsFunc(specs, func(spec *corev1.PodSpec) bool {
		return slices.ContainsFunc(slices.Concat(spec.Containers, spec.InitContainers), func(c corev1.Container) bool {
			return slices.ContainsFunc(c.Ports, fits)
		})
	})
}

// targetPort is the port number that a port of a Service sends to: its own, if it names none.
func targetPort(p corev1.ServicePort) int32 {
	if p.TargetPort.IntVal == 0 {
		return p.Port
	}
	return p.TargetPort.IntVal
}

func protocolOf(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}
