package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
)

// Pause is a person's wish that nothing is done in a namespace for a while.
type Pause struct {
	// For how long; zero: until it is taken back.
	For time.Duration
	// Reason in the person's words.
	Reason string
}

// Ask adds the wish to every policy of the namespace, in the name of whoever types.
func (p Pause) Ask(ctx context.Context, c Cluster, w io.Writer) error {
	if p.Reason == "" {
		return errors.New("say why with --reason: whoever is paged next reads it")
	}
	if p.For < 0 {
		return fmt.Errorf("--for %s: a pause can't end before it begins; say 30m or 2h, or 0 for until it is taken back", p.For)
	}
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	request := v1alpha1.PauseRequest{By: me, Reason: p.Reason}
	until := ""
	if p.For > 0 {
		request.Until = metav1.NewTime(time.Now().Add(p.For).Truncate(time.Second))
		until = " until " + stamp(request.Until.Time) + ", or"
	}
	return c.eachPolicy(ctx, func(policy *v1alpha1.RemediationPolicy) error {
		now := time.Now()
		requests := slices.DeleteFunc(slices.Clone(policy.Spec.PauseRequests), func(old v1alpha1.PauseRequest) bool {
			return old.By == me || over(old, now)
		})
		if err := c.setPauses(ctx, policy, append(requests, request)); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "Policy %[1]s/%[2]s is paused%[3]s until `kubectl kubernaut resume -n %[1]s`.\n", policy.Namespace, policy.Name, until)
		return err
	})
}

// Resume takes back what whoever types asked for.
func Resume(ctx context.Context, c Cluster, w io.Writer) error {
	me, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	return c.eachPolicy(ctx, func(policy *v1alpha1.RemediationPolicy) error {
		others := slices.DeleteFunc(slices.Clone(policy.Spec.PauseRequests), func(old v1alpha1.PauseRequest) bool { return old.By == me })
		if len(others) < len(policy.Spec.PauseRequests) {
			if err := c.setPauses(ctx, policy, others); err != nil {
				return err
			}
		}
		p := printer{Screen: Screen{Writer: w}}
		for _, left := range others {
			if over(left, time.Now()) {
				continue
			}
			p.line("Policy %s/%s is still paused by %s%s: %s", policy.Namespace, policy.Name, redact.Line(left.By, widest), ends(left), redact.Line(left.Reason, widest))
		}
		if !slices.ContainsFunc(others, func(left v1alpha1.PauseRequest) bool { return !over(left, time.Now()) }) {
			p.line("Policy %s/%s is not paused.", policy.Namespace, policy.Name)
		}
		return p.err
	})
}

// over reports whether a pause has ended by itself.
func over(request v1alpha1.PauseRequest, now time.Time) bool {
	return !request.Until.IsZero() && !request.Until.After(now)
}

func ends(request v1alpha1.PauseRequest) string {
	if request.Until.IsZero() {
		return ""
	}
	return " until " + stamp(request.Until.Time)
}

// eachPolicy calls do with the policies of the namespace, of which there must be one.
func (c Cluster) eachPolicy(ctx context.Context, do func(*v1alpha1.RemediationPolicy) error) error {
	var list v1alpha1.RemediationPolicyList
	if err := c.List(ctx, &list, client.InNamespace(c.Namespace)); err != nil {
		return explained(err)
	}
	if len(list.Items) == 0 {
		if absent := c.absent(ctx); absent != "" {
			return fmt.Errorf("there is nothing to pause in namespace %s%s", c.Namespace, absent)
		}
		return fmt.Errorf("namespace %[1]s has no RemediationPolicy of its own to pause: "+
			"`kubectl annotate namespace %[1]s %[2]s='why'` holds everything in it, `kubectl annotate namespace %[1]s %[2]s-` takes that back", word(c.Namespace, "NAMESPACE"), v1alpha1.PauseAnnotation)
	}
	for i := range list.Items {
		if err := do(&list.Items[i]); err != nil {
			return err
		}
	}
	return nil
}

// setPauses writes the requests, unless somebody wrote the policy meanwhile.
func (c Cluster) setPauses(ctx context.Context, policy *v1alpha1.RemediationPolicy, requests []v1alpha1.PauseRequest) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": policy.ResourceVersion},
		"spec":     map[string]any{"pauseRequests": requests},
	})
	if err != nil {
		return err
	}
	err = c.Patch(ctx, policy, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner("kubectl-kubernaut"))
	switch {
	case apierrors.IsConflict(err):
		return fmt.Errorf("somebody changed policy %s in the same moment: say it again", policy.Name)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w, or hold one workload with `kubectl -n %s annotate deployment NAME %s='why'`", explained(err), policy.Namespace, v1alpha1.PauseAnnotation)
	}
	return explained(err)
}
