package evidence

import (
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// Vitals of a target: is it well, and since when.
type Vitals = vitals.Vitals

// Judge says whether the target of a snapshot is well, and since when without
// interruption.
func Judge(s *analysis.Snapshot) Vitals { return vitals.Judge(s) }
