package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// keptAnnotations are the only ones a snapshot keeps: others hold whole
// manifests, and whatever people put there.
var keptAnnotations = []string{
	revisionAnnotation,
	reusedAnnotation,
	"kubectl.kubernetes.io/restartedAt",
	v1alpha1.RestartAnnotation,
}

// redactSnapshot takes out of a snapshot what no diagnosis needs, and what
// nobody should read.
func redactSnapshot(s *analysis.Snapshot) {
	e := numbers{}
	for i := range s.Deployments {
		d := &s.Deployments[i]
		shrinkMeta(&d.ObjectMeta)
		e.shrinkTemplate(&d.Spec.Template)
		for j := range d.Status.Conditions {
			d.Status.Conditions[j].Message = redact.Line(d.Status.Conditions[j].Message, 300)
		}
	}
	for i := range s.StatefulSets {
		shrinkMeta(&s.StatefulSets[i].ObjectMeta)
		e.shrinkTemplate(&s.StatefulSets[i].Spec.Template)
		s.StatefulSets[i].Spec.VolumeClaimTemplates = nil
	}
	for i := range s.DaemonSets {
		shrinkMeta(&s.DaemonSets[i].ObjectMeta)
		e.shrinkTemplate(&s.DaemonSets[i].Spec.Template)
	}
	for i := range s.ReplicaSets {
		shrinkMeta(&s.ReplicaSets[i].ObjectMeta)
		whole := e.whole(&s.ReplicaSets[i].Spec.Template.Spec)
		e.shrinkTemplate(&s.ReplicaSets[i].Spec.Template)
		metav1.SetMetaDataAnnotation(&s.ReplicaSets[i].Spec.Template.ObjectMeta, analysis.PodSpecAnnotation, whole)
	}
	for i := range s.Revisions {
		whole := e.whole(&s.Revisions[i].Template.Spec)
		e.shrinkTemplate(&s.Revisions[i].Template)
		metav1.SetMetaDataAnnotation(&s.Revisions[i].Template.ObjectMeta, analysis.PodSpecAnnotation, whole)
	}
	for i := range s.Pods {
		shrinkMeta(&s.Pods[i].ObjectMeta)
		e.shrinkPodSpec(&s.Pods[i].Spec)
		shrinkPodStatus(&s.Pods[i].Status)
	}
	for i := range s.Services {
		shrinkMeta(&s.Services[i].ObjectMeta)
	}
	for i := range s.EndpointSlices {
		shrinkSlice(&s.EndpointSlices[i])
	}
	shrinkEvents(s.Events)
	shrinkEvents(s.Elsewhere)
}

func shrinkMeta(m *metav1.ObjectMeta) {
	m.ManagedFields = nil
	m.ResourceVersion = ""
	m.Finalizers = nil
	maps.DeleteFunc(m.Annotations, func(key, _ string) bool { return !slices.Contains(keptAnnotations, key) })
	if len(m.Annotations) == 0 {
		m.Annotations = nil
	}
}

// numbers numbers what nobody should read, the values of environment variables
// above all, so that a snapshot shows which ones differ and none of them.
type numbers map[string]int

func (e numbers) hide(value string) string {
	if value == "" {
		return ""
	}
	n, known := e[value]
	if !known {
		n = len(e) + 1
		e[value] = n
	}
	return fmt.Sprintf("[redacted %d]", n)
}

// whole numbers a pod spec as it was before it was shrunk, so that revisions
// that differ in something the snapshot does not keep can be told apart.
func (e numbers) whole(spec *corev1.PodSpec) string {
	raw, err := json.Marshal(spec)
	if err != nil {
		return "" // no pod spec is unprintable
	}
	return e.hide(string(raw))
}

func (e numbers) shrinkTemplate(t *corev1.PodTemplateSpec) {
	shrinkMeta(&t.ObjectMeta)
	e.shrinkPodSpec(&t.Spec)
}

// shrinkPodSpec keeps the containers and where they run.
func (e numbers) shrinkPodSpec(spec *corev1.PodSpec) {
	*spec = corev1.PodSpec{
		InitContainers:                e.containers(spec.InitContainers),
		Containers:                    e.containers(spec.Containers),
		RestartPolicy:                 spec.RestartPolicy,
		NodeName:                      spec.NodeName,
		Tolerations:                   spec.Tolerations,
		Volumes:                       configVolumes(spec.Volumes),
		TerminationGracePeriodSeconds: spec.TerminationGracePeriodSeconds,
		Resources:                     spec.Resources,
	}
}

func (e numbers) containers(all []corev1.Container) []corev1.Container {
	var kept []corev1.Container
	for _, c := range all {
		command, args := hideArgs(c.Command, c.Args)
		kept = append(kept, corev1.Container{
			Name: c.Name, Image: c.Image, Command: command, Args: args,
			Env: e.env(c.Env), EnvFrom: c.EnvFrom, Ports: c.Ports, Resources: c.Resources,
			LivenessProbe: shrinkProbe(c.LivenessProbe), ReadinessProbe: shrinkProbe(c.ReadinessProbe), StartupProbe: shrinkProbe(c.StartupProbe),
			RestartPolicy: c.RestartPolicy, VolumeMounts: first(c.VolumeMounts, 16),
		})
	}
	return kept
}

