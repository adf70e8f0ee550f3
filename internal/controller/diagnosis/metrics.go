package diagnosis

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	diagnosed *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{diagnosed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_diagnosed_total",
		Help: "Diagnoses written, by the source that gave them and the cause they name.",
	}, []string{"source", "cause"})}
	reg.MustRegister(m.diagnosed)
	return m
}
