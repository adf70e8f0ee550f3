// Package vitals judges from a snapshot whether a workload or a Service is well.
// It is pure: the rules and the verification after a change see alike.
package vitals

import (
	"time"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// Vitals of a target.
type Vitals struct {
	// Health of the target.
	Health v1alpha1.Health
	// Since when it has been healthy without interruption; zero unless it is.
	Since time.Time
	// Why in one sentence with figures.
	Why string
}

// Judge says whether the target of a snapshot is well. What could not be read
// makes it Unknown, never unhealthy and never healthy.
func Judge(s *analysis.Snapshot) Vitals {
	return Vitals{Health: v1alpha1.HealthUnknown, Why: "not yet judged"}
}
