package rules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// row is a scene that was recorded on a real cluster, and what it means.
type row struct {
	file     string
	cause    v1alpha1.Cause
	remedies string // actions in order
	target   string // kind/name of what is to be changed
	symptoms string // causes that are listed as its alternatives
	early    bool   // it is worth looking again
}

const (
	badRelease = v1alpha1.CauseCrashBadRelease
	oomKilled  = v1alpha1.CauseOOMKilled
	mismatch   = v1alpha1.CauseServiceSelectorMismatch
	stuck      = v1alpha1.CauseRolloutStuck
	healthy    = v1alpha1.CauseHealthy
	unknown    = v1alpha1.CauseNotEnoughEvidence
)

var recorded = map[string]row{
	"a release that crashes while the old one serves is gone back from":          {file: "release-beside-serving", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/checkout"},
	"so is one that replaced every pod at once":                                  {file: "release-all-at-once", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/billing"},
	"so is one whose pods were recreated":                                        {file: "release-recreate", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/ledger"},
	"so is one whose container happens to run between two crashes":               {file: "release-between-crashes", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/mail"},
	"so is one whose command does not exist":                                     {file: "release-bad-command", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/search"},
	"a Service without endpoints leads to the bad release behind it":             {file: "release-behind-service", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/front"},
	"logs and events that can't be read cost confidence and no more":             {file: "release-logs-forbidden", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/checkout"},
	"a bad release over a bad release goes back to the one that serves":          {file: "release-after-bad-release", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/quotes"},
	"a first revision that crashes has nothing to go back to":                    {file: "first-revision-crashes", cause: unknown, remedies: "Escalate"},
	"a first revision that crashed twice may still recover":                      {file: "first-revision-crashes-yet", cause: unknown, remedies: "Escalate", early: true},
	"crashes that began before the release are not the release's":                {file: "crashed-before-release", cause: unknown, remedies: "Escalate"},
	"nor are they if the old pods are gone and only their events tell":           {file: "crashed-before-recreate", cause: unknown, remedies: "Escalate"},
	"a restart of the same template is no release to go back from":               {file: "restarted-into-crash", cause: unknown, remedies: "Escalate"},
	"a release that crashed twice and runs is left alone":                        {file: "recovered-release", cause: healthy},
	"a limit too low from the first revision is raised":                          {file: "memory-first-revision", cause: oomKilled, remedies: "AdjustResources", target: "Deployment/render"},
	"a limit that a release lowered is put back, or else raised":                 {file: "memory-lowered", cause: oomKilled, remedies: "RolloutUndo AdjustResources", target: "Deployment/images", symptoms: "CrashBadRelease"},
	"so is one whose pods were recreated with the limit":                         {file: "memory-lowered-recreate", cause: oomKilled, remedies: "RolloutUndo AdjustResources", target: "Deployment/thumbs", symptoms: "CrashBadRelease"},
	"a release that needs more memory under the same limit is a bad release":     {file: "memory-hungrier-release", cause: badRelease, remedies: "RolloutUndo AdjustResources", target: "Deployment/video", symptoms: "OOMKilled"},
	"a StatefulSet's limit is raised":                                            {file: "memory-statefulset", cause: oomKilled, remedies: "AdjustResources", target: "StatefulSet/shards"},
	"a container that was killed for its memory once and runs is left alone":     {file: "memory-recovered", cause: healthy},
	"exit code 137 alone is no lack of memory":                                   {file: "exit-137", cause: unknown, remedies: "Escalate"},
	"a container that its liveness probe kills has no lack of memory":            {file: "killed-by-liveness", cause: unknown, remedies: "Escalate"},
	"a pod that the node evicted did not reach its own memory limit":             {file: "evicted", cause: unknown, remedies: "Escalate", early: true},
	"an image that is not in its registry is gone back from":                     {file: "stuck-image", cause: v1alpha1.CauseImageNotFound, remedies: "RolloutUndo SetImage", target: "Deployment/web", symptoms: "RolloutStuck"},
	"a rollout is gone back from that is stuck at pods that do not become ready": {file: "stuck-unready", cause: stuck, remedies: "RolloutUndo", target: "Deployment/api"},
	"a stuck rollout is a symptom of the bad release underneath":                 {file: "stuck-bad-release", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/tax", symptoms: "RolloutStuck"},
	"a stuck rollout is a symptom of the limit underneath":                       {file: "stuck-memory", cause: oomKilled, remedies: "RolloutUndo AdjustResources", target: "Deployment/pdf", symptoms: "CrashBadRelease RolloutStuck"},
	"a first rollout that is stuck is a person's":                                {file: "stuck-first", cause: stuck, remedies: "Escalate", target: "Deployment/fresh"},
	"a rollout that a quota holds up would not be helped by going back":          {file: "stuck-quota", cause: stuck, remedies: "Escalate", target: "Deployment/crowd"},
	"a rollout within its deadline is given its time":                            {file: "rollout-under-way", cause: unknown, remedies: "Escalate", early: true},
	"a rollout that somebody paused is theirs":                                   {file: "rollout-paused", cause: unknown, remedies: "Escalate"},
	"a rollout that ended after its deadline has ended":                          {file: "rollout-late", cause: healthy},
	"a slip in a selector is mended":                                             {file: "selector-slip", cause: mismatch, remedies: "FixServiceSelector", target: "Service/cart"},
	"a selector that was led elsewhere is led back to the only workload":         {file: "selector-elsewhere", cause: mismatch, remedies: "FixServiceSelector", target: "Service/entrance"},
	"a selector under a key that nothing has is mended":                          {file: "selector-other-key", cause: mismatch, remedies: "FixServiceSelector", target: "Service/door"},
	"a selector of which one half is right is mended":                            {file: "selector-half-wrong", cause: mismatch, remedies: "FixServiceSelector", target: "Service/desk"},
	"a selector is right that selects pods which are not ready":                  {file: "selector-right-unready", cause: unknown, remedies: "Escalate", early: true},
	"a selector is right that fits a workload scaled to zero":                    {file: "selector-right-scaled-to-zero", cause: unknown, remedies: "Escalate"},
	"a selector that two workloads could be meant by is a person's":              {file: "selector-two-candidates", cause: unknown, remedies: "Escalate"},
	"a Service without a selector has none that could be wrong":                  {file: "selector-none", cause: unknown, remedies: "Escalate"},
	"a workload that does not listen where the Service sends is not meant":       {file: "selector-other-port", cause: unknown, remedies: "Escalate"},
	"a Service whose workload was deleted is not led to its neighbour":           {file: "selector-workload-deleted", cause: unknown, remedies: "Escalate"},
	"a Service whose workload is not ready is not led to another":                {file: "selector-target-unready", cause: unknown, remedies: "Escalate"},
	"a workload with nothing wrong is healthy":                                   {file: "quiet", cause: healthy},
	"a Service with nothing wrong is healthy":                                    {file: "quiet-service", cause: healthy},
	"a pod that crashed twice and recovered is healthy beside a crashing one":    {file: "recovered", cause: healthy},
	"a pod that has run for seconds since its last crash has not recovered":      {file: "recovering", cause: unknown, remedies: "Escalate", early: true},
	"a container that always dies in its first minute has not recovered in it":   {file: "slow-loop", cause: unknown, remedies: "Escalate", early: true},
	"a first rollout that is not ready yet is given its time":                    {file: "never-ready", cause: unknown, remedies: "Escalate", early: true},
	"a pod that lost its readiness without a crash is not explained":             {file: "lost-readiness", cause: unknown, remedies: "Escalate"},
	"a workload scaled to zero shows neither health nor a cause":                 {file: "scaled-to-zero", cause: unknown, remedies: "Escalate"},
	"pods that may not be read are not healthy":                                  {file: "pods-forbidden", cause: unknown, remedies: "Escalate"},
	"a target that may not be read is not broken":                                {file: "target-forbidden", cause: unknown, remedies: "Escalate"},
	"a stuck rollout is not acted on while its pods may not be read":             {file: "stuck-pods-forbidden", cause: unknown, remedies: "Escalate", symptoms: "RolloutStuck"},
	"a selector is not mended while some workloads may not be read":              {file: "workloads-forbidden", cause: unknown, remedies: "Escalate", symptoms: "ServiceSelectorMismatch"},
}

// everyRow returns what every scene means.
func everyRow() map[string]row {
	all := maps.Clone(recorded)
	maps.Copy(all, recordedCauses)
	return all
}

func TestDiagnoseRecordedScenes(t *testing.T) {
	for sentence, want := range everyRow() {
		t.Run(sentence, func(t *testing.T) {
			want.check(t, load(t, want.file))
		})
	}
}

// TestDiagnoseDoesNotGoByNames renames everything that has a name.
func TestDiagnoseDoesNotGoByNames(t *testing.T) {
	for sentence, want := range everyRow() {
		t.Run(sentence, func(t *testing.T) {
			raw, name := renamed(t, want.file)
			if kind, old, found := strings.Cut(want.target, "/"); found {
				want.target = kind + "/" + name(old)
			}
			want.check(t, decode(t, raw))
		})
	}
}

func TestEverySceneIsExpected(t *testing.T) {
	files, err := filepath.Glob("testdata/snapshots/*.json")
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string]bool{}
	for _, want := range everyRow() {
		expected[want.file] = true
	}
	for _, file := range files {
		if name := strings.TrimSuffix(filepath.Base(file), ".json"); !expected[name] {
			t.Errorf("%s is recorded and no row says what it means", name)
		}
	}
}

// check compares the answer, in the words of the API, with what is expected.
func (want row) check(t *testing.T, s *analysis.Snapshot) {
	t.Helper()
	got, err := rules.New().Analyze(t.Context(), analysis.Request{Alert: v1alpha1.Alert{Name: "Alert"}, Snapshot: s})
	early := new(analysis.UnsettledError)
	if errors.As(err, &early) {
		got = early.Now
	} else if err != nil {
		t.Fatal(err)
	}
	if got.Cause != want.cause {
		t.Fatalf("cause is %s, want %s: %s", got.Cause, want.cause, got.Summary)
	}
	if isEarly := early.After > 0; isEarly != want.early {
		t.Errorf("early is %t, want %t: %s", isEarly, want.early, got.Summary)
	}
	var remedies, symptoms []string
	for _, r := range got.Remedies {
		remedies = append(remedies, r.Action)
	}
	for _, a := range got.Alternatives {
		symptoms = append(symptoms, string(a.Cause))
	}
	if words := strings.Join(remedies, " "); words != want.remedies {
		t.Errorf("remedies are %q, want %q: %s", words, want.remedies, got.Summary)
	}
	if words := strings.Join(symptoms, " "); words != want.symptoms {
		t.Errorf("alternatives are %q, want %q", words, want.symptoms)
	}
	target := ""
	if got.Target != nil {
		target = got.Target.String()
		if got.Target.UID == "" {
			t.Error("the target has no uid")
		}
	}
	if target != want.target {
		t.Errorf("target is %q, want %q", target, want.target)
	}
	if got.Summary == "" || len(got.Summary) > 1024 || len(got.Evidence) > 12 {
		t.Errorf("summary %q, %d pieces of evidence", got.Summary, len(got.Evidence))
	}
	if got.Cause != unknown && (got.Confidence < 50 || len(got.Evidence) == 0) {
		t.Errorf("confidence %d with %d pieces of evidence", got.Confidence, len(got.Evidence))
	}
}

func load(t testing.TB, file string) *analysis.Snapshot {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "snapshots", file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, raw)
}

func decode(t testing.TB, raw []byte) *analysis.Snapshot {
	t.Helper()
	s := &analysis.Snapshot{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// The scenes are played with secrets in environment variables and on a command
// line: the gatherer must have kept them out.
func TestRecordedScenesHoldNoSecret(t *testing.T) {
	for _, want := range everyRow() {
		raw, err := os.ReadFile(filepath.Join("testdata", "snapshots", want.file+".json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"hunter2", "s3cr3t-key", "managedFields", "last-applied"} {
			if bytes.Contains(raw, []byte(secret)) {
				t.Errorf("%s holds %s", want.file, secret)
			}
		}
		if len(raw) > 20<<10 {
			t.Errorf("%s has %d bytes", want.file, len(raw))
		}
	}
}

func TestRankPutsCausesBeforeSymptoms(t *testing.T) {
	found := rules.Diagnose(v1alpha1.Alert{}, load(t, "stuck-memory"))
	var order []string
	for _, f := range found {
		order = append(order, string(f.Code))
	}
	if got, want := strings.Join(order, " "), "OOMKilled CrashBadRelease RolloutStuck"; got != want {
		t.Errorf("order is %s, want %s", got, want)
	}
}
