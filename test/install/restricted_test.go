package install_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// restrictedV2 returns what OpenShift's security context constraint of that name
// would not admit. It is what every account there may use, and the only one we ask for.
func restrictedV2(pod corev1.PodSpec) []string {
	var faults []string
	refuse := func(is bool, why string) {
		if is {
			faults = append(faults, why)
		}
	}
	refuse(pod.HostNetwork, "hostNetwork")
	refuse(pod.HostPID, "hostPID")
	refuse(pod.HostIPC, "hostIPC")
	refuse(pod.SecurityContext != nil && namesSomebody(*pod.SecurityContext), "a user, group or label of its own: the namespace has a range of them")
	refuse(!isRuntimeDefault(pod.SecurityContext), "seccomp profile other than RuntimeDefault")
	for _, volume := range pod.Volumes {
		refuse(!isAllowed(volume), "volume "+volume.Name)
	}
	for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, why := range refusedOf(container) {
			refuse(true, "container "+container.Name+": "+why)
		}
	}
	return faults
}

func namesSomebody(s corev1.PodSecurityContext) bool {
	return s.RunAsUser != nil || s.RunAsGroup != nil || s.FSGroup != nil || s.SELinuxOptions != nil || len(s.SupplementalGroups) > 0
}

func isRuntimeDefault(s *corev1.PodSecurityContext) bool {
	return s != nil && s.SeccompProfile != nil && s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault
}

// isAllowed is true of configMap, csi, downwardAPI, emptyDir, ephemeral, persistentVolumeClaim, projected and secret.
func isAllowed(v corev1.Volume) bool {
	return v.ConfigMap != nil || v.CSI != nil || v.DownwardAPI != nil || v.EmptyDir != nil ||
		v.Ephemeral != nil || v.PersistentVolumeClaim != nil || v.Projected != nil || v.Secret != nil
}

func refusedOf(container corev1.Container) []string {
	var faults []string
	for _, port := range container.Ports {
		if port.HostPort != 0 {
			faults = append(faults, fmt.Sprintf("hostPort %d", port.HostPort))
		}
	}
	s := container.SecurityContext
	if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation {
		faults = append(faults, "privilege escalation")
	}
	if s == nil {
		return append(faults, "capabilities that are not dropped")
	}
	if s.Privileged != nil && *s.Privileged {
		faults = append(faults, "privileged")
	}
	if s.RunAsUser != nil || s.RunAsGroup != nil || s.SELinuxOptions != nil {
		faults = append(faults, "a user, group or label of its own: the namespace has a range of them")
	}
	if s.SeccompProfile != nil && s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		faults = append(faults, "seccomp profile other than RuntimeDefault")
	}
	if s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		faults = append(faults, "capabilities that are not dropped")
	} else if slices.ContainsFunc(s.Capabilities.Add, func(c corev1.Capability) bool { return c != "NET_BIND_SERVICE" }) {
		faults = append(faults, "capabilities that are added")
	}
	return faults
}

// TestRestrictedV2 changes the shipped pod in one place each time.
func TestRestrictedV2(t *testing.T) {
	rows := map[string]struct {
		change func(*corev1.PodSpec)
		want   string
	}{
		"as it is shipped":         {},
		"the host's network":       {change: func(p *corev1.PodSpec) { p.HostNetwork = true }, want: "hostNetwork"},
		"the host's processes":     {change: func(p *corev1.PodSpec) { p.HostPID = true }, want: "hostPID"},
		"the host's memory":        {change: func(p *corev1.PodSpec) { p.HostIPC = true }, want: "hostIPC"},
		"a port of the host":       {change: func(p *corev1.PodSpec) { p.Containers[0].Ports[0].HostPort = 9094 }, want: "hostPort 9094"},
		"a directory of the host":  {change: hostPath, want: "volume root"},
		"the image's user, named":  {change: func(p *corev1.PodSpec) { p.SecurityContext.RunAsUser = new(int64(65532)) }, want: "a user"},
		"a user of the container":  {change: func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.RunAsUser = new(int64(65532)) }, want: "a user"},
		"a group that owns files":  {change: func(p *corev1.PodSpec) { p.SecurityContext.FSGroup = new(int64(65532)) }, want: "a user"},
		"no seccomp profile":       {change: func(p *corev1.PodSpec) { p.SecurityContext.SeccompProfile = nil }, want: "seccomp"},
		"no security context":      {change: func(p *corev1.PodSpec) { p.Containers[0].SecurityContext = nil }, want: "privilege escalation"},
		"privileges that may grow": {change: func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil }, want: "privilege escalation"},
		"all privileges":           {change: func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.Privileged = new(true) }, want: "privileged"},
		"the usual capabilities":   {change: func(p *corev1.PodSpec) { p.Containers[0].SecurityContext.Capabilities = nil }, want: "capabilities that are not dropped"},
		"one capability more": {change: func(p *corev1.PodSpec) {
			p.Containers[0].SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_TIME"}
		}, want: "capabilities that are added"},
		"a first container, unbound": {change: func(p *corev1.PodSpec) { p.InitContainers = []corev1.Container{{Name: "first"}} }, want: "container first"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			pod := shippedPod(t)
			if row.change != nil {
				row.change(&pod)
			}
			faults := strings.Join(restrictedV2(pod), "; ")
			if row.want == "" && faults != "" || !strings.Contains(faults, row.want) {
				t.Errorf("want %q, got %q", row.want, faults)
			}
		})
	}
}

func hostPath(p *corev1.PodSpec) {
	p.Volumes = append(p.Volumes, corev1.Volume{Name: "root", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}})
}

func shippedPod(t *testing.T) corev1.PodSpec {
	t.Helper()
	b, err := os.ReadFile(kubetest.Path("config", "manager", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict(b, &deployment); err != nil {
		t.Fatal(err)
	}
	return deployment.Spec.Template.Spec
}
