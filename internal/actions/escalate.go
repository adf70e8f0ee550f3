package actions

import (
	"context"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// escalate leaves it to a person.
type escalate struct{}

// Spec says what the action is. Without kinds it is for any.
func (escalate) Spec() action.Spec {
	return action.Spec{
		Name:       "Escalate",
		Summary:    "Leaves it to a person, with all that is known.",
		Parameters: []action.Parameter{{Name: "reason", Type: action.TypeString, Description: "Why a person is needed."}},
		Risk:       v1alpha1.RiskNone,
		Level:      action.LevelNone,
	}
}

// Plan returns no operation: nothing in the cluster changes.
func (a escalate) Plan(_ context.Context, _ action.World, _ action.Target, params action.Params) (action.Plan, error) {
	return action.Plan{}, a.Spec().Validate(params)
}

// Settled is true at once.
func (escalate) Settled(context.Context, action.World, action.Target, action.Plan) (action.Progress, error) {
	return action.Progress{Done: true, Message: "left to a person"}, nil
}
