package kubetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// auditPolicy records every write with both bodies, and nothing else.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  users: ["system:apiserver"]
- level: RequestResponse
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// statusPolicy records what was asked to be written to the statuses of our kinds.
const statusPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Request
  verbs: [update, patch]
  resources: [{group: kubernaut.io, resources: ["*/status"]}]
- level: None
`

// requestPolicy records that a request came, and nothing of what it carried; a watch
// is recorded twice, when it is answered and when it ends, with one audit ID.
const requestPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: Metadata
`

const auditPolicyFile, statusPolicyFile, requestPolicyFile = "audit-policy.yaml", "audit-statuses.yaml", "audit-requests.yaml"

// AuditStatuses keeps nothing in the audit log but requests to write statuses of
// our kinds: where it is measured what writes cost, the log of all would be measured too.
func AuditStatuses(plane *envtest.ControlPlane) { audit(plane, statusPolicyFile) }

// AuditRequests keeps in the audit log that each request came, reads and watches
// included: where requests are counted.
func AuditRequests(plane *envtest.ControlPlane) { audit(plane, requestPolicyFile) }

func audit(plane *envtest.ControlPlane, policy string) {
	flags := plane.GetAPIServer().Configure()
	dir := filepath.Dir(flags.Get("audit-policy-file").Get(nil)[0])
	flags.Set("audit-policy-file", filepath.Join(dir, policy))
}

// logWrites makes the API server keep an audit log. Mode blocking: a write is
// in the log before its answer has ended, so tests need not wait for it.
func (s *Server) logWrites(env *envtest.Environment, dir string) error {
	policy := filepath.Join(dir, auditPolicyFile)
	err := errors.Join(
		os.WriteFile(policy, []byte(auditPolicy), 0o600),
		os.WriteFile(filepath.Join(dir, statusPolicyFile), []byte(statusPolicy), 0o600),
		os.WriteFile(filepath.Join(dir, requestPolicyFile), []byte(requestPolicy), 0o600),
	)
	if err != nil {
		return fmt.Errorf("writing the audit policies: %w", err)
	}
	env.ControlPlane.GetAPIServer().Configure().
		Append("audit-policy-file", policy).
		Append("audit-log-path", s.audit).
		Append("audit-log-mode", "blocking")
	return nil
}

// Audit returns the writes the API server has answered so far, oldest first,
// refused ones and dry runs included, with times in microseconds.
func (s *Server) Audit() []auditv1.Event {
	s.tb.Helper()
	file, err := os.Open(s.audit)
	if err != nil {
		s.tb.Fatalf("opening the audit log: %v", err)
	}
	defer func() { _ = file.Close() }()
	var events []auditv1.Event
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var event auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			continue // the last line may be half written by a request of another test
		}
		events = append(events, event)
	}
	if err := lines.Err(); err != nil {
		s.tb.Fatalf("reading the audit log: %v", err)
	}
	return events
}

// AuditIn returns the writes to objects of one namespace: with a namespace per
// test, the writes of one test.
func (s *Server) AuditIn(namespace string) []auditv1.Event {
	s.tb.Helper()
	var events []auditv1.Event
	for _, event := range s.Audit() {
		if event.ObjectRef != nil && event.ObjectRef.Namespace == namespace {
			events = append(events, event)
		}
	}
	return events
}
