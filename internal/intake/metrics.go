package intake

import "github.com/prometheus/client_golang/prometheus"

// What became of a message.
const (
	answerTaken    = "taken"
	answerRefused  = "refused"  // not of the form it must have
	answerDenied   = "denied"   // its sender is unknown, or may not
	answerFull     = "full"     // a namespace has no room for what it brings
	answerOverload = "overload" // to be sent again: there was no room
	answerRetry    = "retry"    // to be sent again: something failed
)

type metrics struct {
	messages  *prometheus.CounterVec
	alerts    *prometheus.CounterVec
	rejected  *prometheus.CounterVec
	truncated prometheus.Counter
	unfetched prometheus.Counter
}

// newMetrics starts every series at zero, so that a first rejection is a rise
// that an alert can see.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_intake_messages_total", Help: "Messages of Alertmanager, by what they were answered.",
		}, []string{"answer"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_intake_alerts_total", Help: "Alerts received, by what became of them.",
		}, []string{"result"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_intake_rejected_alerts_total", Help: "Alerts that could not be taken, by reason.",
		}, []string{"reason"}),
		truncated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubernaut_intake_truncated_alerts_total", Help: "Alerts that Alertmanager left out of its messages.",
		}),
		unfetched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kubernaut_intake_unfetched_alerts_total", Help: "Alerts that Alertmanager left out of its messages and that could not be fetched from it.",
		}),
	}
	reg.MustRegister(m.messages, m.alerts, m.rejected, m.truncated, m.unfetched)
	for _, a := range []string{answerTaken, answerRefused, answerDenied, answerFull, answerOverload, answerRetry} {
		m.messages.WithLabelValues(a)
	}
	for _, r := range results {
		m.alerts.WithLabelValues(string(r))
	}
	for _, r := range reasons {
		m.rejected.WithLabelValues(string(r))
	}
	return m
}
