//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

var _ = Describe("A plan that waits for a person", func() {
	It("is found, read, approved and told about with the plugin", func(ctx SpecContext) {
		t := newTenant(ctx, "full", asking)
		alert := t.alert("KubePodCrashLooping", map[string]string{"pod": t.crash(ctx), "container": t.container})
		t.post(ctx, "firing", alert)
		ar := t.asked(ctx)

		Expect(t.plugin(ctx, "get")).To(MatchRegexp(`%s +KubePodCrashLooping +Deployment/%s +AwaitingApproval +CrashBadRelease +RolloutUndo`, ar.Name, t.app))
		Expect(t.plugin(ctx, "describe", ar.Name)).To(ContainSubstring("Plan     mode Approve, policy " + t.ns + "/own"))
		Expect(t.plugin(ctx, "diff", ar.Name)).To(And(ContainSubstring("- spec.template.spec.containers["+t.container+"].args: - --release=2.0.0"), ContainSubstring("+ spec.template.spec.containers["+t.container+"].args: - --release=1.0.0"), ContainSubstring("Undone by:"), ContainSubstring(ar.Status.Plan.Digest)))
		Expect(t.plugin(ctx, "why", t.ns+"/"+t.app)).To(ContainSubstring("mode Approve"))
		Expect(t.plugin(ctx, "pause", "--reason", "looking into it")).To(ContainSubstring("is paused until"))
		Expect(t.plugin(ctx, "why", t.ns+"/"+t.app)).To(ContainSubstring("looking into it"))
		Expect(t.plugin(ctx, "resume")).To(ContainSubstring("is not paused"))

		Expect(t.plugin(ctx, "approve", ar.Name, "--yes", "--digest", ar.Status.Plan.Digest, "--reason", "seen it before")).To(ContainSubstring("Approved as "))
		Eventually(t.serves).WithContext(ctx).Should(Succeed())
		t.post(ctx, "resolved", alert)
		Expect(t.ended(ctx).Status.Outcome).To(Equal(v1alpha1.OutcomeRemediated))
		Expect(changes(t.ns)).To(Equal([]string{"patch deployments/" + t.app}))

		told := t.plugin(ctx, "timeline", ar.Name, "-o", "markdown")
		for _, part := range []string{"# KubePodCrashLooping: Deployment/" + t.app, "seen it before", "patch of Deployment/" + t.app, "ended as Remediated", "## Impact"} {
			Expect(told).To(ContainSubstring(part))
		}
		Expect(t.plugin(ctx, "test-alert", t.ns+"/"+t.app)).To(And(ContainSubstring("mode Observe"), ContainSubstring("Ended as NoActionNeeded")))
		Expect(t.plugin(ctx, "doctor")).To(And(ContainSubstring("ok    the guards are as shipped"), ContainSubstring("namespace "+t.ns+": policy own, mode Approve, granted")))
	}, SpecTimeout(5*time.Minute))

	It("is not carried out when its approval may have slipped in while a guard was away", Serial, func(ctx SpecContext) {
		t := newTenant(ctx, "full", asking)
		cluster.bind(ctx, t.ns, "edit", "kim")
		t.post(ctx, "firing", t.alert("KubePodCrashLooping", map[string]string{"pod": t.crash(ctx), "container": t.container}))
		ar := t.asked(ctx)
		forge := func(ctx context.Context) error { return t.forge(ctx, "kim", ar) }
		Expect(forge(ctx)).To(MatchError(ContainSubstring("approve")), "the guard is there")

		binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{}
		Expect(cluster.Get(ctx, client.ObjectKey{Name: "kubernaut-approval"}, binding)).To(Succeed())
		Expect(cluster.Delete(ctx, binding)).To(Succeed())
		binding.ResourceVersion, binding.UID = "", ""
		DeferCleanup(func(ctx SpecContext) {
			Expect(client.IgnoreAlreadyExists(cluster.Create(ctx, binding.DeepCopy()))).To(Succeed())
		})
		Eventually(forge).WithContext(ctx).WithPolling(50 * time.Millisecond).Should(Succeed())
		Expect(cluster.Create(ctx, binding.DeepCopy())).To(Succeed())

		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(ar), ar)).To(Succeed())
			approved := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved)
			g.Expect(approved.Reason).To(Equal(v1alpha1.ReasonAwaitingApproval))
			g.Expect(approved.Message).To(ContainSubstring("The approval by admin does not count"))
		}).WithContext(ctx).WithTimeout(2 * time.Minute).Should(Succeed())
		Expect(changes(t.ns)).To(BeEmpty())
	}, SpecTimeout(5*time.Minute))
})

func asking(t *tenant) { t.mode = v1alpha1.ModeApprove }

// asked waits until the plan is put before people.
func (t *tenant) asked(ctx context.Context) *v1alpha1.AlertRemediation {
	GinkgoHelper()
	var found []v1alpha1.AlertRemediation
	Eventually(func(g Gomega) {
		var err error
		found, err = t.remediations(ctx)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found).To(HaveLen(1))
		g.Expect(found[0].Status.Phase).To(Equal(v1alpha1.PhaseAwaitingApproval), "%+v", found[0].Status.Conditions)
		// From here on an approval counts: the leader has seen the guards unchanged for 30 s.
		g.Expect(found[0].Status.Plan.Guards).To(HaveLen(32), "%+v", found[0].Status.Conditions)
	}).WithContext(ctx).Should(Succeed())
	return &found[0]
}

// plugin runs a sub-command of `kubectl kubernaut` in the tenant's namespace.
func (t *tenant) plugin(ctx context.Context, args ...string) string {
	GinkgoHelper()
	return string(cluster.output(ctx, cluster.bin("kubectl-kubernaut"), append(args, "-n", t.ns, "--kubeconfig", cluster.Status.Kubeconfig)...))
}

// forge approves a plan in the administrator's name as somebody else.
func (t *tenant) forge(ctx context.Context, user string, ar *v1alpha1.AlertRemediation) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"approval": v1alpha1.Approval{
		Decision: v1alpha1.DecisionApproved, By: "admin", At: metav1.Now(), PlanDigest: ar.Status.Plan.Digest,
	}}})
	if err != nil {
		return err
	}
	out, err := cluster.command(ctx, "-n", t.ns, "patch", "ar", ar.Name, "--as", user, "--type", "merge", "-p", string(patch)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// bind gives a user one of Kubernetes' own roles in a namespace.
func (l *lab) bind(ctx context.Context, namespace, role, user string) {
	GinkgoHelper()
	Expect(l.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})).To(Succeed())
}