// configVolumes keeps which ConfigMaps and Secrets are mounted, by name.
func configVolumes(all []corev1.Volume) []corev1.Volume {
	var kept []corev1.Volume
	for _, v := range all {
		switch {
		case v.ConfigMap != nil, v.Secret != nil, v.Projected != nil:
			kept = append(kept, v)
		}
	}
	return kept
}

// hideArgs redacts the words of a command and of its arguments, each cut. The
// command says what the flags among its arguments mean.
func hideArgs(command, args []string) (keptCommand, keptArgs []string) {
	command, args = first(command, 32), first(args, 32)
	kept := redact.Args(slices.Concat(command, args))
	for i, word := range kept {
		kept[i] = redact.Cut(word, 256)
	}
	n := len(command)
	return append(keptCommand, kept[:n]...), append(keptArgs, kept[n:]...) // nil where there are no words
}

func (e numbers) env(all []corev1.EnvVar) []corev1.EnvVar {
	var kept []corev1.EnvVar
	for _, v := range all {
		kept = append(kept, corev1.EnvVar{Name: v.Name, Value: e.hide(v.Value), ValueFrom: v.ValueFrom})
	}
	return kept
}

func shrinkProbe(p *corev1.Probe) *corev1.Probe {
	if p == nil {
		return nil
	}
	kept := *p
	if kept.Exec != nil {
		command, _ := hideArgs(kept.Exec.Command, nil)
		kept.Exec = &corev1.ExecAction{Command: command}
	}
	if kept.HTTPGet != nil {
		kept.HTTPGet = &corev1.HTTPGetAction{Path: redact.Line(kept.HTTPGet.Path, 256), Port: kept.HTTPGet.Port, Scheme: kept.HTTPGet.Scheme, Host: kept.HTTPGet.Host}
	}
	return &kept
}

func shrinkPodStatus(status *corev1.PodStatus) {
	*status = corev1.PodStatus{
		Phase: status.Phase, Reason: status.Reason, Message: redact.Line(status.Message, 300),
		Conditions: keep(status.Conditions, telling), StartTime: status.StartTime,
		InitContainerStatuses: shrinkContainers(status.InitContainerStatuses),
		ContainerStatuses:     shrinkContainers(status.ContainerStatuses),
		Resources:             limitsOf(status.Resources),
	}
	for i := range status.Conditions {
		status.Conditions[i].Message = redact.Line(status.Conditions[i].Message, 300)
	}
}

// telling reports whether a condition of a pod says more than the state of its containers.
func telling(c *corev1.PodCondition) bool {
	switch c.Type {
	case corev1.PodReady, corev1.PodReadyToStartContainers, corev1.PodScheduled, corev1.DisruptionTarget, corev1.PodResizePending, corev1.PodResizeInProgress:
		return true
	}
	return false
}

// limitsOf keeps the limits in force: after a resize in place they may differ from
// those that the spec asks for.
func limitsOf(r *corev1.ResourceRequirements) *corev1.ResourceRequirements {
	if r == nil {
		return nil
	}
	return &corev1.ResourceRequirements{Limits: r.Limits}
}

func shrinkContainers(all []corev1.ContainerStatus) []corev1.ContainerStatus {
	var kept []corev1.ContainerStatus
	for _, c := range all {
		kept = append(kept, corev1.ContainerStatus{
			Name: c.Name, Ready: c.Ready, RestartCount: c.RestartCount, Started: c.Started,
			State: shrinkState(c.State), LastTerminationState: shrinkState(c.LastTerminationState), Resources: limitsOf(c.Resources), AllocatedResources: c.AllocatedResources,
		})
	}
	return kept
}

func shrinkState(s corev1.ContainerState) corev1.ContainerState {
	if s.Waiting != nil {
		s.Waiting.Message = redact.Line(s.Waiting.Message, 600) // why an image can't be pulled stands at the end, after three times its name
	}
	if s.Terminated != nil {
		s.Terminated.Message = redact.Line(s.Terminated.Message, 300)
		s.Terminated.ContainerID = ""
	}
	return s
}

func shrinkSlice(slice *discoveryv1.EndpointSlice) {
	shrinkMeta(&slice.ObjectMeta)
	for i, e := range slice.Endpoints {
		slice.Endpoints[i] = discoveryv1.Endpoint{Addresses: []string{}, Conditions: e.Conditions, TargetRef: e.TargetRef}
	}
}

func shrinkEvents(all []corev1.Event) {
	for i := range all {
		shrinkEvent(&all[i])
	}
}

func shrinkEvent(e *corev1.Event) {
	*e = corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: e.Name, Namespace: e.Namespace},
		InvolvedObject: corev1.ObjectReference{Kind: e.InvolvedObject.Kind, Name: e.InvolvedObject.Name, UID: e.InvolvedObject.UID, FieldPath: e.InvolvedObject.FieldPath},
		Reason:         e.Reason, Message: redact.Line(e.Message, 600), Type: e.Type,
		FirstTimestamp: e.FirstTimestamp, LastTimestamp: e.LastTimestamp, EventTime: e.EventTime, Series: e.Series, Count: e.Count,
	}
}
