package actions

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func TestFollowsRelease(t *testing.T) {
	const day = 24 * time.Hour
	// revision of a number that was rolled out so long ago; its trouble began between two times ago.
	revision := func(number int64, rolledOut, after, before time.Duration) action.Revision {
		r := action.Revision{Number: number, RolledOutAfter: ago(rolledOut).Time, RolledOutBefore: ago(rolledOut).Time}
		if before > 0 {
			r.TroubledAfter, r.TroubledBefore = ago(after).Time, ago(before).Time
		}
		return r
	}
	current := func(r action.Revision) action.Revision { r.Current = true; return r }
	serving := func(r action.Revision) action.Revision { r.ReadyPods = 1; return r }
	ran := func(r action.Revision) action.Revision { r.RanBefore = true; return r }
	uncertain := func(r action.Revision, after time.Duration) action.Revision {
		r.RolledOutAfter = ago(after).Time
		return r
	}
	rolling := func(reason string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) {
			d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Reason: reason}}
		}
	}
	complete := rolling("NewReplicaSetAvailable")
	rows := map[string]struct {
		revisions []action.Revision // the current one first, the one to return to last
		edits     []func(*appsv1.Deployment)
		refused   bool
	}{
		"trouble that began with the release":     {revisions: []action.Revision{current(revision(2, 6*time.Minute, 6*time.Minute, time.Minute)), revision(1, 20*day, 0, 0)}},
		"trouble that began 40 days after it":     {revisions: []action.Revision{current(revision(2, 40*day, 17*time.Minute, time.Minute)), revision(1, 60*day, 0, 0)}, refused: true},
		"trouble that began before it":            {revisions: []action.Revision{current(revision(2, 6*time.Minute, 20*time.Minute, 10*time.Minute)), revision(1, 20*day, 0, 0)}, refused: true},
		"a late look at a loop since the release": {revisions: []action.Revision{current(revision(2, 3*time.Hour, 4*time.Hour, time.Minute)), revision(1, 20*day, 0, 0)}},
		"no trouble":                           {revisions: []action.Revision{current(revision(2, 40*day, 0, 0)), revision(1, 60*day, 0, 0)}},
		"a rollout that never came to its end": {revisions: []action.Revision{current(revision(2, 5*time.Hour, 10*time.Minute, time.Minute)), revision(1, 20*day, 0, 0)}, edits: []func(*appsv1.Deployment){rolling("ProgressDeadlineExceeded")}},
		"a rollout past its deadline, whose pods ran for long": {revisions: []action.Revision{current(ran(revision(2, 40*day, 17*time.Minute, time.Minute))), revision(1, 60*day, 0, 0)}, edits: []func(*appsv1.Deployment){rolling("ProgressDeadlineExceeded")}, refused: true},
		"a rollout that was paused half-way":                   {revisions: []action.Revision{current(revision(2, 5*day, 17*time.Minute, time.Minute)), serving(revision(1, 60*day, 0, 0))}, edits: []func(*appsv1.Deployment){rolling("DeploymentPaused"), func(d *appsv1.Deployment) { d.Spec.Paused = true }}, refused: true},
		"no deadline, and complete long ago":                   {revisions: []action.Revision{current(revision(2, 40*day, 17*time.Minute, time.Minute)), revision(1, 60*day, 0, 0)}, edits: []func(*appsv1.Deployment){func(d *appsv1.Deployment) { d.Status.Conditions = nil }}, refused: true},
		"an old pod that is left":                              {revisions: []action.Revision{current(revision(2, 5*time.Hour, 10*time.Minute, time.Minute)), serving(revision(1, 20*day, 0, 0))}},
		"rolled out again, at a time that is unsure":           {revisions: []action.Revision{current(uncertain(revision(4, 2*time.Minute, 5*time.Minute, time.Minute), 40*day)), revision(3, 20*time.Minute, 0, 0)}},
		"two releases, the first of which brought it":          {revisions: []action.Revision{current(revision(3, time.Minute, 8*time.Minute, 7*time.Minute)), revision(2, 8*time.Minute, 8*time.Minute, time.Minute), revision(1, 20*day, 0, 0)}},
	}
	target := action.Target{ObjectReference: v1alpha1.ObjectReference{Kind: "Deployment", Name: "web"}}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			d := deploymentOf(append([]func(*appsv1.Deployment){complete}, row.edits...)...)
			err := followsRelease(target, d, row.revisions, row.revisions[len(row.revisions)-1])
			switch {
			case !row.refused && err != nil:
				t.Error(err)
			case row.refused:
				wantRefusal(t, err)
				if !strings.Contains(err.Error(), "the release is not what broke it") {
					t.Errorf("it says %q", err)
				}
			}
		})
	}
}
