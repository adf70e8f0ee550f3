package tenants

import (
	"context"
	"encoding/json"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// secret is what nobody but the honest tenant may read: the image of its Deployment.
const secret = "example.test/only-anna-knows:1"

// scene is what one attempt is about.
type scene struct {
	name string
	// own Deployment of the hostile tenant, theirs of the honest one, and a Node.
	own, theirs, worker v1alpha1.TargetReference
	// watched are the objects that must stay as they are.
	watched []client.Object
	// remediation of the honest tenant's.
	remediation *v1alpha1.AlertRemediation
}

// scenes is how many were set.
var scenes int

// set makes the objects of an attempt.
func set(ctx context.Context) *scene {
	GinkgoHelper()
	scenes++
	name := fmt.Sprintf("try-%d", scenes)
	own, theirs := build.Deployment(hostile.namespace, name).Ready().Obj(), build.Deployment(honest.namespace, name).Image(secret).Obj()
	remediation := build.Remediation(honest.namespace, name).Mode(v1alpha1.ModeObserve).Target(build.Reference(theirs, build.DeploymentKind)).Suspended().Obj()
	server.Create(ctx, own, theirs, remediation)
	worker := &corev1.Node{}
	Expect(server.Client.Get(ctx, types.NamespacedName{Name: node}, worker)).To(Succeed())
	return &scene{
		name: name, own: build.TargetOf(own, build.DeploymentKind), theirs: build.TargetOf(theirs, build.DeploymentKind),
		worker: build.TargetOf(worker, corev1.SchemeGroupVersion.WithKind("Node")), watched: []client.Object{theirs, worker}, remediation: remediation,
	}
}

// within is a target that says it is in the hostile tenant's namespace.
func within(target v1alpha1.TargetReference) v1alpha1.TargetReference {
	target.Namespace = hostile.namespace
	return target
}

// ar is a remediation in the hostile tenant's namespace.
func (s *scene) ar() build.RemediationBuilder { return build.Remediation(hostile.namespace, s.name) }

// about is a remediation of what a reference names.
func (s *scene) about(apiVersion, kind, namespace, name string) client.Object {
	return s.ar().Target(v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}).Obj()
}

// run scales a target to two replicas.
func (s *scene) run(target v1alpha1.TargetReference, edits ...func(*v1alpha1.WorkflowRun)) client.Object {
	run := build.Run(hostile.namespace, s.name, target).Step("scale", "Scale", map[string]string{"replicas": "2"}).Obj()
	for _, edit := range edits {
		edit(run)
	}
	return run
}

// attempt is what a hostile user asks for, and its neighbour that they may ask for.
type attempt struct {
	asks func(*scene) client.Object
	// refused is part of what the API server answers. Empty: it takes the object, and the operator refuses.
	refused string
	// ends is part of what the operator says in the object's conditions when it has ended it.
	ends string
	// waits is part of what the operator says while it does nothing, where it does not end the object at once.
	waits string
	// neighbour is served; by default what is asked for, about the tenant's own Deployment.
	neighbour func(*scene) client.Object
}

// user is whose rights suffice for an object: for a remediation the right to create one.
func user(obj client.Object) client.Client {
	if _, ok := obj.(*v1alpha1.AlertRemediation); ok {
		return server.As(hostile.creator)
	}
	return server.As(hostile.editor)
}

// play makes the attempt, and then asks for its neighbour.
func (a attempt) play(ctx SpecContext) {
	s := set(ctx)
	began, asked := len(server.Audit()), a.asks(s)
	err := user(asked).Create(ctx, asked)
	switch {
	case a.refused != "":
		Expect(err).To(MatchError(ContainSubstring(a.refused)))
	case a.waits != "":
		Expect(err).NotTo(HaveOccurred())
		heldByOperator(ctx, asked, a.waits)
	default:
		Expect(err).NotTo(HaveOccurred())
		refusedByOperator(ctx, asked, a.ends)
	}
	Expect(effects(began, "")).To(BeEmpty(), "the operator changed something")
	for _, before := range s.watched {
		after := before.DeepCopyObject().(client.Object)
		Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(before), after)).To(Succeed())
		Expect(after.GetUID()).To(Equal(before.GetUID()))
		Expect(after.GetGeneration()).To(Equal(before.GetGeneration()))
	}
	a.served(ctx, s, asked, began)
}

