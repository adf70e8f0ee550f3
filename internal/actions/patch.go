package actions

import (
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/jsonpatch"
	"github.com/kubernaut/kubernaut/pkg/action"
)

const (
	// maxOperation is how much an operation and its undo may take in a run's status.
	maxOperation = 64 << 10
	// maxFields is how many fields a precondition can test.
	maxFields = 64
)

// patch returns the operation that makes a difference at the target, and takes
// it back if it can be undone. Each side tests what the other writes.
func patch(target action.Target, d jsonpatch.Difference, undoable bool) (action.Operation, error) {
	if len(d.Changes) == 0 {
		return action.Operation{}, action.NotApplicable("%s is already as it would be afterwards", target)
	}
	do, err := oneWay(target, d)
	if err != nil {
		return action.Operation{}, err
	}
	op := action.Operation{Operation: do}
	if undoable {
		undo, err := oneWay(target, d.Inverse())
		if err != nil {
			return action.Operation{}, err
		}
		op.Undo = &undo
	}
	return op, fits(target, op)
}

// fits refuses what a run could not record, and nobody could read.
func fits(target action.Target, op action.Operation) error {
	raw, err := json.Marshal(op)
	if err != nil {
		return fmt.Errorf("encoding the patch of %s: %w", target, err)
	}
	if len(raw) > maxOperation || len(op.Precondition.Fields) > maxFields {
		return action.NotApplicable("the change of %s and what takes it back have %d fields and %d bytes; at most %d and %d are done unseen",
			target, len(op.Precondition.Fields), len(raw), maxFields, maxOperation)
	}
	return nil
}

// oneWay returns the operation that makes a difference, and its tests.
func oneWay(target action.Target, d jsonpatch.Difference) (v1alpha1.Operation, error) {
	body, err := encode(d.Entries())
	if err != nil {
		return v1alpha1.Operation{}, err
	}
	op := v1alpha1.Operation{
		Verb: v1alpha1.VerbPatch, Object: target.ObjectReference, Body: body,
		Precondition: v1alpha1.Precondition{UID: target.UID},
	}
	for _, tested := range [][]jsonpatch.Change{d.Names, d.Changes} {
		for _, c := range tested {
			field := v1alpha1.FieldValue{Path: c.At.String()}
			if c.Before != nil {
				if field.Value, err = encode(c.Before); err != nil {
					return v1alpha1.Operation{}, err
				}
			}
			op.Precondition.Fields = append(op.Precondition.Fields, field)
		}
	}
	return op, nil
}

func encode(value any) (*apiextensionsv1.JSON, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding a patch: %w", err)
	}
	return &apiextensionsv1.JSON{Raw: raw}, nil
}
