package rules_test

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// Alerts that a healthy workload answers, in the spellings of the rules that people use.
var readinessAlerts = []string{
	// kubernetes-mixin, and what the operator's own triggers call it
	"KubePodCrashLooping", "KubePodNotReady", "KubeDeploymentReplicasMismatch", "KubeDeploymentGenerationMismatch", "KubeDeploymentRolloutStuck",
	"KubeStatefulSetReplicasMismatch", "KubeStatefulSetGenerationMismatch", "KubeStatefulSetUpdateNotRolledOut", "KubeDaemonSetRolloutStuck",
	"KubeDaemonSetNotScheduled", "KubeContainerWaiting", "KubeContainerOOMKilled",
	// the demo's
	"KubePodRestartedTwice", "KubeServiceWithoutReadyEndpoints",
	// awesome-prometheus-alerts
	"KubernetesPodNotHealthy", "KubernetesPodCrashLooping", "KubernetesReplicasetReplicasMismatch", "KubernetesDeploymentReplicasMismatch",
	"KubernetesStatefulsetReplicasMismatch", "KubernetesDeploymentGenerationMismatch", "KubernetesStatefulsetUpdateNotRolledOut",
	"KubernetesDaemonsetRolloutStuck", "KubernetesStatefulsetDown", "KubernetesContainerOomKiller",
	// people's own
	"PodRestartingTooMuch", "HighPodRestartRate", "pod_restarts_too_high", "TooManyContainerRestarts", "CrashLoopBackOff", "checkout-crash-looping",
	"DeploymentUnavailable", "DeploymentReplicasUnavailable", "deployment_unavailable_replicas", "CheckoutPodsNotReady", "PodsUnready", "podNotReady", "pod_not_ready", "podnotready", "ReplicasNotReady", "EndpointsNotReady", "StreamJobRestarting",
	"ImagePullBackOff", "ErrImagePull", "PodImagePullErrors", "InvalidImageName", "CreateContainerConfigError", "PodPending", "PodsStuckPending", "PendingPods",
	"PodUnschedulable", "ContainerOutOfMemory", "ContainerMemoryOOMKilled", "OOMKilled", "ProgressDeadlineExceeded", "ReadinessProbeFailing", "NoEndpoints",
	"ServiceHasNoReadyEndpoints", "StatefulSetNotHealthy", "DaemonSetNotReady",
	// those that claim nothing: the plugin's test, and a name that is none
	"KubernautTestAlert", "Alert", "test-alert", "",
}

// Alerts that ready pods do not answer.
var otherAlerts = []string{
	"HighErrorRate", "DeploymentDegradedPerformance", "PodsUnavailableSaturation", "CheckoutErrorRateHigh", "HTTP5xxErrors", "Http500Rate", "HighLatency", "CheckoutP99LatencyHigh", "NoRequests", "RequestsDropped", "TrafficDropped",
	"SLOBurnRateTooHigh", "ErrorBudgetBurn", "QueueTooLong", "ConsumerLagHigh", "PersistentVolumeFillingUp", "KubePersistentVolumeFillingUp", "DiskWillFillSoon",
	"CertificateExpiresSoon", "TargetDown", "ServiceDown", "ServiceUnavailable", "EndpointDown", "BlackboxProbeFailed", "SomethingIsOdd", "CheckoutBroken",
	"KubeHpaReplicasMismatch", "KubeHpaMaxedOut", "KubePdbNotEnoughHealthyPods", "KubeDaemonSetMisScheduled", "KubernetesDaemonsetMisscheduled", "CPUThrottlingHigh", "Zahlungsverzögerung",
	// the name of a workload's kind is no claim about its readiness
	"PodHighCPU", "PodHighMemory", "DeploymentErrorRateHigh", "PodNetworkErrors", "PodsNetworkUnavailable", "ContainerMemoryNearLimit", "ContainerCpuUsage", "PodDiskUsageHigh", "PodLatency",
	"StatefulSetVolumeAlmostFull", "DeploymentRequestsHigh", "ContainerRequestsFailing", "PodStuckTerminating", "PodEvicted",
	// nor is a phrase about readiness beside another claim
	"ErrorRateAfterRollout", "CanaryRolloutLatency", "PodReadinessFlapping", "ImagePullLatencyHigh", "PodNotReadyQueueLength", "ContainerNearOOM", "RestartRequired",
	"PodRequestsPending", "ContainerErrorsPending",
	// nor is readiness that of pods alone
	"CertManagerCertNotReady", "CertificateNotReady", "KustomizationNotReady", "ClusterOperatorNotReady", "CheckoutNotReady", "KubeNodeNotReady", "NodeNotReadyWithPods", "KubeNodeReadinessFlapping",
	// words that only look like it
	"RoomTooHot", "ZoomDown", "PaymentsAlreadyRefunded", "NodeDown", "KubeNodeUnreachable",
}

