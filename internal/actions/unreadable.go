package actions

import (
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// rightRetry is when a right that the operator lacks is asked for again.
const rightRetry = 30 * time.Second

// unreadable is what an action says of a precondition that it can't read. A right that
// is missing is named; an API server that has just started may know of no right yet, so
// that is no final answer either. Without an error it returns none.
func unreadable(err error, right, reading string) error {
	if apierrors.IsForbidden(err) {
		return action.NotYet(rightRetry, "the operator may not %s, so this can't be checked, and nothing is done; apply the ClusterRole kubernaut of this version", right)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", reading, err)
	}
	return nil
}
