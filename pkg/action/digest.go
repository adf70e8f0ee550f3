package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// digested is what the digest of one operation covers: never a
// resourceVersion and never a clock.
type digested struct {
	Operation v1alpha1.Operation  `json:"operation"`
	Undo      *v1alpha1.Operation `json:"undo,omitempty"`
}

// Digest returns the fingerprint of the plans of a run's steps, in order:
// v1:sha256:… over verb, object, subresource, uid, tested fields, body and undo
// of every operation. It is what a person approves.
func Digest(plans ...Plan) (string, error) {
	steps := make([][]digested, 0, len(plans))
	for _, plan := range plans {
		step := make([]digested, 0, len(plan.Operations))
		for _, op := range plan.Operations {
			step = append(step, digested{Operation: op.Operation, Undo: op.Undo})
		}
		steps = append(steps, step)
	}
	raw, err := canonical(steps)
	if err != nil {
		return "", fmt.Errorf("computing the digest of a plan: %w", err)
	}
	sum := sha256.Sum256(raw)
	return "v1:sha256:" + hex.EncodeToString(sum[:]), nil
}

// canonical encodes a value with the keys of every object sorted, those inside
// raw bodies included, and with numbers as they were written.
func canonical(value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var tree any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	return json.Marshal(tree) // maps are encoded with sorted keys
}