func TestAHealthyWorkloadAnswersAlertsAboutReadinessOnly(t *testing.T) {
	for name, want := range names() {
		t.Run(name, func(t *testing.T) {
			found := rules.Diagnose(v1alpha1.Alert{Name: name}, load(t, "quiet"))[0]
			if found.Code != want {
				t.Fatalf("cause is %s, want %s: %s", found.Code, want, found.Message)
			}
			if want == unknown && (!strings.Contains(found.Message, "does not answer alert "+name) || len(found.Remedies) != 1 || found.Remedies[0].Action != "Escalate" || found.Again != 0) {
				t.Errorf("%q with %v, look again in %s", found.Message, found.Remedies, found.Again)
			}
		})
	}
}

func names() map[string]v1alpha1.Cause {
	all := map[string]v1alpha1.Cause{}
	for _, name := range readinessAlerts {
		all[name] = healthy
	}
	for _, name := range otherAlerts {
		all[name] = unknown
	}
	return all
}

func TestLabelsTellWhatAnAlertIsAbout(t *testing.T) {
	rows := map[string]struct {
		name, label, value string
		want               v1alpha1.Cause
	}{
		"why a container waits":                        {"ContainerTrouble", "reason", "CrashLoopBackOff", healthy},
		"how a container ended":                        {"ContainerTrouble", "reason", "OOMKilled", healthy},
		"a condition of readiness":                     {"WorkloadCondition", "condition", "Available", healthy},
		"a condition of what is no workload":           {"ClusterOperatorTrouble", "condition", "Available", unknown},
		"a reason of something else":                   {"ContainerTrouble", "reason", "QuotaExceeded", unknown},
		"a condition of something else":                {"WorkloadCondition", "condition", "DiskPressure", unknown},
		"a name that claims something else":            {"CheckoutErrors", "reason", "CrashLoopBackOff", unknown},
		"a label that only sounds like it":             {"CheckoutSlow", "summary", "not ready", unknown},
		"the label of a pod does not make it about it": {"CheckoutSlow", "pod", "web-not-ready", unknown},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			found := rules.Diagnose(v1alpha1.Alert{Name: row.name, Labels: map[string]string{row.label: row.value}}, load(t, "quiet"))[0]
			if found.Code != row.want {
				t.Errorf("cause is %s, want %s: %s", found.Code, row.want, found.Message)
			}
		})
	}
}

func TestAHealthyNodeAnswersAlertsAboutItsReadinessOnly(t *testing.T) {
	up := []func(*analysis.Snapshot){says(corev1.ConditionTrue, "KubeletReady", time.Hour), renewed(5 * time.Second)}
	for name, want := range map[string]v1alpha1.Cause{
		"KubeNodeNotReady": healthy, "KubernetesNodeNotReady": healthy, "node_not_ready": healthy, "KubeNodeUnreachable": healthy, "NodeDown": healthy, "nodedown": healthy,
		"KubernautTestAlert": healthy, "NodeFilesystemAlmostOutOfSpace": unknown, "NodeNetworkUnreachable": unknown, "NodeExporterUnreachable": unknown,
		"KubePodCrashLooping": unknown, "HostOomKillDetected": unknown, "KubeNodeReadinessFlapping": unknown, "KubeletDown": unknown, "NodeHighCPU": unknown,
	} {
		if found := rules.Diagnose(v1alpha1.Alert{Name: name}, drawNode(up...))[0]; found.Code != want {
			t.Errorf("%s is answered with %s, want %s: %s", name, found.Code, want, found.Message)
		}
	}
	labelled := v1alpha1.Alert{Name: "NodeCondition", Labels: map[string]string{"condition": "Ready"}}
	if found := rules.Diagnose(labelled, drawNode(up...))[0]; found.Code != healthy {
		t.Errorf("condition=Ready is answered with %s: %s", found.Code, found.Message)
	}
	back := v1alpha1.Alert{Name: "WorkerLost", StartsAt: metav1.NewTime(noon.Add(-10 * time.Minute))}
	if found := rules.Diagnose(back, drawNode(says(corev1.ConditionTrue, "KubeletReady", time.Minute), renewed(5*time.Second)))[0]; found.Code != healthy {
		t.Errorf("a node that came back while the alert fired is answered with %s: %s", found.Code, found.Message)
	}
}

