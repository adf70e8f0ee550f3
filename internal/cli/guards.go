package cli

import (
	"io"

	"github.com/kubernaut/kubernaut/internal/guard"
)

// Guards writes the admission policies that config/guards ships, for an
// operator that runs as this account.
func Guards(w io.Writer, operator Operator) error {
	if err := operator.validate(); err != nil {
		return err
	}
	manifests, err := guard.Manifests(operator.user())
	if err != nil {
		return err
	}
	_, err = w.Write(manifests)
	return err
}
