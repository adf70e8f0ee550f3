// Package diagnose asks the sources of a diagnosis one after another, and
// remembers why the better ones gave no answer.
package diagnose

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// What came of a question. All but the first two are why a source gave no answer.
const (
	resultAnswered = "Answered"
	resultTooEarly = "TooEarly"

	// ReasonUnavailable: it could not be asked, or did not answer.
	ReasonUnavailable = "Unavailable"
	// ReasonDeclined: it answered, and had no diagnosis to give.
	ReasonDeclined = "Declined"
	// ReasonTimeout: it took longer than it was given.
	ReasonTimeout = "Timeout"
	// ReasonFailed: it broke.
	ReasonFailed = "Failed"
)

// Link is one source and how long it may take; zero: as long as the caller has.
type Link struct {
	Analyzer analysis.Analyzer
	Timeout  time.Duration
}

// Chain asks its links in order.
type Chain struct {
	links   []Link
	metrics metrics
}

// NewChain returns a chain of the links, the best source first.
func NewChain(reg prometheus.Registerer, links ...Link) *Chain {
	return &Chain{links: links, metrics: newMetrics(reg)}
}

// Diagnose returns the first answer, with the reasons the sources before it gave
// none. A source that says it is too early is believed: a weaker one would only
// guess. Without any answer the error wraps analysis.ErrUnavailable.
func (c *Chain) Diagnose(ctx context.Context, req analysis.Request) (v1alpha1.Diagnosis, error) {
	var skipped []v1alpha1.SkippedSource
	var failures []error
	for _, link := range c.links {
		source := link.Analyzer.Source()
		diagnosis, err := link.ask(ctx, req)
		if err != nil && ctx.Err() != nil {
			return v1alpha1.Diagnosis{}, context.Cause(ctx) // we were stopped; nobody failed
		}
		result := resultOf(err)
		c.metrics.asked.WithLabelValues(string(source), result).Inc()
		if early := new(analysis.UnsettledError); errors.As(err, &early) {
			early.Now.Skipped = skipped
			return v1alpha1.Diagnosis{}, early
		}
		if err == nil {
			diagnosis.Skipped = skipped
			return diagnosis, nil
		}
		skipped = append(skipped, v1alpha1.SkippedSource{Source: source, Reason: result})
		failures = append(failures, fmt.Errorf("asking %s about %s: %w", source, req.Remediation, err))
	}
	return v1alpha1.Diagnosis{}, errors.Join(append(failures, analysis.ErrUnavailable)...)
}

// ask asks one source within its own deadline.
func (l Link) ask(ctx context.Context, req analysis.Request) (v1alpha1.Diagnosis, error) {
	if l.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.Timeout)
		defer cancel()
	}
	return l.Analyzer.Analyze(ctx, req)
}

// resultOf says in one word what came of a question.
func resultOf(err error) string {
	early := new(analysis.UnsettledError)
	switch {
	case err == nil:
		return resultAnswered
	case errors.As(err, &early):
		return resultTooEarly
	case errors.Is(err, context.DeadlineExceeded):
		return ReasonTimeout
	case errors.Is(err, analysis.ErrDeclined):
		return ReasonDeclined
	case errors.Is(err, analysis.ErrUnavailable):
		return ReasonUnavailable
	}
	return ReasonFailed
}
