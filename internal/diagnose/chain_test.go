package diagnose_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// source answers as it is told.
type source struct {
	name   v1alpha1.DiagnosisSource
	answer func(context.Context) (v1alpha1.Diagnosis, error)
}

func (s source) Source() v1alpha1.DiagnosisSource { return s.name }

func (s source) Analyze(ctx context.Context, _ analysis.Request) (v1alpha1.Diagnosis, error) {
	return s.answer(ctx)
}

func answers(name v1alpha1.DiagnosisSource) source {
	return source{name, func(context.Context) (v1alpha1.Diagnosis, error) {
		return v1alpha1.Diagnosis{Source: name, Cause: v1alpha1.CauseOOMKilled}, nil
	}}
}

func fails(name v1alpha1.DiagnosisSource, err error) source {
	return source{name, func(context.Context) (v1alpha1.Diagnosis, error) { return v1alpha1.Diagnosis{}, err }}
}

func hangs(name v1alpha1.DiagnosisSource) source {
	return source{name, func(ctx context.Context) (v1alpha1.Diagnosis, error) {
		<-ctx.Done()
		return v1alpha1.Diagnosis{}, ctx.Err()
	}}
}

func TestDiagnose(t *testing.T) {
	rows := map[string]struct {
		links   []diagnose.Link
		from    v1alpha1.DiagnosisSource // none: no answer
		skipped []v1alpha1.SkippedSource
		err     error
	}{
		"the first source answers, and nobody else is asked": {
			links: []diagnose.Link{{Analyzer: answers("Better")}, {Analyzer: fails("Rules", errors.New("never asked"))}},
			from:  "Better",
		},
		"a fallback is an answer with a history": {
			links: []diagnose.Link{
				{Analyzer: fails("Best", errors.Join(errors.New("connection refused"), analysis.ErrUnavailable))},
				{Analyzer: fails("Better", analysis.ErrDeclined)},
				{Analyzer: fails("Good", errors.New("broken"))},
				{Analyzer: answers("Rules")},
			},
			from: "Rules",
			skipped: []v1alpha1.SkippedSource{
				{Source: "Best", Reason: diagnose.ReasonUnavailable},
				{Source: "Better", Reason: diagnose.ReasonDeclined},
				{Source: "Good", Reason: diagnose.ReasonFailed},
			},
		},
		"a source that takes too long is passed over": {
			links:   []diagnose.Link{{Analyzer: hangs("Better"), Timeout: time.Minute}, {Analyzer: answers("Rules")}},
			from:    "Rules",
			skipped: []v1alpha1.SkippedSource{{Source: "Better", Reason: diagnose.ReasonTimeout}},
		},
		"without any answer the chain is unavailable": {
			links: []diagnose.Link{{Analyzer: fails("Rules", analysis.ErrDeclined)}},
			err:   analysis.ErrUnavailable,
		},
		"the caller's own end is nobody's failure": {
			links: []diagnose.Link{{Analyzer: hangs("Better")}, {Analyzer: answers("Rules")}},
			err:   context.DeadlineExceeded,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				got, err := diagnose.NewChain(prometheus.NewRegistry(), row.links...).Diagnose(ctx, analysis.Request{Remediation: "shop/ar-1"})
				if !errors.Is(err, row.err) {
					t.Fatalf("error is %v, want %v", err, row.err)
				}
				if got.Source != row.from || !reflect.DeepEqual(got.Skipped, row.skipped) {
					t.Errorf("answer of %q after %v, want of %q after %v", got.Source, got.Skipped, row.from, row.skipped)
				}
			})
		})
	}
}

func TestDiagnoseBelievesThatItIsTooEarly(t *testing.T) {
	early := &analysis.UnsettledError{After: time.Second, Now: v1alpha1.Diagnosis{Cause: v1alpha1.CauseNotEnoughEvidence}}
	chain := diagnose.NewChain(prometheus.NewRegistry(),
		diagnose.Link{Analyzer: fails("Better", analysis.ErrDeclined)}, diagnose.Link{Analyzer: fails("Rules", early)}, diagnose.Link{Analyzer: answers("Weaker")})
	_, err := chain.Diagnose(t.Context(), analysis.Request{})
	got := new(analysis.UnsettledError)
	if !errors.As(err, &got) {
		t.Fatalf("error is %v, want that it is too early", err)
	}
	if len(got.Now.Skipped) != 1 || got.Now.Skipped[0].Source != "Better" {
		t.Errorf("skipped are %v, want Better", got.Now.Skipped)
	}
}
