package alert_test

import (
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/pkg/alert"
)

func TestSubject(t *testing.T) {
	type labels = map[string]string
	type row struct {
		labels labels
		want   alert.Object // zero: nothing is named
	}
	pod := alert.Object{Kind: "Pod", Namespace: "shop", Name: "web-1"}
	deployment := alert.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}
	node := alert.Object{Kind: "Node", Name: "n1"}
	claim := alert.Object{Kind: "PersistentVolumeClaim", Namespace: "shop", Name: "data"}
	service := alert.Object{Kind: "Service", Namespace: "shop", Name: "web"}
	rows := map[string]row{
		"KubePodCrashLooping is about the pod": {
			labels{"namespace": "shop", "pod": "web-1", "container": "web", "job": "kube-state-metrics"}, pod},
		"KubeContainerOOMKilled is about the pod, not its container": {
			labels{"namespace": "shop", "pod": "web-1", "container": "web", "reason": "OOMKilled"}, pod},
		"KubeDeploymentRolloutStuck is about the Deployment": {
			labels{"namespace": "shop", "deployment": "web", "job": "kube-state-metrics"}, deployment},
		"KubeDeploymentReplicasMismatch is, even where the pod of kube-state-metrics stands beside it": {
			labels{"namespace": "shop", "deployment": "web", "pod": "kps-kube-state-metrics-5d4c-x", "service": "kps-kube-state-metrics", "job": "kube-state-metrics"}, deployment},
		"KubeServiceWithoutReadyEndpoints is about the Service": {
			labels{"namespace": "shop", "service": "web"}, service},
		"KubeServiceWithoutReadyEndpoints is, told by kube-state-metrics": {
			labels{"namespace": "shop", "service": "web", "job": "kube-state-metrics"}, service},
		"TargetDown names only what was scraped": {
			labels{"namespace": "shop", "service": "web", "job": "web"}, alert.Object{}},
		"the Service of an exporter is named like its job": {
			labels{"namespace": "monitoring", "service": "kps-node-exporter", "job": "node-exporter"}, alert.Object{}},
		"KubeStatefulSetReplicasMismatch": {
			labels{"namespace": "shop", "statefulset": "db"}, alert.Object{Kind: "StatefulSet", Namespace: "shop", Name: "db"}},
		"KubeDaemonSetRolloutStuck": {
			labels{"namespace": "shop", "daemonset": "agent"}, alert.Object{Kind: "DaemonSet", Namespace: "shop", Name: "agent"}},
		"KubeJobFailed": {
			labels{"namespace": "shop", "job_name": "import-1", "job": "kube-state-metrics"}, alert.Object{Kind: "Job", Namespace: "shop", Name: "import-1"}},
		"a ReplicaSet": {
			labels{"namespace": "shop", "replicaset": "web-7d"}, alert.Object{Kind: "ReplicaSet", Namespace: "shop", Name: "web-7d"}},
		"KubePersistentVolumeFillingUp is about the claim, not the node that says so": {
			labels{"namespace": "shop", "persistentvolumeclaim": "data", "node": "n1", "job": "kubelet", "service": "kubelet"}, claim},
		"KubeNodeNotReady is about the node": {
			labels{"node": "n1", "condition": "Ready", "job": "kube-state-metrics"}, node},
		"KubeNodeNotReady is, even where the pod of kube-state-metrics stands beside it": {
			labels{"node": "n1", "namespace": "monitoring", "pod": "kube-state-metrics-5d4c-x", "service": "kube-state-metrics", "job": "kube-state-metrics"}, node},
		"a container that cAdvisor tells about runs on a node, and is in a pod": {
			labels{"namespace": "shop", "pod": "web-1", "container": "web", "node": "n1", "job": "kubelet", "service": "kubelet"}, pod},
		"a node that node-exporter tells about is not its pod": {
			labels{"namespace": "monitoring", "pod": "node-exporter-x2x8q", "container": "node-exporter", "job": "node-exporter", "node": "n1"}, node},
		"an exporter that crashes is a pod like any other": {
			labels{"namespace": "shop", "pod": "web-1", "container": "node-exporter", "job": "kube-state-metrics"}, pod},
		"the pod of a sidecar that exports is a pod like any other": {
			labels{"namespace": "shop", "pod": "web-1", "container": "mysqld-exporter", "job": "mysqld-exporter"}, pod},
		"an application scraped under its own name": {
			labels{"namespace": "shop", "pod": "web-1", "container": "web", "job": "web", "service": "web"}, pod},
		"without honorLabels the truth about a pod is in exported_pod": {
			labels{"namespace": "monitoring", "pod": "kube-state-metrics-x", "container": "kube-state-metrics", "service": "kube-state-metrics",
				"exported_namespace": "shop", "exported_pod": "web-1", "exported_container": "web", "job": "kube-state-metrics"}, pod},
		"without honorLabels deployment is right and pod is not": {
			labels{"namespace": "monitoring", "pod": "ksm-x", "exported_namespace": "shop", "deployment": "web", "job": "ksm"}, deployment},
		"without honorLabels a Service is in exported_service": {
			labels{"namespace": "monitoring", "service": "ksm", "exported_namespace": "shop", "exported_service": "web", "pod": "ksm-x"}, service},
		"without honorLabels a claim has no label of its own renamed": {
			labels{"namespace": "monitoring", "pod": "ksm-x", "exported_namespace": "shop", "persistentvolumeclaim": "data"}, claim},
		"without honorLabels a node is in exported_node": {
			labels{"namespace": "monitoring", "pod": "ksm-x", "node": "n2", "exported_node": "n1"}, node},
		"without honorLabels the pod beside exported_namespace is the exporter's": {
			labels{"namespace": "monitoring", "pod": "ksm-x", "service": "ksm", "exported_namespace": "shop", "resourcequota": "compute"}, alert.Object{}},
		"an application with a service of its own in mind": {
			labels{"namespace": "shop", "pod": "web-1", "service": "web", "exported_service": "checkout"}, pod},
		"the pod is more telling than the Service": {
			labels{"namespace": "shop", "pod": "web-1", "service": "web"}, pod},
		"instance names nothing": {
			labels{"namespace": "shop", "instance": "web-1"}, alert.Object{}},
		"nor do container, endpoint and job": {
			labels{"namespace": "shop", "container": "web-1", "endpoint": "http", "job": "web"}, alert.Object{}},
		"a pod without a namespace": {
			labels{"pod": "web-1"}, alert.Object{}},
		"a pod without a namespace on a node": {
			labels{"pod": "web-1", "node": "n1"}, node},
		"a name that is none": {
			labels{"namespace": "shop", "pod": "../../etc"}, alert.Object{}},
		"a name that was redacted": {
			labels{"namespace": "shop", "pod": "[redacted]"}, alert.Object{}},
		"a name that is too long": {
			labels{"namespace": "shop", "pod": strings.Repeat("a", 254)}, alert.Object{}},
		"a namespace that is none": {
			labels{"namespace": "Shop", "pod": "web-1"}, alert.Object{}},
		"an empty label": {
			labels{"namespace": "shop", "deployment": "", "pod": "web-1"}, pod},
		"no labels": {nil, alert.Object{}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, ok := alert.Subject(row.labels)
			if got != row.want || ok != (row.want != alert.Object{}) {
				t.Errorf("Subject = %+v, %v, want %+v", got, ok, row.want)
			}
		})
	}
}

