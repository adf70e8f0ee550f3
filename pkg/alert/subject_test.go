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
		"a Service that was scraped under its own name": {
			labels{"namespace": "shop", "service": "web", "job": "web"}, service},
		"the Service of the kubelets stands for nodes": {
			labels{"namespace": "kube-system", "service": "kps-kubelet", "job": "kubelet", "node": "n1"}, node},
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

func TestCandidates(t *testing.T) {
	type labels = map[string]string
	rows := map[string]struct {
		alert  string
		labels labels
		want   string // kind/namespace/name of each
	}{
		"TargetDown is about the Service that is scraped": {"TargetDown",
			labels{"namespace": "shop", "service": "pricing", "job": "pricing"}, "Service/shop/pricing"},
		"TargetDown is about the pod first": {"TargetDown",
			labels{"namespace": "shop", "service": "pricing", "pod": "pricing-0"}, "Pod/shop/pricing-0 Service/shop/pricing"},
		"TargetDown of an exporter is about the exporter": {"TargetDown",
			labels{"namespace": "monitoring", "service": "kps-node-exporter", "job": "node-exporter"}, "Service/monitoring/kps-node-exporter"},
		"InstanceDown of a probe is not about the exporter that probes": {"InstanceDown",
			labels{"namespace": "monitoring", "service": "blackbox-exporter", "pod": "blackbox-exporter-5d4c-x", "instance": "https://shop.test"}, ""},
		"a probe that fails is not about the exporter that probes": {"ProbeFailed",
			labels{"namespace": "monitoring", "service": "prometheus-blackbox-exporter", "pod": "prometheus-blackbox-exporter-5d4c-x", "instance": "10.0.0.1:443"}, ""},
		"an exporter is the subject of an alert with its name": {"KubeStateMetricsListErrors",
			labels{"namespace": "monitoring", "service": "kube-state-metrics", "pod": "kube-state-metrics-5d4c-x"},
			"Pod/monitoring/kube-state-metrics-5d4c-x Service/monitoring/kube-state-metrics"},
		"NodeExporterDown is about the exporter, not about a node": {"NodeExporterDown",
			labels{"namespace": "monitoring", "pod": "node-exporter-x2x8q", "node": "n1"}, "Pod/monitoring/node-exporter-x2x8q"},

		"an error rate is about the Service, whatever node was scraped": {"BasketErrorRateHigh",
			labels{"namespace": "shop", "service": "basket", "node": "n7", "job": "kubernetes-service-endpoints"}, "Service/shop/basket"},
		"latency is about the pod, then the Service, then what only has the word": {"CheckoutLatencyHigh",
			labels{"namespace": "shop", "deployment": "blue", "service": "checkout", "pod": "checkout-1"},
			"Pod/shop/checkout-1 Service/shop/checkout Deployment/shop/blue"},
		"an HTTP status is about requests": {"Http5xxRateHigh",
			labels{"namespace": "shop", "deployment": "blue", "service": "checkout"}, "Service/shop/checkout Deployment/shop/blue"},
		"ServiceErrors is about requests": {"ServiceErrorsHigh",
			labels{"namespace": "shop", "service": "checkout", "pod": "checkout-1"}, "Pod/shop/checkout-1 Service/shop/checkout"},
		"a recording rule leaves only the service": {"service:error_budget:burn",
			labels{"namespace": "shop", "service": "checkout"}, "Service/shop/checkout"},

		"a service may be a team, and a node then the subject": {"LoadHigh",
			labels{"namespace": "monitoring", "service": "payments", "node": "n1"}, "Service/monitoring/payments Node//n1"},
		"an application's own job_name stands behind the pod": {"StreamJobRestarting",
			labels{"namespace": "flow", "pod": "stream-1", "job_name": "enrich-orders", "job": "flow/stream"}, "Pod/flow/stream-1 Job/flow/enrich-orders"},
		"an alert that begins with job is about the Job, then the pod": {"JobFailed",
			labels{"namespace": "flow", "pod": "import-1-x2b9k", "job_name": "import-1"}, "Job/flow/import-1 Pod/flow/import-1-x2b9k"},
		"KubeJobFailed is about the Job only": {"KubeJobFailed",
			labels{"namespace": "flow", "job_name": "import-1", "pod": "metrics-1", "service": "metrics"}, "Job/flow/import-1"},
		"KubeCronJobRunning is about the CronJob": {"KubeCronJobRunning",
			labels{"namespace": "flow", "cronjob": "import", "job_name": "import-1"}, "CronJob/flow/import"},

		"KubeDeploymentReplicasMismatch is about the Deployment only": {"KubeDeploymentReplicasMismatch",
			labels{"namespace": "observe", "deployment": "web", "pod": "metrics-1", "service": "metrics"}, "Deployment/observe/web"},
		"KubeStatefulSetReplicasMismatch is about the StatefulSet only": {"KubeStatefulSetReplicasMismatch",
			labels{"namespace": "observe", "statefulset": "db", "pod": "metrics-1"}, "StatefulSet/observe/db"},
		"KubernetesStatefulsetDown too": {"KubernetesStatefulsetDown",
			labels{"namespace": "observe", "statefulset": "db", "pod": "metrics-1"}, "StatefulSet/observe/db"},
		"KubeDaemonSetRolloutStuck is about the DaemonSet only": {"KubeDaemonSetRolloutStuck",
			labels{"namespace": "observe", "daemonset": "agent", "pod": "metrics-1"}, "DaemonSet/observe/agent"},
		"KubeHpaMaxedOut is about the autoscaler only": {"KubeHpaMaxedOut",
			labels{"namespace": "observe", "horizontalpodautoscaler": "web", "pod": "metrics-1"}, "HorizontalPodAutoscaler/observe/web"},
		"an abbreviation is a word": {"KubeHPAMaxedOut",
			labels{"namespace": "observe", "horizontalpodautoscaler": "web", "pod": "metrics-1"}, "HorizontalPodAutoscaler/observe/web"},
		"KubePersistentVolumeFillingUp is about the claim only": {"KubePersistentVolumeFillingUp",
			labels{"namespace": "observe", "persistentvolumeclaim": "data", "node": "n1", "service": "metrics"}, "PersistentVolumeClaim/observe/data"},
		"without the label of its kind, an alert is about what else it names": {"KubeDeploymentSlow",
			labels{"namespace": "shop", "pod": "web-1"}, "Pod/shop/web-1"},

		"KubePodCrashLooping is about the pod only, and be it that of an exporter": {"KubePodCrashLooping",
			labels{"namespace": "monitoring", "pod": "kube-state-metrics-5d4c-x", "service": "kube-state-metrics", "node": "n1"},
			"Pod/monitoring/kube-state-metrics-5d4c-x"},
		"a name with spaces has words too": {"Pod crash looping",
			labels{"namespace": "shop", "pod": "my-exporter-1"}, "Pod/shop/my-exporter-1"},
		"what cAdvisor reports is about the pod": {"ContainerMemoryHigh",
			labels{"namespace": "shop", "pod": "web-1", "container": "web", "node": "n1", "service": "kubelet"}, "Pod/shop/web-1"},

		"KubeNodeNotReady is about the node only": {"KubeNodeNotReady",
			labels{"namespace": "observe", "node": "n8", "pod": "metrics-1", "job": "observe/kube-state-metrics"}, "Node//n8"},
		"an alert that begins with node may be about a member of an application": {"NodeDown",
			labels{"namespace": "search", "node": "es-0", "pod": "es-0"}, "Node//es-0 Pod/search/es-0"},
		"HostOutOfMemory is about the node that its exporter runs on": {"HostOutOfMemory",
			labels{"namespace": "monitoring", "node": "n1", "pod": "node-exporter-x2x8q", "service": "node-exporter"}, "Node//n1"},
		"a node that only instance names is no candidate": {"NodeFilesystemAlmostOutOfSpace",
			labels{"namespace": "monitoring", "instance": "n1:9100", "pod": "node-exporter-x2x8q", "service": "node-exporter"}, ""},
		"Node.js is no node": {"NodeJSHeapHigh",
			labels{"namespace": "shop", "pod": "web-1", "node": "n1"}, "Pod/shop/web-1"},
		"KubeletDown is about the node": {"KubeletDown",
			labels{"namespace": "kube-system", "node": "n1", "service": "kps-kubelet"}, "Node//n1"},

		"a label that is no valid name is skipped": {"QueueFull",
			labels{"namespace": "shop", "deployment": "Blue/Green", "service": "web"}, "Service/shop/web"},
		"an application's own node is skipped where it is no valid name": {"MemberDown",
			labels{"namespace": "shop", "node": "rabbit@a", "pod": "rabbit-0"}, "Pod/shop/rabbit-0"},
		"labels that were renamed are from the exporter": {"KubePodNotReady",
			labels{"namespace": "monitoring", "pod": "metrics-1", "service": "metrics", "exported_namespace": "shop", "exported_pod": "web-1"}, "Pod/shop/web-1"},
		"an application's own pod stands before the one that was scraped": {"QueueFull",
			labels{"namespace": "shop", "pod": "worker-1", "service": "worker", "exported_pod": "podcast-7"}, "Pod/shop/podcast-7 Pod/shop/worker-1 Service/shop/worker"},
		"an application's own node may be one of the cluster": {"ShardsUnassigned",
			labels{"namespace": "search", "pod": "es-0", "node": "n1", "exported_node": "es-0"}, "Node//es-0 Pod/search/es-0"},
		"an application that reports its node": {"ShardsUnassigned",
			labels{"namespace": "search", "pod": "es-0", "node": "n1", "exported_node": "n1"}, "Pod/search/es-0"},
		"an error rate is about no node, renamed or not": {"SearchErrorRateHigh",
			labels{"namespace": "search", "service": "es", "node": "n1", "exported_node": "es-0"}, "Service/search/es"},
		"an application's own namespace names nothing": {"WorkflowTasksFail",
			labels{"namespace": "flow", "pod": "temporal-1", "exported_namespace": "orders"}, "Pod/flow/temporal-1"},
		"nor is the node that was scraped the subject then": {"WorkflowTasksFail",
			labels{"namespace": "flow", "pod": "temporal-1", "node": "n1", "exported_namespace": "orders"}, "Pod/flow/temporal-1"},
		"a renamed namespace without an object is about no node": {"QuotaExceeded",
			labels{"namespace": "monitoring", "pod": "kube-state-metrics-5d4c-x", "node": "n1", "exported_namespace": "shop"}, ""},
		"kube-state-metrics reports on a namespace without naming an object": {"KubeQuotaExceeded",
			labels{"namespace": "monitoring", "pod": "kube-state-metrics-5d4c-x", "service": "kube-state-metrics", "exported_namespace": "shop"}, ""},
		"kube-state-metrics reports on a pod of its own namespace": {"KubePodNotReady",
			labels{"namespace": "monitoring", "pod": "kube-state-metrics-5d4c-x", "exported_namespace": "monitoring", "exported_pod": "web-1"}, "Pod/monitoring/web-1"},
		"all is in one namespace": {"QueueFull",
			labels{"namespace": "monitoring", "deployment": "web", "exported_namespace": "shop", "service": "kube-dns"}, "Deployment/shop/web"},
		"an abbreviation at the end": {"KubeNodeDownEU",
			labels{"namespace": "observe", "node": "n1", "pod": "metrics-1"}, "Node//n1"},
		"a name of other letters": {"Überlast-İ Pod",
			labels{"namespace": "shop", "pod": "web-1", "deployment": "web"}, "Pod/shop/web-1 Deployment/shop/web"},
		"a name of words": {"kubernetes node not ready",
			labels{"namespace": "observe", "node": "n1", "pod": "metrics-1"}, "Node//n1"},
		"no name and no labels": {"", nil, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range alert.Candidates(row.alert, row.labels) {
				got = append(got, c.Kind+"/"+c.Namespace+"/"+c.Name)
			}
			if strings.Join(got, " ") != row.want {
				t.Errorf("Candidates = %s, want %s", strings.Join(got, " "), row.want)
			}
		})
	}
}

