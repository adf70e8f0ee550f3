// Package rules finds the cause of an alert from a snapshot alone. It is pure:
// no client, no clock, the same answer for the same snapshot.
package rules

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// Finding is one thing that was found, the cause or a symptom of it.
type Finding struct {
	// Code of the cause it would be.
	Code v1alpha1.Cause
	// Object it is about.
	Object v1alpha1.ObjectReference
	// Confidence in percent.
	Confidence int32
	// Message is one sentence with the figures.
	Message string
	// Evidence it rests on.
	Evidence []v1alpha1.Evidence
	// Explains are the findings it is the cause of.
	Explains []Ref
	// Target is the object to be changed; nil: nothing is.
	Target *v1alpha1.TargetReference
	// Remedies, best first.
	Remedies []v1alpha1.Remedy
	// Again is when it is worth looking again, because what is going on will show
	// by itself; zero: now is as good as later.
	Again time.Duration
}

// Ref names a finding by what it is about.
type Ref struct {
	Code   v1alpha1.Cause
	Object v1alpha1.ObjectReference
}

func (f Finding) ref() Ref { return Ref{Code: f.Code, Object: f.Object} }

// rule looks for one cause at one workload.
type rule func(*scene, *workload) *Finding

var workloadRules = []rule{
	badRelease, crashDependency, oomKilled, badConfig, imageNotFound, imageDenied, probeWrongPort,
	untoleratedTaint, nodesComeAndGo, insufficientCPU, insufficientMemory, rolloutStuck,
}

// Diagnose returns what was found, the cause first, its symptoms after it. There
// is always a first one: where nothing is wrong Healthy, and where something
// could not be read or explains nothing NotEnoughEvidence.
func Diagnose(a v1alpha1.Alert, s *analysis.Snapshot) []Finding {
	sc := newScene(a, s)
	var found []Finding
	for _, w := range sc.workloads {
		for _, r := range workloadRules {
			if f := r(sc, w); f != nil {
				found = append(found, *f)
			}
		}
	}
	for _, r := range nodeRules {
		if f := r(sc); f != nil {
			found = append(found, *f)
		}
	}
	if f := selectorMismatch(sc); f != nil {
		found = append(found, *f)
	}
	found = rank(found)
	if len(found) == 0 || sc.blind() {
		// What could not be read may be the cause of all that could.
		return append([]Finding{sc.noCause()}, found...)
	}
	return found
}

// rank puts what nothing else explains first, by confidence, and the symptoms
// after it: causality before loudness.
func rank(found []Finding) []Finding {
	explained := map[Ref]bool{}
	for _, f := range found {
		for _, symptom := range f.Explains {
			explained[symptom] = true
		}
	}
	depth := func(f Finding) int {
		if explained[f.ref()] {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(b.Confidence, a.Confidence))
	})
	return found
}

// Analyzer answers with the first finding.
type Analyzer struct{}

// New returns the source of diagnoses that needs no model.
func New() Analyzer { return Analyzer{} }

// Source says who is answering.
func (Analyzer) Source() v1alpha1.DiagnosisSource { return v1alpha1.SourceRules }

// Analyze returns the cause, or says that it is too early to tell.
func (Analyzer) Analyze(_ context.Context, req analysis.Request) (v1alpha1.Diagnosis, error) {
	found := Diagnose(req.Alert, req.Snapshot)
	answer := diagnosis(found)
	if found[0].Again > 0 {
		return v1alpha1.Diagnosis{}, &analysis.UnsettledError{After: found[0].Again, Now: answer}
	}
	return answer, nil
}