func TestNamespace(t *testing.T) {
	rows := map[string]struct {
		labels map[string]string
		want   string
	}{
		"the namespace":                         {map[string]string{"namespace": "shop"}, "shop"},
		"the one that was renamed":              {map[string]string{"namespace": "monitoring", "exported_namespace": "shop"}, "shop"},
		"none":                                  {map[string]string{"pod": "web-1"}, ""},
		"a namespace has no dots":               {map[string]string{"namespace": "shop.local"}, ""},
		"a namespace has at most 63 characters": {map[string]string{"namespace": strings.Repeat("a", 64)}, ""},
		"the exporter's own does not stand in":  {map[string]string{"namespace": "monitoring", "exported_namespace": "Shop!"}, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := alert.Namespace(row.labels); got != row.want {
				t.Errorf("Namespace = %q, want %q", got, row.want)
			}
		})
	}
}

func TestNamesObject(t *testing.T) {
	rows := map[string]struct {
		label, value string
		want         bool
	}{
		"a pod":                        {"pod", "web-1", true},
		"a pod that was renamed":       {"exported_pod", "web-1", true},
		"a namespace":                  {"namespace", "shop", true},
		"a job that was scraped":       {"job", "web", false},
		"a label that nobody believes": {"instance", "web-1", false},
		"a value that is no name":      {"pod", "web 1", false},
		"no value":                     {"pod", "", false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := alert.NamesObject(row.label, row.value); got != row.want {
				t.Errorf("NamesObject(%q, %q) = %v", row.label, row.value, got)
			}
		})
	}
}

func TestSeverity(t *testing.T) {
	rows := map[string]string{
		"critical": "critical", "Critical": "critical", " page ": "critical", "warning": "warning", "WARN": "warning",
		"error": "warning", "info": "info", "none": "info", "": "unknown", "catastrophe!": "unknown",
	}
	for word, want := range rows {
		if got := alert.Severity(map[string]string{"severity": word}); got != want {
			t.Errorf("Severity of %q = %s, want %s", word, got, want)
		}
	}
}

// FuzzSubject: whatever the labels say, a subject has the name an object can
// have, and a namespace unless it is a node.
func FuzzSubject(f *testing.F) {
	f.Add("pod", "web-1", "namespace", "shop", "job", "kube-state-metrics")
	f.Add("exported_pod", "web-1", "exported_namespace", "shop", "pod", "ksm-x")
	f.Add("node", "n1", "namespace", "", "pod", "a..b")
	f.Add("service", "-", "namespace", "shop", "job", "")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3 string) {
		got, ok := alert.Subject(map[string]string{k1: v1, k2: v2, k3: v3})
		switch {
		case !ok:
			if got != (alert.Object{}) {
				t.Errorf("nothing is named, and it is %+v", got)
			}
		case got.Kind == "" || got.Name == "" || len(got.Name) > 253 || strings.ContainsAny(got.Name, "/ \n%"):
			t.Errorf("subject is %+v", got)
		case (got.Namespace == "") != (got.Kind == "Node"):
			t.Errorf("subject is %+v", got)
		}
	})
}
