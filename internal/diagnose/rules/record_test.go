//go:build record

package rules_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// TestRecord makes every scene on a real cluster and writes what the gatherer
// saw of it into testdata/snapshots:
//
//	KUBECONFIG=… go test -tags record -run TestRecord -parallel 14 -timeout 30m ./internal/diagnose/rules
//
// RECORD=name,name records these scenes only. The cluster is one of localcluster's with
// five nodes, three of which get a label and a taint; namespaces are made and removed.
func TestRecord(t *testing.T) {
	config, err := ctrl.GetConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	ctrl.SetLogger(logr.Discard())
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	prepareNodes(&player{t: t, ctx: t.Context(), client: c})
	for name, sc := range everyScene() {
		if only := os.Getenv("RECORD"); only != "" && !slices.Contains(strings.Split(only, ","), name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record(t, config, name, sc)
		})
	}
}

// everyScene returns the scenes of all files.
func everyScene() map[string]scene {
	all := map[string]scene{}
	for _, some := range []map[string]scene{scenes, imageScenes, configScenes, probeScenes, scheduleScenes} {
		maps.Copy(all, some)
	}
	return all
}

// scene is something that happens on the cluster, and the moment to look.
type scene struct {
	kind, name string                        // of the target
	play       func(*player)                 // what happens
	moment     func(*analysis.Snapshot) bool // when it is to be recorded
	blind      []string                      // resources the gatherer may not read
}

// player plays one scene in a namespace of its own.
type player struct {
	t         *testing.T
	ctx       context.Context
	client    client.Client
	namespace string
}

func record(t *testing.T, config *rest.Config, name string, sc scene) {
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "scene-"}}
	p := &player{t: t, ctx: ctx, client: c}
	p.must(c.Create(ctx, ns))
	p.namespace = ns.Name
	t.Cleanup(func() { _ = c.Delete(context.Background(), ns) })
	p.await("the default account", func() bool {
		return c.Get(ctx, client.ObjectKey{Namespace: ns.Name, Name: "default"}, &corev1.ServiceAccount{}) == nil
	})
	sc.play(p)

	reader, logs := p.eyes(config, sc.blind)
	gatherer := evidence.NewGatherer(reader, logs, clock.RealClock{})
	target, err := evidence.NewResolver(c).Climb(ctx, reference(sc.kind, ns.Name, sc.name))
	p.must(err)
	var seen *analysis.Snapshot
	p.await("the moment", func() bool {
		seen = gatherer.Gather(ctx, target.ObjectReference, target)
		return sc.moment(seen) && !slices.ContainsFunc(seen.Missing, func(m analysis.Missing) bool { return m.Transient })
	})
	p.write(name, seen)
}

// eyes returns readers with the rights of an operator, less what is blinded.
func (p *player) eyes(config *rest.Config, blind []string) (client.Reader, evidence.Logs) {
	config = rest.CopyConfig(config)
	if len(blind) > 0 {
		config.Impersonate.UserName = p.nearSighted(blind)
	}
	reader, err := client.New(config, client.Options{})
	p.must(err)
	set, err := kubernetes.NewForConfig(config)
	p.must(err)
	return reader, evidence.NewLogs(set)
}

func (p *player) write(name string, seen *analysis.Snapshot) {
	raw, err := json.MarshalIndent(seen, "", " ")
	p.must(err)
	if len(raw) > 20<<10 {
		p.t.Logf("snapshot %s has %d bytes, more than 20 KiB", name, len(raw))
	}
	p.must(os.WriteFile(filepath.Join("testdata", "snapshots", name+".json"), append(raw, '\n'), 0o600))
}

func (p *player) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// await polls until something is so.
func (p *player) await(what string, so func() bool) {
	p.t.Helper()
	err := wait.PollUntilContextCancel(p.ctx, 500*time.Millisecond, true, func(context.Context) (bool, error) { return so(), nil })
	if err != nil {
		p.t.Fatalf("waiting for %s: %v", what, err)
	}
}

func reference(kind, namespace, name string) v1alpha1.ObjectReference {
	apiVersion := "apps/v1"
	if kind == "Service" || kind == "Pod" {
		apiVersion = "v1"
	}
	return v1alpha1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}
}
