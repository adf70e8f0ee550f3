package ledger

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// buckets reach from a decision of the rules to a day of waiting for a person, in seconds.
var buckets = []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600, 14400, 86400}

type metrics struct {
	created   *prometheus.CounterVec
	diagnosed *prometheus.CounterVec
	ended     *prometheus.CounterVec
	refused   *prometheus.CounterVec
	phases    *prometheus.HistogramVec
	whole     *prometheus.HistogramVec
}

// newMetrics starts at zero what an alert should see rise from nothing.
func newMetrics(reg prometheus.Registerer) metrics {
	histogram := func(name, help, label string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: buckets,
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{label})
	}
	m := metrics{
		created: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_remediations_created_total", Help: "AlertRemediations created, by who noticed the trouble.",
		}, []string{"source"}),
		diagnosed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_diagnosed_total", Help: "Diagnoses written, by the source that gave them and the cause they name.",
		}, []string{"source", "cause"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_remediations_ended_total", Help: "AlertRemediations that ended, by outcome.",
		}, []string{"outcome"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubernaut_refusals_total", Help: "Times a plan was held back or refused, by the reason that decided.",
		}, []string{"reason"}),
		phases: histogram("kubernaut_phase_duration_seconds", "Time from entering a phase for the first time to entering the next, by the phase that was left.", "phase"),
		whole:  histogram("kubernaut_remediation_duration_seconds", "Time from the creation of an AlertRemediation to its end, by outcome.", "outcome"),
	}
	reg.MustRegister(m.created, m.diagnosed, m.ended, m.refused, m.phases, m.whole)
	for _, source := range []v1alpha1.AlertSource{v1alpha1.SourceAlertmanager, v1alpha1.SourceWatch, v1alpha1.SourceManual} {
		m.created.WithLabelValues(string(source))
	}
	for _, outcome := range []v1alpha1.Outcome{v1alpha1.OutcomeRemediated, v1alpha1.OutcomeRolledBack, v1alpha1.OutcomeFailed, v1alpha1.OutcomeEscalated} {
		m.ended.WithLabelValues(string(outcome))
	}
	return m
}

// remediation counts the transitions of one AlertRemediation. Every label is of a
// closed set: nothing that came from outside becomes a series.
func (m metrics) remediation(was, now *v1alpha1.AlertRemediation) {
	if was == nil {
		was = &v1alpha1.AlertRemediation{}
		m.created.WithLabelValues(string(now.Spec.Alert.Source)).Inc()
	}
	if found := now.Status.Diagnosis; found != nil && was.Status.Diagnosis == nil {
		m.diagnosed.WithLabelValues(string(found.Source), string(found.Cause)).Inc()
	}
	if reason := refusal(was, now); reason != "" {
		m.refused.WithLabelValues(reason).Inc()
	}
	times := now.Status.PhaseTimes
	for i := max(len(was.Status.PhaseTimes), 1); i < len(times); i++ {
		m.phases.WithLabelValues(string(times[i-1].Phase)).Observe(times[i].At.Sub(times[i-1].At.Time).Seconds())
	}
	if now.Finished() && !was.Finished() {
		outcome := string(now.Status.Outcome)
		m.ended.WithLabelValues(outcome).Inc()
		m.whole.WithLabelValues(outcome).Observe(ended(now).Sub(now.CreationTimestamp.Time).Seconds())
	}
}

// refusal returns the reason for which a plan is newly held back, or nothing. That
// a person is asked is no refusal.
func refusal(was, now *v1alpha1.AlertRemediation) string {
	before := meta.FindStatusCondition(was.Status.Conditions, v1alpha1.Approved)
	after := meta.FindStatusCondition(now.Status.Conditions, v1alpha1.Approved)
	switch {
	case after == nil || after.Status == metav1.ConditionTrue || after.Reason == v1alpha1.ReasonAwaitingApproval:
		return ""
	case before != nil && before.Reason == after.Reason:
		return ""
	}
	return after.Reason
}

// ended is when the last phase was entered: to the microsecond, where conditions
// know the second only.
func ended(ar *v1alpha1.AlertRemediation) time.Time {
	if n := len(ar.Status.PhaseTimes); n > 0 {
		return ar.Status.PhaseTimes[n-1].At.Time
	}
	return meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Succeeded).LastTransitionTime.Time
}

// living counts, whenever Prometheus asks, what the cache holds.
type living struct {
	reader client.Reader
	desc   *prometheus.Desc
}

// NewLiving returns a collector of the remediations that have not ended, by phase.
func NewLiving(reader client.Reader) prometheus.Collector {
	return &living{reader: reader, desc: prometheus.NewDesc(
		"kubernaut_remediations", "AlertRemediations that have not ended, by phase. Every replica says the same.", []string{"phase"}, nil)}
}

// Describe implements prometheus.Collector.
func (l *living) Describe(to chan<- *prometheus.Desc) { to <- l.desc }

// Collect implements prometheus.Collector.
func (l *living) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var list v1alpha1.AlertRemediationList
	if err := l.reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		log.Log.WithName("ledger").Error(err, "counting remediations")
		return
	}
	counts := map[v1alpha1.Phase]int{
		v1alpha1.PhasePending: 0, v1alpha1.PhaseDiagnosing: 0, v1alpha1.PhasePlanning: 0,
		v1alpha1.PhaseWaiting: 0, v1alpha1.PhaseAwaitingApproval: 0, v1alpha1.PhaseExecuting: 0, v1alpha1.PhaseVerifying: 0,
	}
	for i := range list.Items {
		phase := list.Items[i].Status.Phase
		if phase == "" {
			phase = v1alpha1.PhasePending
		}
		if phase != v1alpha1.PhaseDone {
			counts[phase]++
		}
	}
	for phase, n := range counts {
		to <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(n), string(phase))
	}
}
