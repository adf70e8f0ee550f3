package kubetest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

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
		Append("audit-log-path", s.audit.path).
		Append("audit-log-mode", "blocking")
	return nil
}

// auditLog is what was read of the API server's audit log so far.
type auditLog struct {
	path string

	mu     sync.Mutex
	read   int64 // bytes, whole lines only
	events []auditv1.Event
}

// Audit returns the writes the API server has answered so far, oldest first,
// refused ones and dry runs included, with times in microseconds. Callers must
// not change what the events point to.
func (s *Server) Audit() []auditv1.Event {
	s.tb.Helper()
	events, err := s.audit.all()
	if err != nil {
		s.tb.Fatalf("reading the audit log: %v", err)
	}
	return events
}

// all reads what was added to the log. Tests ask again and again, and the log is long.
func (l *auditLog) all() ([]auditv1.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	file, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < l.read {
		return nil, errors.New("the API server has begun another one, since it was too long")
	}
	if _, err := file.Seek(l.read, io.SeekStart); err != nil {
		return nil, err
	}
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return slices.Clone(l.events), nil // the last line may be half written by a request of another test
		}
		if err != nil {
			return nil, err
		}
		var event auditv1.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("line after byte %d: %w", l.read, err)
		}
		l.read += int64(len(line))
		l.events = append(l.events, event)
	}
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
