package diagnose

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	asked *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{asked: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_diagnosis_asked_total",
		Help: "Questions to a source of diagnoses, by what came of them.",
	}, []string{"source", "result"})}
	reg.MustRegister(m.asked)
	return m
}
