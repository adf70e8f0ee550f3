package lease

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// holder is what is known of whoever signed a lease.
type holder struct {
	identity string
	// signed is false when no run can have signed so.
	signed bool
	// run is nil when it is gone, or another of its name is there.
	run *v1alpha1.WorkflowRun
	// remediation is nil when the run has none, or it is gone.
	remediation *v1alpha1.AlertRemediation
}

// standing of a lease towards whoever asks.
type standing int

const (
	// theirs: a run that has not ended, or whose verdict has not fallen, holds it.
	theirs standing = iota
	// ours: whoever asks holds it already.
	ours
	// stale: nobody needs it any more, or whoever asks inherits it.
	stale
)

// decide says what a lease means to a run. Who can't be told apart from a live
// holder is one, until the deadline of the lease has passed.
func decide(h holder, self string, asking *v1alpha1.WorkflowRun, overdue bool) standing {
	switch {
	case h.identity == "":
		return stale
	case h.identity == self:
		return ours
	case overdue:
		return stale
	case !h.signed:
		return theirs
	case h.run == nil:
		return stale
	case !h.run.Finished():
		return theirs
	case h.remediation == nil || h.remediation.Finished():
		return stale
	case inherits(asking, h.run):
		return stale
	}
	return theirs
}

// inherits reports whether a run goes on, for the same remediation, where an
// ended one left off: it takes it back, or tries the next remedy. The lease goes
// from the one to the other without a gap.
func inherits(asking, held *v1alpha1.WorkflowRun) bool {
	if asking == nil || asking.Namespace != held.Namespace {
		return false
	}
	a, b := asking.Remediation(), held.Remediation()
	return a != nil && b != nil && a.UID == b.UID
}

// observe reads whoever signed a lease.
func observe(ctx context.Context, reader client.Reader, identity string) (holder, error) {
	run, signed, err := find(ctx, reader, identity)
	if err != nil || run == nil {
		return holder{identity: identity, signed: signed}, err
	}
	remediation, err := Owner(ctx, reader, run)
	return holder{identity: identity, signed: signed, run: run, remediation: remediation}, err
}

// find reads the run that signs so; nil when it is gone or of another uid.
func find(ctx context.Context, reader client.Reader, identity string) (*v1alpha1.WorkflowRun, bool, error) {
	key, uid, signed := split(identity)
	if !signed {
		return nil, false, nil
	}
	run := &v1alpha1.WorkflowRun{}
	found, err := read(ctx, reader, key, uid, run)
	if err != nil {
		return nil, true, fmt.Errorf("reading run %s that signs a lease: %w", key, err)
	}
	if !found {
		return nil, true, nil
	}
	return run, true, nil
}

// Owner reads the AlertRemediation that made a run; nil when none did, or that one
// is gone.
func Owner(ctx context.Context, reader client.Reader, run *v1alpha1.WorkflowRun) (*v1alpha1.AlertRemediation, error) {
	owner := run.Remediation()
	if owner == nil {
		return nil, nil
	}
	remediation := &v1alpha1.AlertRemediation{}
	key := client.ObjectKey{Namespace: run.Namespace, Name: owner.Name}
	found, err := read(ctx, reader, key, owner.UID, remediation)
	if err != nil {
		return nil, fmt.Errorf("reading the remediation of run %s: %w", client.ObjectKeyFromObject(run), err)
	}
	if !found {
		return nil, nil
	}
	return remediation, nil
}

// read reports whether exactly this incarnation exists.
func read(ctx context.Context, reader client.Reader, key client.ObjectKey, uid types.UID, obj client.Object) (bool, error) {
	err := reader.Get(ctx, key, obj)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && obj.GetUID() == uid, err
}
