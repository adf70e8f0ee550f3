package action

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Type of a parameter.
type Type string

const (
	// TypeString: any text of at most 253 characters.
	TypeString Type = "string"
	// TypeInteger: a decimal integer within Min and Max.
	TypeInteger Type = "integer"
	// TypeQuantity: a positive Kubernetes quantity, for example 256Mi.
	TypeQuantity Type = "quantity"
	// TypeLabels: comma-separated key=value pairs.
	TypeLabels Type = "labels"
)

// Parameter of an action.
type Parameter struct {
	// Name of the parameter.
	Name string
	// Description is one sentence for a person.
	Description string
	// Type its value is parsed as.
	Type Type
	// Required parameters have no default that could be computed from what is there.
	Required bool
	// Enum lists the values that are allowed; empty: any of the type.
	Enum []string
	// Min and Max bound an integer; both zero: unbounded.
	Min, Max int64
}

// Params are the parameters of one use of an action, as text.
type Params map[string]string

// ErrInvalidParameters means that parameters do not fit an action's specification.
var ErrInvalidParameters = errors.New("invalid parameters")

// Validate checks parameters against the specification and joins every fault.
// The error wraps ErrInvalidParameters.
func (s Spec) Validate(params Params) error {
	var faults []string
	known := map[string]bool{}
	for _, p := range s.Parameters {
		known[p.Name] = true
		value, given := params[p.Name]
		if !given {
			if p.Required {
				faults = append(faults, p.Name+" is required")
			}
			continue
		}
		if fault := p.check(value); fault != "" {
			faults = append(faults, p.Name+" "+fault)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !known[name] {
			faults = append(faults, fmt.Sprintf("%.63q is not a parameter of %s", name, s.Name))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %s", ErrInvalidParameters, strings.Join(faults, "; "))
	}
	return nil
}

// check returns what is wrong with a value, or nothing.
func (p Parameter) check(value string) string {
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, value) {
		return "is one of " + strings.Join(p.Enum, ", ")
	}
	switch p.Type {
	case TypeInteger:
		return p.checkInteger(value)
	case TypeQuantity:
		return checkQuantity(value)
	case TypeLabels:
		if _, err := ParseLabels(value); err != nil {
			return err.Error()
		}
	case TypeString:
		if value == "" || len(value) > 253 {
			return "has 1 to 253 characters"
		}
	}
	return ""
}

func checkQuantity(value string) string {
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() <= 0 {
		return "is a positive quantity, for example 256Mi"
	}
	return ""
}

func (p Parameter) checkInteger(value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	bounded := p.Min != 0 || p.Max != 0
	if err != nil || bounded && (n < p.Min || n > p.Max) {
		return fmt.Sprintf("is an integer from %d to %d", p.Min, p.Max)
	}
	return ""
}