func TestCandidatesSayWhatAScrapeAdds(t *testing.T) {
	type labels = map[string]string
	rows := map[string]struct {
		alert  string
		labels labels
		want   bool
	}{
		"a pod beside a metric may be the exporter's":  {"QueueFull", labels{"namespace": "shop", "pod": "web-1"}, true},
		"so may a Service":                             {"QueueFull", labels{"namespace": "shop", "service": "web"}, true},
		"the pod of an alert about pods is not":        {"KubePodCrashLooping", labels{"namespace": "shop", "pod": "web-1"}, false},
		"the Service of an alert about Services too":   {"KubeServiceWithoutReadyEndpoints", labels{"namespace": "shop", "service": "web"}, false},
		"what a scrape failed to reach is the subject": {"TargetDown", labels{"namespace": "shop", "service": "web"}, false},
		"no scrape adds a deployment":                  {"QueueFull", labels{"namespace": "shop", "deployment": "web"}, false},
		"a renamed pod is the metric's":                {"QueueFull", labels{"namespace": "shop", "exported_pod": "web-1"}, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got := alert.Candidates(row.alert, row.labels)
			if len(got) != 1 || got[0].Scraped != row.want {
				t.Errorf("Candidates = %+v, want one, scraped %v", got, row.want)
			}
		})
	}
}

