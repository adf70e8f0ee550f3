package intake_test

import (
	"context"
	"errors"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// readCounter counts the reads of Nodes, Namespaces and Services, and answers them with an error if it has one.
type readCounter struct {
	client.Reader
	count int
	err   error
}

func (n *readCounter) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if kind := obj.GetObjectKind().GroupVersionKind().Kind; kind == "Node" || kind == "Namespace" || kind == "Service" {
		if n.count++; n.err != nil {
			return n.err
		}
	}
	return n.Reader.Get(ctx, key, obj, opts...)
}

var _ = Describe("The namespace of a remediation", func() {
	var ns, node string
	var reads *readCounter
	var r *replica
	BeforeEach(func(ctx SpecContext) {
		ns = server.Namespace(ctx)
		node = ns // Nodes are shared by all specs, namespaces are not
		reads = &readCounter{Reader: operator}
		r = replicaOf(operator, reads)
	})
	exists := func(ctx context.Context) {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
		Expect(server.Client.Create(ctx, n)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(server.Client.Delete(ctx, n)).To(Succeed()) })
	}
	// about returns an alert about the namespace and the node, with a pod and perhaps more.
	about := func(name, pod string) delivery {
		return crash(ns).label("alertname", name).label("node", node).label("pod", pod)
	}

	DescribeTable("is the operator's for an alert about a node, and that of the object otherwise",
		func(ctx SpecContext, name, pod string, there bool, operators bool, read int) {
			if there {
				exists(ctx)
			}
			Expect(r.delivered(ctx, about(name, pod))).To(Equal("1 created"))
			Expect(remediations(ctx, ns)).To(HaveLen(map[bool]int{true: 0, false: 1}[operators]))
			Expect(reads.count).To(Equal(read))
			Expect(r.delivered(ctx, about(name, pod))).To(Equal("1 repeated"), "and stays it")
		},
		Entry("a node, through a PodMonitor", "KubeNodeNotReady", "kube-state-metrics-5d4c-x", true, true, 0),
		Entry("a node that is gone", "KubeNodeNotReady", "kube-state-metrics-5d4c-x", false, true, 0),
		Entry("a node, through an exporter of any name", "KubeNodeNotReady", "metrics-1", true, true, 0),
		Entry("a node that an exporter runs on", "HostOutOfMemory", "node-exporter-x2x8q", true, true, 0),
		Entry("a node, by what may be an application or an exporter", "NodeNotReady", "metrics-1", true, true, 1),
		Entry("a member of an application that calls them nodes", "NodeDown", "es-0", false, false, 1),
		Entry("a pod that was scraped with its node", "QueueFull", "web-1", true, false, 0),
		Entry("a pod that crashes on a node", "KubePodCrashLooping", "web-1", true, false, 0),
	)

	It("is that of the Service for its error rate, whatever node was scraped", func(ctx SpecContext) {
		exists(ctx)
		Expect(r.delivered(ctx, about("BasketErrorRateHigh", "").label("service", "basket"))).To(Equal("1 created"))
		ar := only(ctx, ns)
		_, err := evidence.NewResolver(server.Client).Trace(ctx, ns, ar.Spec.Alert)
		Expect(err).To(MatchError(evidence.ErrNoTarget), "no Service basket is there, and the node is not the subject")
		Expect(reads.count).To(BeZero())
	})

	DescribeTable("is the one that was scraped where a renamed one names none and nothing in it",
		func(ctx SpecContext, change func(delivery, string) delivery, want string, read int) {
			other := server.Namespace(ctx)
			sent := change(crash(ns).label("alertname", "WorkflowTasksFail"), other)
			Expect(r.delivered(ctx, sent)).To(Equal(want))
			Expect(reads.count).To(Equal(read))
			if want != "1 created" {
				return
			}
			Expect(remediations(ctx, ns)).To(HaveLen(read % 2))
			Expect(remediations(ctx, other)).To(HaveLen(1 - read%2))
		},
		Entry("by an application's word for something of its own",
			func(d delivery, _ string) delivery { return d.label("exported_namespace", "orders") }, "1 created", 1),
		Entry("but not where an object is named in it, of a namespace that is gone",
			func(d delivery, _ string) delivery {
				return d.label("exported_namespace", "orders").label("deployment", "web")
			}, "[0] NamespaceGone", 0),
		Entry("but not where an object is named in it",
			func(d delivery, other string) delivery {
				return d.label("exported_namespace", other).label("exported_pod", "web-1")
			}, "1 created", 0),
	)

	It("is that of the subject where a controller reports on another namespace", func(ctx SpecContext) {
		other := server.Namespace(ctx)
		sent := crash(ns).label("alertname", "CertificateExpiresSoon").label("exported_namespace", other).label("name", "tls")
		Expect(r.delivered(ctx, sent)).To(Equal("1 created"))
		Expect(remediations(ctx, ns)).To(BeEmpty())
		_, err := evidence.NewResolver(server.Client).Trace(ctx, other, only(ctx, other).Spec.Alert)
		Expect(err).To(MatchError(evidence.ErrNoTarget))
	})

	DescribeTable("is the operator's for what names a node and a service that is no Service", func(ctx SpecContext, service, there, operators bool) {
		if there {
			exists(ctx)
		}
		if service {
			server.Create(ctx, build.Service(ns, "payments", "payments"))
		}
		Expect(r.delivered(ctx, about("LoadHigh", "").label("service", "payments"))).To(Equal("1 created"))
		Expect(remediations(ctx, ns)).To(HaveLen(map[bool]int{true: 0, false: 1}[operators]))
	},
		Entry("a word for a team", false, true, true),
		Entry("a Service", true, true, false),
		Entry("neither Service nor Node", false, false, false),
	)

	It("is not decided while the node can't be read", func(ctx SpecContext) {
		reads.err = errors.New("the API server is away")
		Expect(r.delivered(ctx, about("NodeDown", "es-0"))).To(Equal("503"))
		Expect(remediations(ctx, ns)).To(BeEmpty())
	})

	It("is its own for a sender who may not post about nodes, and no Node is read for it", func(ctx SpecContext) {
		exists(ctx)
		user, token := account(ctx, ns, "kubernaut")
		server.GrantClusterRole(ctx, ns, user, "kubernaut-alert-sender")
		g := guarded(operator)
		status, body := g.answers(bearing(post(ctx, message(about("NodeDown", "es-0"), about("KubeNodeNotReady", "es-0"))), token))
		Expect(status).To(Equal(http.StatusOK))
		Expect(body).To(ContainSubstring(`"created":1`))
		Expect(body).To(ContainSubstring(`[{"index":1,"reason":"NotAllowed"}]`))
		Expect(only(ctx, ns).Namespace).NotTo(Equal(kubetest.OperatorNamespace))
	})
})
