package servingcert_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/servingcert"
)

func TestServingCert(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	RunSpecs(t, "servingcert")
}

var server *kubetest.Server

var _ = BeforeSuite(func(ctx SpecContext) {
	server = kubetest.Start(GinkgoTB())
	server.Install(ctx, "config", "rbac")
})

var (
	key   = types.NamespacedName{Namespace: kubetest.OperatorNamespace, Name: "kubernaut-intake-tls"}
	names = []string{"kubernaut.kubernaut-system", "kubernaut.kubernaut-system.svc"}
	today = time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)
)

// started is one replica's Keeper, with the operator's own rights.
func started(ctx context.Context, clk *clocktesting.FakeClock) *servingcert.Keeper {
	cfg := server.OperatorConfig(ctx)
	only := cache.ByObject{Namespaces: map[string]cache.Config{key.Namespace: {FieldSelector: fields.OneTermEqualSelector("metadata.name", key.Name)}}}
	informers, err := cache.New(cfg, cache.Options{Scheme: server.Scheme, ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: only}})
	Expect(err).NotTo(HaveOccurred())
	operator := server.Operator(ctx)
	keeper := servingcert.New(servingcert.Cluster{Client: operator, Live: operator, Informers: informers}, clk, servingcert.Settings{Secret: key, Names: names})

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 2)
	go func() { ended <- informers.Start(running) }()
	go func() { ended <- keeper.Start(running) }()
	DeferCleanup(func() {
		stop()
		Expect(<-ended).To(Succeed())
		Expect(<-ended).To(Succeed())
	})
	return keeper
}

func stored(ctx context.Context) map[string][]byte {
	secret := &corev1.Secret{}
	Expect(server.Client.Get(ctx, key, secret)).To(Succeed())
	return secret.Data
}

// served returns what a client sees, in DER, or nothing.
func served(k *servingcert.Keeper) func() []byte {
	return func() []byte {
		cert, err := k.Certificate(nil)
		if err != nil {
			return nil
		}
		return cert.Certificate[0]
	}
}

func leafOf(data map[string][]byte) []byte {
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	Expect(err).NotTo(HaveOccurred())
	return pair.Certificate[0]
}

var _ = Describe("A Keeper", func() {
	var clk *clocktesting.FakeClock
	BeforeEach(func() {
		clk = clocktesting.NewFakeClock(today)
		DeferCleanup(func(ctx SpecContext) { // after the Keepers have ended: they would make it again
			Expect(client.IgnoreNotFound(server.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}))).To(Succeed())
		})
	})

	It("makes the Secret with rights to that one only, and all replicas that start at once serve the same", func(ctx SpecContext) {
		replicas := []*servingcert.Keeper{started(ctx, clk), started(ctx, clk), started(ctx, clk)}
		for _, k := range replicas {
			Eventually(served(k)).ShouldNot(BeNil())
		}
		data := stored(ctx)
		for _, k := range replicas {
			Eventually(served(k)).Should(Equal(leafOf(data)))
		}
		roots := x509.NewCertPool()
		Expect(roots.AppendCertsFromPEM(data["ca.crt"])).To(BeTrue())
		leaf, err := x509.ParseCertificate(leafOf(data))
		Expect(err).NotTo(HaveOccurred())
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: names[1], CurrentTime: today})
		Expect(err).NotTo(HaveOccurred())

		other := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: "other"}}
		Expect(server.Operator(ctx).Create(ctx, other)).To(MatchError(ContainSubstring("forbidden")))
		Expect(server.Operator(ctx).Get(ctx, client.ObjectKeyFromObject(other), other)).To(MatchError(ContainSubstring("forbidden")))
	})

	It("fills a Secret that was made empty, and keeps what else is in it", func(ctx SpecContext) {
		server.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Data: map[string][]byte{"note": []byte("mine")}})
		Eventually(served(started(ctx, clk))).ShouldNot(BeNil())
		Expect(stored(ctx)).To(And(HaveKeyWithValue("note", []byte("mine")), HaveKey("ca.key")))
	})

	It("renews it at two thirds of its life, under the same authority, and a replica that slept serves the new one", func(ctx SpecContext) {
		awake, asleep := started(ctx, clk), started(ctx, clocktesting.NewFakeClock(today))
		Eventually(served(awake)).ShouldNot(BeNil())
		before := stored(ctx)
		Eventually(served(asleep)).Should(Equal(leafOf(before)))
		Eventually(clk.HasWaiters).Should(BeTrue())
		clk.Step(244 * 24 * time.Hour)
		Eventually(func() []byte { return stored(ctx)["tls.crt"] }).ShouldNot(Equal(before["tls.crt"]))
		after := stored(ctx)
		Expect(after["ca.crt"]).To(Equal(before["ca.crt"]))
		Eventually(served(awake)).Should(Equal(leafOf(after)))
		Eventually(served(asleep)).Should(Equal(leafOf(after)))
	})

	It("serves what a person puts there, without a restart, never replaces it, and survives nonsense", func(ctx SpecContext) {
		keeper := started(ctx, clk)
		Eventually(served(keeper)).ShouldNot(BeNil())
		theirs := stored(ctx)
		put := func(data map[string][]byte) {
			secret := &corev1.Secret{}
			Expect(server.Client.Get(ctx, key, secret)).To(Succeed())
			secret.Data = data
			Expect(server.Client.Update(ctx, secret)).To(Succeed())
		}
		put(map[string][]byte{"tls.crt": {}, "tls.key": {}}) // whatever is served now, the next one is another's
		Eventually(func() []byte { return stored(ctx)["tls.crt"] }).ShouldNot(BeEmpty())

		put(map[string][]byte{"tls.crt": theirs["tls.crt"], "tls.key": theirs["tls.key"]})
		Eventually(served(keeper)).Should(Equal(leafOf(theirs)))
		put(map[string][]byte{"tls.crt": []byte("nonsense"), "tls.key": []byte("nonsense")})
		Consistently(served(keeper), "300ms").Should(Equal(leafOf(theirs)))
		Expect(stored(ctx)["tls.crt"]).To(BeEquivalentTo("nonsense"))
	})
})
