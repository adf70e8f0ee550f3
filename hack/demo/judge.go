package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// calm is how long nothing may restart before the demo believes in a cure.
const calm = 20 * time.Second

// judge follows an incident to its end, and compares what the operator says with
// what the demo sees for itself.
func (t *tour) judge(ctx context.Context, i incident, broken time.Time) (result, error) {
	r := result{Name: i.name, Namespace: i.namespace, Target: i.kind + "/" + i.workload, Expected: string(i.outcome)}
	health := t.probe(ctx, i)
	defer health.stop()
	ar, err := t.finished(ctx, i)
	if err != nil {
		return r, t.explain(ctx, i.namespace, fmt.Errorf("following %s: %w", i.name, err))
	}
	r.take(ar)
	if err := t.audited(i, ar, &r); err != nil {
		return r, err
	}
	served := health.ended()
	if !served.IsZero() && served.After(ar.CreationTimestamp.Time) {
		r.Seconds.Healed = served.Sub(ar.CreationTimestamp.Time).Seconds()
	}
	r.Seconds.SinceBroken = time.Since(broken).Seconds()
	for _, fault := range []error{t.expected(i, r), t.serves(ctx, i), t.restarted(ctx, i)} {
		if fault != nil {
			r.Faults = append(r.Faults, fault.Error())
		}
	}
	return r, nil
}

// expected compares the operator's word with what should have happened.
func (t *tour) expected(i incident, r result) error {
	switch {
	case r.Outcome != string(i.outcome):
		return fmt.Errorf("ended as %s, expected %s: %s", r.Outcome, i.outcome, r.why)
	case r.Cause != string(i.cause):
		return fmt.Errorf("cause %s, expected %s", r.Cause, i.cause)
	case i.untouched && len(r.Changed) > 0:
		return fmt.Errorf("should have been left alone, but was changed: %v", r.Changed)
	case !i.untouched && t.auditLog != "" && len(r.Changed) == 0:
		return errors.New("nothing was changed according to the audit log")
	}
	return nil
}

// finished waits for the remediation of the incident's own workload to end,
// approving it on the way where a person is asked.
func (t *tour) finished(ctx context.Context, i incident) (*v1alpha1.AlertRemediation, error) {
	var ended *v1alpha1.AlertRemediation
	approved := false
	err := t.eventually(ctx, 7*time.Minute, func() error {
		ar, err := t.remediation(ctx, i)
		if err != nil {
			return err
		}
		if !approved && waitsForAPerson(ar) {
			if err := t.approve(ctx, ar); err != nil {
				return err
			}
			approved = true
		}
		if !ar.Finished() {
			return fmt.Errorf("%s is still %s", ar.Name, ar.Status.Phase)
		}
		ended = ar
		return nil
	})
	return ended, err
}

// remediation returns the one that lives for the incident's target.
func (t *tour) remediation(ctx context.Context, i incident) (*v1alpha1.AlertRemediation, error) {
	var list v1alpha1.AlertRemediationList
	if err := t.List(ctx, &list, client.InNamespace(i.namespace)); err != nil {
		return nil, err
	}
	for n := range list.Items {
		ar := &list.Items[n]
		target := ar.Status.Target
		if target != nil && target.Kind == i.kind && target.Name == i.workload && ar.Status.Outcome != v1alpha1.OutcomeDuplicate {
			return ar, nil
		}
	}
	return nil, fmt.Errorf("no remediation of %s/%s yet", i.namespace, i.workload)
}

func waitsForAPerson(ar *v1alpha1.AlertRemediation) bool {
	c := meta.FindStatusCondition(ar.Status.Conditions, v1alpha1.Approved)
	return c != nil && c.Status == metav1.ConditionUnknown && c.Reason == v1alpha1.ReasonAwaitingApproval
}

// approve gives a person's word by kubectl, as somebody who is not the administrator.
func (t *tour) approve(ctx context.Context, ar *v1alpha1.AlertRemediation) error {
	word, err := json.Marshal(map[string]any{"spec": map[string]any{"approval": v1alpha1.Approval{
		Decision: v1alpha1.DecisionApproved, By: "approver", Reason: "the diff is right",
		At: metav1.Now().Rfc3339Copy(), PlanDigest: ar.Status.Plan.Digest,
	}}})
	if err != nil {
		return err
	}
	args := []string{"-n", ar.Namespace, "patch", "ar", ar.Name, "--type=merge", "-p", string(word)}
	say("    $ kubectl %s %s", quoted(t.approver), quoted(args))
	command := append(append([]string{}, t.approver...), args...)
	if t.existing {
		command = append([]string{"--kubeconfig", t.kubeconfig}, command...)
	}
	_, err = t.output(ctx, t.kubectl, command...)
	return err
}

// serves asks the Service itself.
func (t *tour) serves(ctx context.Context, i incident) error {
	if err := t.get(ctx, i.namespace, i.workload, "/"); err != nil {
		return fmt.Errorf("the Service does not answer: %w", err)
	}
	return nil
}

// restarted looks for restarts over a while.
func (t *tour) restarted(ctx context.Context, i incident) error {
	before, err := t.restarts(ctx, i.namespace, i.workload)
	if err != nil {
		return err
	}
	wait := time.NewTimer(calm)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
	}
	after, err := t.restarts(ctx, i.namespace, i.workload)
	if err == nil && after != before {
		err = fmt.Errorf("restarted %d times within %s after the end", after-before, calm)
	}
	return err
}
