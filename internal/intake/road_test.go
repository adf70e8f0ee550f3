package intake_test

import (
	"context"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/rightofway"
)

// sluggish answers nobody before it is told to, but whoever asks for /own.
type sluggish chan struct{}

func (s sluggish) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path != "/own" {
		<-s
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

var _ = Describe("a message that is being stored", func() {
	It("has its requests go first, and others held back, until it is answered", func(ctx SpecContext) {
		ns, registry, end := server.Namespace(ctx), prometheus.NewRegistry(), make(sluggish)
		road := rightofway.New(registry)
		through := road.Transport(end)
		send := func(ctx context.Context, path string) error {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.test"+path, nil)
			if err != nil {
				return err
			}
			_, err = through.RoundTrip(request)
			return err
		}
		held := func() float64 {
			families, err := registry.Gather()
			Expect(err).NotTo(HaveOccurred())
			return families[0].GetMetric()[0].GetCounter().GetValue()
		}
		storing := interceptor.NewClient(operator, interceptor.Funcs{
			Create: func(own context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				for range 20 {
					go func() { _ = send(ctx, "/theirs") }()
				}
				Eventually(held).Should(BeNumerically(">=", 10), "others are held back")
				before := held()
				Expect(send(own, "/own")).To(Succeed())
				Expect(held()).To(Equal(before), "its own are not")
				return c.Create(own, obj, opts...)
			},
		})
		r := replicaOf(operator, operator)
		r.handler = intake.New(intake.Cluster{Client: storing, Live: operator, Events: r.events, Road: road},
			intake.Door{}, nil, r.clock, intake.Settings{Namespace: kubetest.OperatorNamespace, ClusterLabel: "cluster"}, prometheus.NewRegistry())
		Expect(r.delivered(ctx, crash(ns))).To(Equal("1 created"))

		before := held()
		close(end)
		Expect(send(ctx, "/theirs")).To(Succeed())
		Expect(held()).To(Equal(before), "nobody waits any more")
	})
})