func TestPodsOfExportersAreToldByTheirNames(t *testing.T) {
	rows := map[string]bool{ // whether it may be the subject
		"kube-state-metrics-5b6d8c9f4-k2x7q": false, "kps-kube-state-metrics-5b6d8c9f4-k2x7q": false, "kube-state-metrics-0": false,
		"kube-state-metrics": false, "node-exporter-x2x8q": false, "prometheus-node-exporter-7xkzq": false,
		"web-7c5ddbdf54-x2b9k": true, "my-exporter-7c5ddbdf54-x2b9k": true, "cadvisor-ui-0": true, "kubelet-proxy-0": true,
		"kube-state-metrics-ui-7c5ddbdf54-x2b9k": true, "invoice-json-exporter-7c5ddbdf54-x2b9k": true,
		"mysql-exporter-7c5ddbdf54-x2b9k": true, // it is read, to see whether it is one
	}
	for pod, want := range rows {
		got := alert.Candidates("QueueFull", map[string]string{"namespace": "shop", "pod": pod})
		if (len(got) == 1) != want {
			t.Errorf("candidates for pod %s are %v", pod, got)
		}
	}
}

func TestExportingPod(t *testing.T) {
	type labels = map[string]string
	rows := map[string]struct {
		labels labels
		images []string
		want   alert.Exporting
	}{
		"by its image":               {nil, []string{"registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.15.0"}, alert.IsExporting},
		"by a digest":                {nil, []string{"localhost:5000/prom/node_exporter@sha256:0"}, alert.IsExporting},
		"behind a proxy":             {nil, []string{"quay.io/brancz/kube-rbac-proxy:v1", "prom/mysqld-exporter"}, alert.IsExporting},
		"by a label":                 {labels{"app.kubernetes.io/name": "kube-state-metrics"}, []string{"mirror/ksm:2"}, alert.IsExporting},
		"an exporter as a sidecar":   {labels{"app": "mysql"}, []string{"mysql:9", "prom/mysqld-exporter"}, alert.NotExporting},
		"an unknown one":             {labels{"app": "my-exporter"}, []string{"shop/exporter:1"}, alert.MaybeExporting},
		"an application":             {labels{"app": "web"}, []string{"shop/web:1"}, alert.NotExporting},
		"an application and a proxy": {nil, []string{"shop/web:1", "istio/proxyv2:1"}, alert.NotExporting},
		"no containers":              {nil, nil, alert.NotExporting},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := alert.ExportingPod(row.labels, row.images); got != row.want {
				t.Errorf("ExportingPod = %d, want %d", got, row.want)
			}
		})
	}
}

func TestExportingByName(t *testing.T) {
	rows := map[string]alert.Exporting{
		"kube-state-metrics": alert.IsExporting, "kps-kube-state-metrics": alert.IsExporting, "node_exporter": alert.IsExporting,
		"prometheus-blackbox-exporter": alert.IsExporting, "mysqld-exporter": alert.IsExporting,
		"my-exporter": alert.MaybeExporting, "exporter": alert.MaybeExporting,
		"web": alert.NotExporting, "": alert.NotExporting, "exporter-ui": alert.NotExporting, "kube-state-metrics-ui": alert.NotExporting,
	}
	for name, want := range rows {
		if got := alert.ExportingByName(name); got != want {
			t.Errorf("ExportingByName(%q) = %d, want %d", name, got, want)
		}
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
		labels := map[string]string{k1: v1, k2: v2, k3: v3}
		for _, c := range alert.Candidates(v1, labels) {
			if c.Namespace != "" && c.Namespace != alert.Namespace(labels) && c.Namespace != labels["namespace"] {
				t.Errorf("%+v is outside the alert's namespace", c)
			}
		}
	})
}