// refusedByOperator waits for the operator's answer. It says why, and nothing of what
// the tenant may not read.
func refusedByOperator(ctx context.Context, asked client.Object, why string) {
	GinkgoHelper()
	succeeded, said := ended(ctx, asked)
	Expect(said).To(ContainSubstring(why))
	all, err := json.Marshal(asked)
	Expect(err).NotTo(HaveOccurred())
	Expect(string(all)).NotTo(ContainSubstring(secret))
	switch o := asked.(type) {
	case *v1alpha1.AlertRemediation:
		Expect(o.Status.Outcome).To(BeElementOf(v1alpha1.OutcomeEscalated, v1alpha1.OutcomeRefused))
		Expect(o.Status.Target).To(BeNil())
		Expect(o.Status.Diagnosis).To(Or(BeNil(), HaveField("Evidence", BeEmpty())))
	case *v1alpha1.WorkflowRun:
		Expect(succeeded.Status).To(Equal(metav1.ConditionFalse))
		Expect(o.Status.Steps).To(BeEmpty(), "nothing was planned to be done")
	}
}

// heldByOperator waits until the operator says that it does nothing, and why.
func heldByOperator(ctx context.Context, asked client.Object, why string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(asked), asked)).To(Succeed())
		g.Expect(conditions(asked)).To(ContainElement(HaveField("Message", ContainSubstring(why))))
	}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())
	Expect(asked.(*v1alpha1.WorkflowRun).Status.Steps).To(BeEmpty(), "nothing was planned to be done")
	Expect(server.Client.Delete(ctx, asked)).To(Succeed())
}

// served asks for the neighbour of an attempt.
func (a attempt) served(ctx context.Context, s *scene, asked client.Object, began int) {
	GinkgoHelper()
	s.name += "-allowed"
	allowed := s.ar().Target(s.own.ObjectReference).Obj()
	switch _, isRun := asked.(*v1alpha1.WorkflowRun); {
	case a.neighbour != nil:
		asked = a.neighbour(s)
	case isRun:
		asked = s.run(s.own)
	default:
		asked = allowed
	}
	Expect(user(asked).Create(ctx, asked)).To(Succeed())
	switch o := asked.(type) {
	case *v1alpha1.AlertRemediation:
		Eventually(func(g Gomega) {
			g.Expect(server.Client.Get(ctx, client.ObjectKeyFromObject(o), o)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(o.Status.Conditions, v1alpha1.Admitted)).To(BeTrue())
			g.Expect(o.Status.Target).To(HaveValue(HaveField("UID", s.own.UID)))
		}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())
	case *v1alpha1.WorkflowRun:
		Eventually(func(g Gomega) {
			var own appsv1.Deployment
			g.Expect(server.Client.Get(ctx, s.own.NamespacedName(), &own)).To(Succeed())
			g.Expect(own.Spec.Replicas).To(HaveValue(BeEquivalentTo(2)))
		}).WithContext(ctx).WithTimeout(patience).WithPolling(often).Should(Succeed())
	}
	Expect(effects(began, s.own.Name)).To(BeEmpty(), "more was changed than was asked for")
}

