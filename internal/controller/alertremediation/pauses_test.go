package alertremediation_test

import (
	"context"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// pauses is the smallest action that really changes something: it pauses a Deployment.
type pauses struct{}

func (pauses) Spec() action.Spec { return action.Spec{Name: "Pause", Risk: v1alpha1.RiskLow} }

// holds does the same to keep a fault from spreading.
type holds struct{ pauses }

func (holds) Spec() action.Spec {
	return action.Spec{Name: "Hold", Risk: v1alpha1.RiskLow, Contains: true}
}

func (pauses) Plan(_ context.Context, _ action.World, target action.Target, _ action.Params) (action.Plan, error) {
	patch := func(body string) v1alpha1.Operation {
		return v1alpha1.Operation{
			Verb: v1alpha1.VerbPatch, Object: target.ObjectReference,
			Precondition: v1alpha1.Precondition{UID: target.UID},
			Body:         &apiextensionsv1.JSON{Raw: []byte(body)},
		}
	}
	undo := patch(`[{"op":"remove","path":"/spec/paused"}]`)
	return action.Plan{Operations: []action.Operation{{Operation: patch(`[{"op":"add","path":"/spec/paused","value":true}]`), Undo: &undo}}}, nil
}

func (pauses) Settled(context.Context, action.World, action.Target, action.Plan) (action.Progress, error) {
	return action.Progress{Done: true}, nil
}
