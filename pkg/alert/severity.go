package alert

import "strings"

// severities are the words that people write into their rules, by the one they mean.
var severities = map[string]string{
	"critical": "critical", "crit": "critical", "page": "critical", "fatal": "critical", "emergency": "critical",
	"disaster": "critical", "p1": "critical", "sev1": "critical",
	"warning": "warning", "warn": "warning", "error": "warning", "high": "warning", "major": "warning", "minor": "warning",
	"medium": "warning", "ticket": "warning", "p2": "warning", "p3": "warning", "sev2": "warning", "sev3": "warning",
	"info": "info", "informational": "info", "notice": "info", "low": "info", "none": "info", "debug": "info",
	"p4": "info", "p5": "info", "sev4": "info", "sev5": "info",
}

// Severity returns critical, warning or info for the word in the label
// severity, and unknown for one that is none of these.
func Severity(labels map[string]string) string {
	if s, ok := severities[strings.ToLower(strings.TrimSpace(labels["severity"]))]; ok {
		return s
	}
	return "unknown"
}
