package action

import (
	"errors"

	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ParseLabels parses comma-separated key=value pairs into valid labels.
func ParseLabels(value string) (map[string]string, error) {
	set, err := labels.ConvertSelectorToLabelsMap(value)
	if err != nil || len(set) == 0 {
		return nil, errors.New("has the form key=value,key=value")
	}
	if faults := metavalidation.ValidateLabels(set, field.NewPath("labels")); len(faults) > 0 {
		return nil, faults.ToAggregate()
	}
	return set, nil
}

// FormatLabels prints labels so that ParseLabels reads them, sorted by key.
func FormatLabels(set map[string]string) string {
	return labels.Set(set).String()
}