// A trouble that was seen to end answers any alert but those about what it can't end.
func TestATroubleThatEndedAnswersOtherAlerts(t *testing.T) {
	fired := func(name string, ago time.Duration) func(*analysis.Snapshot) v1alpha1.Alert {
		return func(s *analysis.Snapshot) v1alpha1.Alert {
			return v1alpha1.Alert{Name: name, StartsAt: metav1.NewTime(s.TakenAt.Add(-ago))}
		}
	}
	later := func(by time.Duration) func(*analysis.Snapshot) {
		return func(s *analysis.Snapshot) { s.TakenAt = s.TakenAt.Add(by) }
	}
	available := func(ago time.Duration) func(*analysis.Snapshot) {
		return func(s *analysis.Snapshot) {
			for i := range s.Deployments[0].Status.Conditions {
				if c := &s.Deployments[0].Status.Conditions[i]; c.Type == appsv1.DeploymentAvailable {
					c.LastTransitionTime = metav1.NewTime(s.TakenAt.Add(-ago))
				}
			}
		}
	}
	aged := func(s *analysis.Snapshot) { // everything but what rows set is a day old
		for i := range s.Deployments {
			s.Deployments[i].CreationTimestamp = metav1.NewTime(s.TakenAt.Add(-24 * time.Hour))
		}
		for i := range s.ReplicaSets {
			s.ReplicaSets[i].CreationTimestamp = metav1.NewTime(s.TakenAt.Add(-24 * time.Hour))
		}
		for i := range s.Pods {
			for j := range s.Pods[i].Status.ContainerStatuses {
				s.Pods[i].Status.ContainerStatuses[j].State.Running.StartedAt = metav1.NewTime(s.TakenAt.Add(-24 * time.Hour))
			}
			readyFor(24*time.Hour, i)(s)
		}
		available(24 * time.Hour)(s)
	}
	released := func(ago time.Duration) func(*analysis.Snapshot) {
		return func(s *analysis.Snapshot) { s.ReplicaSets[0].CreationTimestamp = metav1.NewTime(s.TakenAt.Add(-ago)) }
	}
	rows := map[string]struct {
		file    string
		changes []func(*analysis.Snapshot)
		alert   func(*analysis.Snapshot) v1alpha1.Alert
		want    v1alpha1.Cause
	}{
		"a container that crashed and recovered":                              {file: "recovered", alert: fired("CheckoutErrorRateHigh", time.Minute), want: healthy},
		"one that was killed for its memory and recovered":                    {file: "memory-recovered", alert: fired("NoRequests", time.Minute), want: healthy},
		"one of which it is not known when the alert began":                   {file: "recovered", alert: func(*analysis.Snapshot) v1alpha1.Alert { return v1alpha1.Alert{Name: "NoRequests"} }, want: healthy},
		"a crash long before the alert":                                       {file: "recovered", changes: []func(*analysis.Snapshot){later(time.Hour)}, alert: fired("CheckoutErrorRateHigh", time.Minute), want: unknown},
		"a crash so long ago that the alert should have resolved":             {file: "recovered", changes: []func(*analysis.Snapshot){later(time.Hour)}, alert: fired("CheckoutErrorRateHigh", time.Hour), want: unknown},
		"a crash that ended before the rates of the alert began":              {file: "recovered", changes: []func(*analysis.Snapshot){later(8 * time.Minute)}, alert: fired("CheckoutErrorRateHigh", 0), want: unknown},
		"a crash beside a disk that fills":                                    {file: "recovered", alert: fired("PersistentVolumeFillingUp", time.Minute), want: unknown},
		"a crash beside a certificate that expires":                           {file: "recovered", alert: fired("CertificateExpiresSoon", time.Minute), want: unknown},
		"a Deployment that became available again":                            {file: "quiet", changes: []func(*analysis.Snapshot){aged, available(2 * time.Minute)}, alert: fired("CheckoutErrorRateHigh", 5*time.Minute), want: healthy},
		"one that was available again before the alert":                       {file: "quiet", changes: []func(*analysis.Snapshot){aged, available(6 * time.Minute)}, alert: fired("CheckoutErrorRateHigh", 5*time.Minute), want: unknown},
		"one that is available for longer than an alert fires after that":     {file: "quiet", changes: []func(*analysis.Snapshot){aged, available(50 * time.Minute)}, alert: fired("CheckoutErrorRateHigh", time.Hour), want: unknown},
		"one that a release made available":                                   {file: "quiet", changes: []func(*analysis.Snapshot){aged, available(2 * time.Minute), released(3 * time.Minute)}, alert: fired("CheckoutErrorRateHigh", 5*time.Minute), want: unknown},
		"one that is new":                                                     {file: "quiet", alert: fired("CheckoutErrorRateHigh", 24*time.Hour), want: unknown},
		"a pod that lost its readiness and has it again":                      {file: "quiet", changes: []func(*analysis.Snapshot){aged, readyFor(2*time.Minute, 0)}, alert: fired("CheckoutErrorRateHigh", 5*time.Minute), want: healthy},
		"a pod that was added while the alert fired":                          {file: "quiet", changes: []func(*analysis.Snapshot){aged, started(2*time.Minute, 0), readyFor(time.Minute, 0)}, alert: fired("CheckoutErrorRateHigh", 5*time.Minute), want: unknown},
		"the readiness of a pod, beside an alert that says not when it began": {file: "quiet", changes: []func(*analysis.Snapshot){aged, readyFor(2*time.Minute, 0)}, alert: func(*analysis.Snapshot) v1alpha1.Alert { return v1alpha1.Alert{Name: "CheckoutErrorRateHigh"} }, want: healthy},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := load(t, row.file)
			for _, change := range row.changes {
				change(s)
			}
			if found := rules.Diagnose(row.alert(s), s)[0]; found.Code != row.want {
				t.Errorf("cause is %s, want %s: %s", found.Code, row.want, found.Message)
			}
		})
	}
}

