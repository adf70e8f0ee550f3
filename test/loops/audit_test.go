package loops

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// records are the groups of what the operator writes beside the workloads: its own
// kinds, events, leases, and the questions that change nothing.
var records = []string{
	v1alpha1.GroupVersion.Group, "events.k8s.io", "coordination.k8s.io", "authorization.k8s.io", "authentication.k8s.io",
}

// writes returns what the operator asked the API server to change in a namespace,
// in its own name or as the remediator: refused requests too, dry runs not.
func (s *site) writes(ns string) []string {
	var found []string
	for _, event := range s.AuditIn(ns) {
		if !ours(event, ns) || slices.Contains(records, event.ObjectRef.APIGroup) || event.ObjectRef.Resource == "events" || strings.Contains(event.RequestURI, "dryRun=All") {
			continue
		}
		found = append(found, about(event))
	}
	return found
}

// unchanged returns an error as soon as the operator wrote to a workload of a namespace.
func (s *site) unchanged(ns string) error {
	if found := s.writes(ns); len(found) > 0 {
		return fmt.Errorf("the operator changed what it must leave alone: %s", strings.Join(found, ", "))
	}
	return nil
}

// statusWrites counts what the operator wrote to the statuses of the remediations of a namespace.
func (s *site) statusWrites(ns string) int {
	count := 0
	for _, event := range s.AuditIn(ns) {
		if ours(event, ns) && event.ObjectRef.Resource == "alertremediations" && event.ObjectRef.Subresource == "status" {
			count++
		}
	}
	return count
}

// ours reports whether a request is the operator's or the remediator's of a namespace.
func ours(event auditv1.Event, ns string) bool {
	user := event.User.Username
	return user == kubetest.OperatorUser || user == kubetest.RemediatorUser(ns)
}

func about(event auditv1.Event) string {
	ref := event.ObjectRef
	name := event.Verb + " " + ref.Resource + "/" + ref.Name
	if ref.Subresource != "" {
		name += "/" + ref.Subresource
	}
	return name
}

// report is what happened in a namespace: events, remediations, images, the audit log, and the end of the operator's log.
func (s *site) report(ns string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var text strings.Builder
	var events corev1.EventList
	var remediations v1alpha1.AlertRemediationList
	var deployments appsv1.DeploymentList
	for _, list := range []client.ObjectList{&events, &remediations, &deployments} {
		if err := s.Client.List(ctx, list, client.InNamespace(ns)); err != nil {
			fmt.Fprintf(&text, "listing %T: %v\n", list, err)
		}
	}
	text.WriteString("--- events\n")
	for _, event := range events.Items {
		fmt.Fprintf(&text, "%s/%s %s: %s\n", event.InvolvedObject.Kind, event.InvolvedObject.Name, event.Reason, event.Message)
	}
	for i := range remediations.Items {
		text.WriteString(described(&remediations.Items[i]))
	}
	text.WriteString("--- images\n")
	for _, dep := range deployments.Items {
		fmt.Fprintf(&text, "%s: %s\n", dep.Name, dep.Spec.Template.Spec.Containers[0].Image)
	}
	text.WriteString("--- audit log\n")
	for _, event := range s.AuditIn(ns) {
		if ours(event, ns) && event.ObjectRef.Resource != "events" {
			text.WriteString(line(event))
		}
	}
	fmt.Fprintf(&text, "--- log of the operator\n%s", s.said())
	return text.String()
}

// described is the status of a remediation, its diagnosis in short.
func described(ar *v1alpha1.AlertRemediation) string {
	var text strings.Builder
	fmt.Fprintf(&text, "--- %s about %s: phase %s, outcome %s\n", ar.Name, ar.Status.Target, ar.Status.Phase, ar.Status.Outcome)
	if d := ar.Status.Diagnosis; d != nil {
		fmt.Fprintf(&text, "cause %s, %d %%: %s\n", d.Cause, d.Confidence, d.Summary)
		for _, e := range d.Evidence {
			fmt.Fprintf(&text, "  %s: %s\n", e.Kind, e.Says)
		}
	}
	for _, c := range ar.Status.Conditions {
		fmt.Fprintf(&text, "%s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	return text.String()
}

// line is a request as the audit log has it.
func line(event auditv1.Event) string {
	text := event.RequestReceivedTimestamp.Format("15:04:05.000 ") + about(event)
	if event.ImpersonatedUser != nil {
		text += " as " + event.ImpersonatedUser.Username
	}
	if _, options, given := strings.Cut(event.RequestURI, "?"); given {
		text += " (" + options + ")"
	}
	if event.ResponseStatus != nil {
		text += fmt.Sprintf(" -> %d", event.ResponseStatus.Code)
	}
	return text + "\n"
}

// said is the end of the operator's log.
func (s *site) said() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8<<10):])
}
