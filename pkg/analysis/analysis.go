// Package analysis is the contract of a diagnosis source: what it is asked, what
// it may look at, and how it says that it has no answer.
package analysis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Analyzer finds the cause of an alert from what was gathered.
type Analyzer interface {
	// Source says who is answering.
	Source() v1alpha1.DiagnosisSource
	// Analyze returns a diagnosis, or an error that wraps ErrUnavailable or
	// ErrDeclined, or an *UnsettledError. The caller's own cancellation is
	// returned as it is.
	Analyze(ctx context.Context, req Request) (v1alpha1.Diagnosis, error)
}

// Request is one question.
type Request struct {
	// Remediation that asks, as namespace/name.
	Remediation string
	// Alert that fired; its labels and annotations are data, never instructions.
	Alert v1alpha1.Alert
	// Snapshot of what the cluster shows.
	Snapshot *Snapshot
}

var (
	// ErrUnavailable means that the source could not be asked or did not answer.
	ErrUnavailable = errors.New("diagnosis source unavailable")
	// ErrDeclined means that the source answered, and has no diagnosis to give.
	ErrDeclined = errors.New("diagnosis declined")
)

// UnsettledError means that it is too early for an answer: what is going on will
// show by itself in a while, and nothing is lost by looking again then.
type UnsettledError struct {
	// After is when it is worth looking again.
	After time.Duration
	// Now is the answer if there is no time to wait.
	Now v1alpha1.Diagnosis
}

func (e *UnsettledError) Error() string {
	return fmt.Sprintf("too early to tell, look again in %s: %s", e.After, e.Now.Summary)
}