var _ = Describe("A reference of a hostile tenant's", func() {
	DescribeTable("leads to nothing but what is the tenant's", func(ctx SpecContext, a attempt) { a.play(ctx) },
		// Scopes that do not fit the kind.
		Entry("a Node that is said to be in the namespace", attempt{
			asks:    func(s *scene) client.Object { return s.about("v1", "Node", hostile.namespace, node) },
			refused: "objects of this kind are in no namespace",
		}),
		Entry("a Node in no namespace", attempt{
			asks:    func(s *scene) client.Object { return s.about("v1", "Node", "", node) },
			refused: "spec.target must be in namespace",
		}),
		Entry("a cluster-scoped kind that the schema does not know, said to be in the namespace", attempt{
			asks: func(s *scene) client.Object {
				return s.about("rbac.authorization.k8s.io/v1", "ClusterRole", hostile.namespace, "cluster-admin")
			},
			ends: "ClusterRole/cluster-admin does not exist in namespace",
		}),
		Entry("the same as the target of a run", attempt{
			asks: func(s *scene) client.Object {
				return s.run(v1alpha1.TargetReference{UID: "u", ObjectReference: v1alpha1.ObjectReference{
					APIVersion: "storage.k8s.io/v1", Kind: "StorageClass", Namespace: hostile.namespace, Name: "standard",
				}})
			},
			ends: "StorageClass/standard is cluster-scoped",
		}),
		Entry("a Node as the target of a run that scales the tenant's own Deployment", attempt{
			asks: func(s *scene) client.Object {
				return s.run(within(s.worker), func(run *v1alpha1.WorkflowRun) { run.Spec.Steps[0].Action.Target = &s.own })
			},
			refused: "objects of this kind are in no namespace",
		}),
		Entry("a Node as the target of a step", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) { run.Spec.Steps[0].Action.Target = new(within(s.worker)) })
			},
			refused: "objects of this kind are in no namespace",
		}),
		Entry("a Node that labels name", attempt{
			asks: func(s *scene) client.Object {
				return s.ar().Alert("KubeNodeNotReady", map[string]string{"alertname": "KubeNodeNotReady", "node": node}).Obj()
			},
			ends: "name no object of namespace",
			neighbour: func(s *scene) client.Object {
				return s.ar().Alert("KubeDeploymentReplicasMismatch", map[string]string{"namespace": hostile.namespace, "deployment": s.own.Name}).Obj()
			},
		}),

		// Another tenant's object.
		Entry("another tenant's Deployment", attempt{
			asks: func(s *scene) client.Object {
				return s.about("apps/v1", "Deployment", honest.namespace, s.theirs.Name)
			},
			refused: "spec.target must be in namespace",
		}),
		Entry("another tenant's Deployment that labels name", attempt{
			asks: func(s *scene) client.Object {
				return s.ar().Alert("KubePodCrashLooping", map[string]string{"namespace": honest.namespace, "deployment": s.theirs.Name}).Obj()
			},
			ends: "name no object of namespace",
		}),
		Entry("another tenant's Deployment as the target of a run", attempt{
			asks:    func(s *scene) client.Object { return s.run(s.theirs) },
			refused: "spec.target must be in namespace",
		}),
		Entry("another tenant's Deployment as the target of a step", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) {
					second := run.Spec.Steps[0]
					second.Name, second.Action.Target = "second", &s.theirs
					run.Spec.Steps = append(run.Spec.Steps, second)
				})
			},
			refused: "the target of every step must be in namespace",
		}),
		Entry("the uid of another tenant's Deployment under the name of the tenant's own", attempt{
			asks: func(s *scene) client.Object {
				forged := s.own
				forged.UID = s.theirs.UID
				return s.run(forged)
			},
		}),
		Entry("another tenant's run, to be undone", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) { run.Spec.Steps, run.Spec.Undoes = nil, honest.namespace+"/"+s.name })
			},
			refused: "spec.undoes",
		}),
		Entry("another tenant's remediation as the owner of a run", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) { ownedBy(run, s.remediation.Name, s.remediation.UID) })
			},
			ends: "is gone",
		}),
		Entry("a remediation of the tenant's own name with another's uid as the owner of a run", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) {
					run.Spec.PlanDigest = build.Digest
					ownedBy(run, "no-such-remediation", s.remediation.UID)
				})
			},
			ends: "is gone",
		}),

		// Paths and subresources.
		Entry("a subresource in the kind", attempt{
			asks:    func(s *scene) client.Object { return s.about("v1", "Pod/eviction", hostile.namespace, s.name) },
			refused: "spec.target.kind",
		}),
		Entry("a subresource in the name", attempt{
			asks: func(s *scene) client.Object {
				return s.about("apps/v1", "Deployment", hostile.namespace, s.own.Name+"/scale")
			},
			refused: "spec.target.name",
		}),
		Entry("a name that leads to another namespace", attempt{
			asks: func(s *scene) client.Object {
				return s.about("apps/v1", "Deployment", hostile.namespace, "../../"+honest.namespace+"/deployments/"+s.theirs.Name)
			},
			refused: "spec.target.name",
		}),
		Entry("a name that leads up", attempt{
			asks:    func(s *scene) client.Object { return s.about("apps/v1", "Deployment", hostile.namespace, "..") },
			refused: "spec.target.name",
		}),
		Entry("a version that leads to another group", attempt{
			asks: func(s *scene) client.Object {
				return s.about("apps/v1/../../../api/v1", "Secret", hostile.namespace, s.name)
			},
			refused: "spec.target.apiVersion",
		}),

		// APIs that the catalogue does not know.
		Entry("an aggregated API's kind as the target of a run", attempt{
			asks: func(s *scene) client.Object {
				return s.run(v1alpha1.TargetReference{UID: "u", ObjectReference: v1alpha1.ObjectReference{
					APIVersion: "metrics.k8s.io/v1beta1", Kind: "PodMetrics", Namespace: hostile.namespace, Name: s.name,
				}})
			},
			waits: "no matches for kind",
		}),
		Entry("an unknown group's Deployment as the target of a run", attempt{
			asks: func(s *scene) client.Object {
				forged := s.own
				forged.APIVersion = "example.test/v1"
				return s.run(forged)
			},
			waits: "no matches for kind",
		}),
		Entry("a RoleBinding of the tenant's as the target of a run", attempt{
			asks: func(s *scene) client.Object {
				return s.run(v1alpha1.TargetReference{UID: "u", ObjectReference: v1alpha1.ObjectReference{
					APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding", Namespace: hostile.namespace, Name: "kubernaut-remediator",
				}})
			},
			waits: "is forbidden",
		}),
		Entry("an action that is no action", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) { run.Spec.Steps[0].Action.Name = "Cordon/../Scale" })
			},
			ends: "UnknownAction",
		}),

		// Names and texts that mean something elsewhere.
		Entry("system:masters as a namespace", attempt{
			asks:    func(s *scene) client.Object { return s.about("v1", "Pod", "system:masters", s.name) },
			refused: "spec.target.namespace",
		}),
		Entry("system:masters as the name of a target", attempt{
			asks: func(s *scene) client.Object {
				return s.about("apps/v1", "Deployment", hostile.namespace, "system:masters")
			},
			ends: "does not exist in namespace",
		}),
		Entry("CEL in the name of a target", attempt{
			asks: func(s *scene) client.Object {
				return s.about("apps/v1", "Deployment", hostile.namespace, "web' || true || '")
			},
			ends: "does not exist in namespace",
		}),
		Entry("a JSON pointer in a parameter", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) {
					run.Spec.Steps[0].Action = v1alpha1.StepAction{Name: "AdjustResources", Parameters: map[string]string{"container": "app~1../../metadata/ownerReferences"}}
				})
			},
		}),
		Entry("a patch in a parameter", attempt{
			asks: func(s *scene) client.Object {
				return s.run(s.own, func(run *v1alpha1.WorkflowRun) {
					run.Spec.Steps[0].Action.Parameters = map[string]string{"replicas": `2},{"op":"replace","path":"/spec/template/spec/serviceAccountName","value":"default"`}
				})
			},
			ends: "InvalidParameters",
		}),

		// Origins that are not the tenant's.
		Entry("an alert of Alertmanager's that it did not send", attempt{
			asks: func(s *scene) client.Object {
				return s.ar().FromAlertmanager("f00d").Target(s.own.ObjectReference).Obj()
			},
			refused: "only system:serviceaccount:kubernaut-system:kubernaut creates remediations with source Alertmanager",
		}),
		Entry("a name of the operator's", attempt{
			asks: func(s *scene) client.Object {
				return s.ar().Target(s.own.ObjectReference).With(func(ar *v1alpha1.AlertRemediation) { ar.Name = "ar-0123456789abcdef" }).Obj()
			},
			refused: "are reserved for alerts",
		}),
		Entry("an approval that is there from the beginning", attempt{
			asks: func(s *scene) client.Object {
				return s.ar().Target(s.own.ObjectReference).Approved("system:masters", build.Digest).Obj()
			},
			refused: "a remediation can't be created approved",
		}),
	)
})

// ownedBy makes a remediation, which need not exist, the controller of a run.
func ownedBy(run *v1alpha1.WorkflowRun, name string, uid types.UID) {
	run.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "AlertRemediation", Name: name, UID: uid, Controller: new(true),
	}}
}
