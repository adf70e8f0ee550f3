package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// entry is what the demo reads of a line of the audit log.
type entry struct {
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ImpersonatedUser *struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		APIGroup    string `json:"apiGroup"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestObject            json.RawMessage  `json:"requestObject"`
	RequestReceivedTimestamp metav1.MicroTime `json:"requestReceivedTimestamp"`
	StageTimestamp           metav1.MicroTime `json:"stageTimestamp"`
}

// audited fills in what only the audit log knows: what was changed, and how long
// the decision took to the microsecond.
func (t *tour) audited(i incident, ar *v1alpha1.AlertRemediation, r *result) error {
	if t.auditLog == "" {
		return nil
	}
	r.Changed = []string{}
	var created time.Time
	return eachEntry(t.auditLog, func(e entry) {
		if !e.wrote() || e.ObjectRef.Namespace != i.namespace {
			return
		}
		if e.changes() {
			r.Changed = append(r.Changed, e.Verb+" "+e.ObjectRef.Resource+"/"+e.ObjectRef.Name)
		}
		if !e.about(ar) {
			return
		}
		if e.Verb == "create" {
			created = e.RequestReceivedTimestamp.Time
		}
		if r.Seconds.Decision == nil && !created.IsZero() && e.decides() {
			r.Seconds.Decision = new(e.StageTimestamp.Sub(created).Seconds())
		}
	})
}

// eachEntry reads an audit log that is still being written: its last line may be half there.
func eachEntry(path string, visit func(entry)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e entry
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			visit(e)
		}
	}
	return lines.Err()
}

// about reports whether the request is about this remediation.
func (e entry) about(ar *v1alpha1.AlertRemediation) bool {
	return e.ObjectRef.Resource == "alertremediations" && (e.ObjectRef.Name == ar.Name || e.creates(ar))
}

// wrote reports whether the request changed something in the API server.
func (e entry) wrote() bool {
	return slices.Contains([]string{"create", "update", "patch", "delete"}, e.Verb) &&
		e.ResponseStatus.Code < 300 && !strings.Contains(e.RequestURI, "dryRun=All")
}

// changes reports whether the operator or a remediator changed an object that is
// neither its own kind nor book-keeping.
func (e entry) changes() bool {
	ours := e.User.Username == "system:serviceaccount:"+operatorNamespace+":kubernaut" ||
		e.ImpersonatedUser != nil && strings.HasSuffix(e.ImpersonatedUser.Username, ":"+v1alpha1.RemediatorAccount)
	return ours && e.ObjectRef.Resource != "events" && !slices.Contains([]string{
		v1alpha1.GroupVersion.Group, "coordination.k8s.io", "authorization.k8s.io", "authentication.k8s.io", "events.k8s.io",
	}, e.ObjectRef.APIGroup)
}

// creates reports whether the request made this remediation; a create names its object in the body only.
func (e entry) creates(ar *v1alpha1.AlertRemediation) bool {
	var body metav1.PartialObjectMetadata
	return e.Verb == "create" && e.ObjectRef.Name == "" && json.Unmarshal(e.RequestObject, &body) == nil && body.Name == ar.Name
}

// decides reports whether the request wrote that the plan is made, or that there
// is none to make.
func (e entry) decides() bool {
	var body v1alpha1.AlertRemediation
	if e.ObjectRef.Subresource != "status" || json.Unmarshal(e.RequestObject, &body) != nil {
		return false
	}
	return meta.IsStatusConditionTrue(body.Status.Conditions, v1alpha1.Planned) || body.Finished()
}
