// Package analysis is the contract of a diagnosis source: what it is asked, what
// it may look at, and how it says that it has no answer.
package analysis

import (
	"context"
	"errors"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Analyzer finds the cause of an alert from what was gathered.
type Analyzer interface {
	// Source says who is answering.
	Source() v1alpha1.DiagnosisSource
	// Analyze returns a diagnosis, or an error that wraps ErrUnavailable or
	// ErrDeclined. The caller's own cancellation is returned as it is.
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
