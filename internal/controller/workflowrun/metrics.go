package workflowrun

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	operations *prometheus.CounterVec
	ended      *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_operations_total",
			Help: "Operations on tenants' objects, by verb and the state they entered.",
		}, []string{"verb", "state"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_runs_ended_total",
			Help: "WorkflowRuns that ended, by the condition Succeeded and its reason.",
		}, []string{"succeeded", "reason"}),
	}
	reg.MustRegister(m.operations, m.ended)
	return m
}