func readyFor(ago time.Duration, pod int) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) {
		for i := range s.Pods[pod].Status.Conditions {
			s.Pods[pod].Status.Conditions[i].LastTransitionTime = metav1.NewTime(s.TakenAt.Add(-ago))
		}
	}
}

func started(ago time.Duration, pod int) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) {
		s.Pods[pod].Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(s.TakenAt.Add(-ago))
	}
}

// crashedOnce gives a pod a container that ended ten minutes ago and has run since.
func crashedOnce(s *analysis.Snapshot) {
	c := &s.Pods[0].Status.ContainerStatuses[0]
	c.RestartCount = 1
	c.State.Running.StartedAt = metav1.NewTime(s.TakenAt.Add(-9 * time.Minute))
	c.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{
		ExitCode: 1, StartedAt: metav1.NewTime(s.TakenAt.Add(-11 * time.Minute)), FinishedAt: metav1.NewTime(s.TakenAt.Add(-10 * time.Minute)),
	}
}

func TestAServiceWhosePortNoContainerHasIsNotHealthy(t *testing.T) {
	const errorsHigh, noEndpoints = "CartErrorRateHigh", "KubeServiceWithoutReadyEndpoints"
	sends := func(targets ...intstr.IntOrString) func(*analysis.Snapshot) {
		return func(s *analysis.Snapshot) {
			s.Services[0].Spec.Ports = nil
			for i, target := range targets {
				s.Services[0].Spec.Ports = append(s.Services[0].Spec.Ports, corev1.ServicePort{Port: int32(80 + i), TargetPort: target, Protocol: corev1.ProtocolTCP})
			}
		}
	}
	declared := func(ports ...corev1.ContainerPort) func(*analysis.Snapshot) {
		return func(s *analysis.Snapshot) {
			for i := range s.Pods {
				s.Pods[i].Spec.Containers[0].Ports = ports
			}
			s.Deployments[0].Spec.Template.Spec.Containers[0].Ports = ports
		}
	}
	named := intstr.FromString
	web := corev1.ContainerPort{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}
	rows := map[string]struct {
		alert   string
		changes []func(*analysis.Snapshot)
		want    v1alpha1.Cause
		says    string
	}{
		"a named port that no container has":                    {errorsHigh, []func(*analysis.Snapshot){declared(web), sends(named("http"))}, unknown, `port 80 of Service/calm sends to the container port named "http", which no container`},
		"such a port leaves a Service without endpoints, too":   {noEndpoints, []func(*analysis.Snapshot){declared(web), sends(named("http"))}, unknown, `named "http"`},
		"a named port under another protocol":                   {noEndpoints, []func(*analysis.Snapshot){declared(corev1.ContainerPort{Name: "web", ContainerPort: 53, Protocol: corev1.ProtocolUDP}), sends(named("web"))}, unknown, `named "web"`},
		"one of two named ports, beside an alert about errors":  {errorsHigh, []func(*analysis.Snapshot){declared(web), sends(named("web"), named("metrics"))}, unknown, `port 81 of Service/calm sends to the container port named "metrics"`},
		"one of two named ports, beside one about endpoints":    {noEndpoints, []func(*analysis.Snapshot){declared(web), sends(named("web"), named("metrics"))}, healthy, ""},
		"a number that no container declares is only suspected": {errorsHigh, []func(*analysis.Snapshot){declared(web), sends(intstr.FromInt32(9999))}, unknown, "sends to 9999, which no container of its pods declares: check that"},
		"nor does a crash that ended answer for it":             {errorsHigh, []func(*analysis.Snapshot){declared(web), sends(intstr.FromInt32(9999)), crashedOnce}, unknown, "sends to 9999"},
		"a crash that ended, where the port is declared":        {errorsHigh, []func(*analysis.Snapshot){declared(web), sends(named("web")), crashedOnce}, healthy, ""},
		"a number need not be declared":                         {noEndpoints, []func(*analysis.Snapshot){declared(web), sends(intstr.FromInt32(9999))}, healthy, ""},
		"nothing is suspected where nothing is declared":        {errorsHigh, []func(*analysis.Snapshot){declared(), sends(intstr.FromInt32(9999))}, unknown, "does not answer alert CartErrorRateHigh"},
		"a port that sends to its own number":                   {errorsHigh, []func(*analysis.Snapshot){declared(web), sends(intstr.IntOrString{})}, unknown, "port 80 of Service/calm sends to 80, which"},
		"a named port that a container has":                     {noEndpoints, []func(*analysis.Snapshot){declared(web), sends(named("web"))}, healthy, ""},
		"ready pods answer no alert about errors":               {errorsHigh, nil, unknown, "does not answer alert CartErrorRateHigh"},
		"a named port that only a sidecar has": {noEndpoints, []func(*analysis.Snapshot){declared(), sends(named("proxy")), func(s *analysis.Snapshot) {
			for i := range s.Pods {
				s.Pods[i].Spec.InitContainers = []corev1.Container{{Name: "proxy", Ports: []corev1.ContainerPort{{Name: "proxy", ContainerPort: 15001}}}}
			}
		}}, healthy, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := load(t, "quiet-service")
			for _, change := range row.changes {
				change(s)
			}
			found := rules.Diagnose(v1alpha1.Alert{Name: row.alert}, s)[0]
			if found.Code != row.want || !strings.Contains(found.Message, row.says) {
				t.Errorf("cause is %s, want %s with %q: %s", found.Code, row.want, row.says, found.Message)
			}
		})
	}
}
