//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("The cluster", func() {
	It("is of the version that was asked for, node by node", func(ctx SpecContext) {
		server, err := cluster.clients.Discovery().ServerVersion()
		Expect(err).NotTo(HaveOccurred())
		Expect(server.GitVersion).To(Equal("v" + version()))
		nodes, err := cluster.clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		for _, node := range nodes.Items {
			Expect(node.Status.NodeInfo.KubeletVersion).To(Equal("v" + version()))
		}
	})

	It("answers `kubectl top`", func(ctx SpecContext) {
		for _, kind := range []string{"pods", "nodes"} {
			Eventually(func(g Gomega) {
				var out bytes.Buffer
				cmd := cluster.command(ctx, "-n", "kube-system", "top", kind, "--no-headers")
				cmd.Stdout = &out
				g.Expect(cmd.Run()).To(Succeed())
				rows := strings.Split(strings.TrimSpace(out.String()), "\n")
				g.Expect(len(rows)).To(BeNumerically(">=", 2), out.String())
				for _, row := range rows {
					g.Expect(strings.Fields(row)[2]).To(MatchRegexp(`^[1-9]`), row) // memory, or a share of the processor
				}
			}).WithContext(ctx).Should(Succeed())
		}
	}, SpecTimeout(3*time.Minute))

	It("gives a claim a volume where its pod is, which keeps what is written and goes with the claim", func(ctx SpecContext) {
		v := newVolume(ctx)
		word := rand.String(20)
		writer := v.run(ctx, "echo "+word+" >/data/word")
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(v.claim), v.claim)).To(Succeed())
		Expect(v.claim.Status.Phase).To(Equal(corev1.ClaimBound))
		volume := &corev1.PersistentVolume{}
		Expect(cluster.Get(ctx, client.ObjectKey{Name: v.claim.Spec.VolumeName}, volume)).To(Succeed())
		dir := volume.Spec.HostPath.Path
		Expect(dir).To(HavePrefix(filepath.Join(filepath.Dir(cluster.Status.Kubeconfig), writer.Spec.NodeName) + "/"))
		Expect(os.ReadFile(filepath.Join(dir, "word"))).To(BeEquivalentTo(word + "\n"))

		reader := v.run(ctx, "cat /data/word")
		Expect(reader.Spec.NodeName).To(Equal(writer.Spec.NodeName))
		Expect(cluster.clients.CoreV1().Pods(v.claim.Namespace).GetLogs(reader.Name, &corev1.PodLogOptions{}).DoRaw(ctx)).To(BeEquivalentTo(word + "\n"))

		Expect(cluster.Delete(ctx, writer)).To(Succeed())
		Expect(cluster.Delete(ctx, reader)).To(Succeed())
		Expect(cluster.Delete(ctx, v.claim)).To(Succeed())
		Eventually(func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(volume), volume) }).WithContext(ctx).
			Should(MatchError(apierrors.IsNotFound, "not found"))
		Expect(dir).NotTo(BeADirectory())
	}, SpecTimeout(3*time.Minute))
})

// volume is a claim of the default storage class.
type volume struct{ claim *corev1.PersistentVolumeClaim }

func newVolume(ctx SpecContext) volume {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "v-" + rand.String(6)}}
	Expect(cluster.Create(ctx, ns)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { cluster.kubectl(ctx, "delete", "namespace", ns.Name, "--wait=false") })
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
	Expect(cluster.Create(ctx, claim)).To(Succeed())
	return volume{claim}
}

// run runs a command beside the volume, as a user of the pod's own, and waits for it to end well.
func (v volume) run(ctx SpecContext, command string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: v.claim.Namespace, GenerateName: "p-"},
		Spec: corev1.PodSpec{
			RestartPolicy:   corev1.RestartPolicyNever,
			SecurityContext: &corev1.PodSecurityContext{RunAsUser: new(rand.Int63nRange(1000, 60000))},
			Containers: []corev1.Container{{
				Name: "shell", Image: "busybox:1.36", Command: []string{"sh", "-ec", command},
				VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}},
			}},
			Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: v.claim.Name},
			}}},
		},
	}
	Expect(cluster.Create(ctx, pod)).To(Succeed())
	Eventually(func() (corev1.PodPhase, error) {
		err := cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return pod.Status.Phase, err
	}).WithContext(ctx).Should(Equal(corev1.PodSucceeded))
	return pod
}
