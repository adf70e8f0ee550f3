package rules

import (
	"fmt"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// The bounds of the API on a diagnosis.
const (
	maxSummary      = 1024
	maxAlternative  = 512
	maxEvidence     = 12
	maxAlternatives = 6
)

// diagnosis writes findings in the words of the API.
func diagnosis(found []Finding) v1alpha1.Diagnosis {
	cause := found[0]
	answer := v1alpha1.Diagnosis{
		Source:     v1alpha1.SourceRules,
		Cause:      cause.Code,
		Summary:    redact.Cut(cause.Message, maxSummary),
		Confidence: cause.Confidence,
		Target:     cause.Target,
		Remedies:   cause.Remedies,
		Evidence:   cause.Evidence[:min(len(cause.Evidence), maxEvidence)],
	}
	for _, other := range found[1:min(len(found), maxAlternatives+1)] {
		answer.Alternatives = append(answer.Alternatives, v1alpha1.Alternative{
			Cause: other.Code, Object: &other.Object, Confidence: other.Confidence, Summary: redact.Cut(other.Message, maxAlternative),
		})
	}
	return answer
}

// says makes a piece of evidence about an object.
func says(kind v1alpha1.EvidenceKind, object v1alpha1.ObjectReference, format string, args ...any) v1alpha1.Evidence {
	e := v1alpha1.Evidence{Kind: kind, Says: redact.Line(fmt.Sprintf(format, args...), 400)}
	if object.Name != "" {
		e.Object = &object
	}
	return e
}

// percent bounds a confidence: a rule is never quite sure.
func percent(points int) int32 {
	return int32(min(max(points, 5), 95))
}

// The remedies, as the catalogue of actions names them.
const (
	rolloutUndo        = "RolloutUndo"
	adjustResources    = "AdjustResources"
	fixServiceSelector = "FixServiceSelector"
	setImage           = "SetImage"
	cordon             = "Cordon"
	escalate           = "Escalate"
)

func undo(to revision) v1alpha1.Remedy {
	return v1alpha1.Remedy{Action: rolloutUndo, Parameters: map[string]string{"toRevision": fmt.Sprint(to.number)}}
}

func raiseMemory(container string) v1alpha1.Remedy {
	return v1alpha1.Remedy{Action: adjustResources, Parameters: map[string]string{"container": container, "resource": "memory"}}
}

func setTo(container, image string) v1alpha1.Remedy {
	return v1alpha1.Remedy{Action: setImage, Parameters: map[string]string{"container": container, "image": image}}
}

func toPerson(reason string) v1alpha1.Remedy {
	return v1alpha1.Remedy{Action: escalate, Parameters: map[string]string{"reason": redact.Line(reason, 253)}}
}
