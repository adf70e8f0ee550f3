package cluster

import (
	"context"
	"fmt"
	"time"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/process"
)

// patience is how long to wait for what, while these children must not end.
type patience struct {
	limit    time.Duration
	what     string
	children []*process.Process
}

// await asks until there is no objection, a child ends, or patience does.
func (p patience) await(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	for {
		objection := ask(ctx)
		if objection == nil {
			return nil
		}
		for _, child := range p.children {
			select {
			case <-child.Exited:
				return child.Ended()
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", p.what, context.Cause(ctx), objection)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
