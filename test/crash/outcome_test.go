//go:build e2e

package crash

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// compared are the kinds whose final objects are compared: all that anybody
// writes in a round. Events tell of a state and are none.
var compared = []schema.GroupVersionKind{
	{Group: "kubernaut.io", Version: "v1alpha1", Kind: "AlertRemediation"},
	{Group: "kubernaut.io", Version: "v1alpha1", Kind: "WorkflowRun"},
	{Group: "kubernaut.io", Version: "v1alpha1", Kind: "RemediationPolicy"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"},
	{Version: "v1", Kind: "Pod"},
}

// objects returns the round's objects, by kind and name, but for what differs
// between any two rounds: times, uids, resourceVersions, and the names that
// follow from the namespace's.
func (r *round) objects(ctx context.Context) (map[string]string, error) {
	all := map[string]string{}
	for _, kind := range compared {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := r.server.Client.List(ctx, list, client.InNamespace(r.ns)); err != nil {
			return nil, err
		}
		for _, obj := range list.Items {
			text, err := r.normal(obj)
			if err != nil {
				return nil, err
			}
			all[kind.Kind+"/"+r.same(obj.GetName())] = text
		}
	}
	return all, nil
}

func (r *round) normal(obj unstructured.Unstructured) (string, error) {
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp"} {
		unstructured.RemoveNestedField(obj.Object, "metadata", field)
	}
	// How often a sender delivers is its own affair: what was not answered, it sends again.
	unstructured.RemoveNestedField(obj.Object, "status", "alert", "occurrences")
	text, err := yaml.Marshal(r.plain(obj.Object))
	return string(text), err
}

// plain replaces in every string of a value what differs between any two rounds.
func (r *round) plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = r.plain(inner)
		}
	case []any:
		for i := range v {
			v[i] = r.plain(v[i])
		}
	case string:
		return r.same(v)
	}
	return value
}

// differences are what no two rounds have in common; in this order, for a digest
// could hold a fingerprint, and a uid a time.
var differences = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`v1:sha256:[0-9a-f]{64}`), "DIGEST"}, // it covers uids
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "UID"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "GUARDS"}, // of the API server, of which each round may have another
	{regexp.MustCompile(`\b[0-9a-f]{16}\b`), "HASH"},   // of labels, with the namespace
	{regexp.MustCompile(`\b(\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\d(\.\d+)?Z?\b`), "TIME"},
	{regexp.MustCompile(`\bfor (\d+h)?(\d+m)?\d+s\b`), "for DURATION"},
}

func (r *round) same(text string) string {
	return anonymous(strings.ReplaceAll(text, r.ns, "NAMESPACE"))
}

func anonymous(text string) string {
	for _, d := range differences {
		text = d.pattern.ReplaceAllString(text, d.name)
	}
	return text
}

// effects returns who changed the Deployment's spec in a namespace, in order.
func effects(log []auditv1.Event, namespace string) []string {
	var by []string
	for _, event := range changed(log, namespace) {
		by = append(by, actor(event, namespace))
	}
	return by
}

// changed returns what changed the Deployment's spec in a namespace, in order, as
// the audit log has it: an answer with another spec is a change, whatever was asked for.
//
// A write whose sender left is answered 504, and may be stored all the same. That one
// was is seen by the next answer: its generation is further on than its own write can
// have brought it.
func changed(log []auditv1.Event, namespace string) []auditv1.Event {
	answers, unanswered := written(log, namespace)
	var all []auditv1.Event
	var last version
	for _, a := range answers {
		hidden := a.Generation - last.Generation - a.own()
		switch {
		case hidden > 0 && len(unanswered) > 0:
			for ; hidden > 0; hidden-- { // how many there are is seen, and not which
				all = append(all, unanswered[0])
			}
			if a.event.Verb == "patch" { // else it is the cluster's, which follows
				all = append(all, a.event)
			}
			unanswered = unanswered[1:]
		case !equality.Semantic.DeepEqual(last.Spec, a.Spec):
			all = append(all, a.event)
		}
		last = a
	}
	return all
}

// version is a Deployment as an answer shows it.
type version struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              any `json:"spec"`

	event auditv1.Event
}

// own is by how much the write itself brought the generation on, at most.
func (v version) own() int64 {
	if v.event.ObjectRef.Subresource == "status" {
		return 0
	}
	return 1
}

// written returns how the writes to the Deployment in a namespace were answered, in
// the order in which they were stored, and the ones of which nobody was told whether they were.
func written(log []auditv1.Event, namespace string) (answers []version, unanswered []auditv1.Event) {
	for _, event := range log {
		ref := event.ObjectRef
		if ref == nil || ref.Namespace != namespace || ref.Resource != "deployments" || strings.Contains(event.RequestURI, "dryRun") || event.ResponseStatus == nil {
			continue
		}
		answer := version{event: event}
		switch code := event.ResponseStatus.Code; {
		case code == http.StatusGatewayTimeout:
			unanswered = append(unanswered, event)
		case code < 300 && event.ResponseObject != nil && json.Unmarshal(event.ResponseObject.Raw, &answer) == nil:
			answers = append(answers, answer)
		}
	}
	slices.SortStableFunc(answers, func(a, b version) int { // resourceVersions are numbers, by KEP 5504
		return cmp.Or(cmp.Compare(len(a.ResourceVersion), len(b.ResourceVersion)), cmp.Compare(a.ResourceVersion, b.ResourceVersion))
	})
	return answers, unanswered
}

// actor is in whose name a request was made.
func actor(event auditv1.Event, namespace string) string {
	user := event.User.Username
	if event.ImpersonatedUser != nil {
		user = event.ImpersonatedUser.Username
	}
	if user == kubetest.RemediatorUser(namespace) {
		return kubetest.Remediator
	}
	return user
}

// made counts what the operator created in a namespace, by resource, as the audit log has it.
func made(log []auditv1.Event, namespace string) map[string]int {
	count := map[string]int{}
	for _, event := range log {
		ref := event.ObjectRef
		if ref == nil || ref.Namespace != namespace || event.Verb != "create" || event.User.Username != kubetest.OperatorUser ||
			ref.Resource == "events" || strings.HasSuffix(ref.Resource, "reviews") || event.ResponseStatus == nil || event.ResponseStatus.Code >= 300 {
			continue
		}
		count[ref.Resource]++
	}
	return count
}

// report shows what a failed round has come to.
func (r *round) report() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var text strings.Builder
	for i, w := range r.ledger.all() {
		fmt.Fprintf(&text, "write %d: %s\n", i+1, w)
	}
	text.WriteString(r.incident.report(ctx))
	said, err := os.ReadFile(r.log.Name())
	fmt.Fprintf(&text, "--- log of the operator (%v)\n%s", err, said)
	r.t.Log(text.String())
}

// shown is an object as people read it: an event is one line.
func shown(obj unstructured.Unstructured) string {
	if obj.GetKind() == "Event" {
		return fmt.Sprintf("%v %v %v\n", obj.Object["eventTime"], obj.Object["reason"], obj.Object["note"])
	}
	obj.SetManagedFields(nil)
	text, err := yaml.Marshal(obj.Object)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
