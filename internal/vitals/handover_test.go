package vitals_test

import (
	"cmp"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubernaut/kubernaut/internal/vitals"
)

// came is when the current revision of every row was rolled out.
var came = now.Add(-10 * time.Minute)

func since(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, after time.Duration) appsv1.DeploymentCondition {
	return appsv1.DeploymentCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(came.Add(after))}
}

func TestWasHealthy(t *testing.T) {
	const available, progressing = appsv1.DeploymentAvailable, appsv1.DeploymentProgressing
	const yes, no = corev1.ConditionTrue, corev1.ConditionFalse
	const wasAvailable, ran, unproven = "was available until then", "without a crash", ""
	backOff := func(after time.Duration) corev1.Event {
		return corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web-old-x7k2p"}, Reason: "BackOff", LastTimestamp: metav1.NewTime(came.Add(after))}
	}
	failedProbe := func(times int32) corev1.Event {
		return corev1.Event{InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web-old-x7k2p"}, Reason: "Unhealthy",
			FirstTimestamp: metav1.NewTime(came.Add(-10 * time.Minute)), LastTimestamp: metav1.NewTime(came.Add(-5 * time.Minute)), Count: times}
	}
	rows := map[string]struct {
		conditions []appsv1.DeploymentCondition
		events     []corev1.Event
		strategy   appsv1.DeploymentStrategyType
		mayLoseAll bool
		unread     bool
		lived      time.Duration // by the revision before, until the new one came; none: an hour
		want       string
	}{
		"unavailable since a moment after the new one came": {
			conditions: []appsv1.DeploymentCondition{since(available, no, 5*time.Second), since(progressing, yes, -time.Hour)}, want: wasAvailable,
		},
		"unavailable since the very second the new one came": {conditions: []appsv1.DeploymentCondition{since(available, no, 0)}, want: wasAvailable},
		"available all along":                                {conditions: []appsv1.DeploymentCondition{since(available, yes, -time.Hour)}, want: wasAvailable},
		"unavailable since before the new one came":          {conditions: []appsv1.DeploymentCondition{since(available, no, -time.Minute)}},
		"the rollout before had run into its deadline": {
			conditions: []appsv1.DeploymentCondition{since(available, no, 5*time.Second), since(progressing, yes, time.Second)},
		},
		"this rollout ran into its deadline": {
			conditions: []appsv1.DeploymentCondition{since(available, no, 5*time.Second), since(progressing, no, 10*time.Minute)}, want: wasAvailable,
		},
		"availability that changed since, and no warning":  {conditions: []appsv1.DeploymentCondition{since(available, no, 5*time.Minute)}, want: ran},
		"availability that changed since, and a warning":   {conditions: []appsv1.DeploymentCondition{since(available, no, 5*time.Minute)}, events: []corev1.Event{backOff(-time.Minute)}},
		"a warning from long before the new one came":      {conditions: []appsv1.DeploymentCondition{since(available, yes, -time.Hour)}, events: []corev1.Event{backOff(-30 * time.Minute)}, want: wasAvailable},
		"a back-off that was told while it was available":  {conditions: []appsv1.DeploymentCondition{since(available, yes, -time.Hour)}, events: []corev1.Event{backOff(-time.Minute)}},
		"events that could not be read":                    {conditions: []appsv1.DeploymentCondition{since(available, no, 5*time.Minute)}, unread: true},
		"events that could not be read, but was available": {conditions: []appsv1.DeploymentCondition{since(available, yes, -time.Hour)}, unread: true, want: wasAvailable},
		"a Deployment that may lose all of its pods is always available": {
			conditions: []appsv1.DeploymentCondition{since(available, yes, -time.Hour)}, mayLoseAll: true, want: ran,
		},
		"one that may lose them all, and had hardly begun": {conditions: []appsv1.DeploymentCondition{since(available, yes, -time.Hour)}, mayLoseAll: true, lived: 5 * time.Second},
		"recreated: the old pods went before the new ReplicaSet came": {
			conditions: []appsv1.DeploymentCondition{since(available, no, -20*time.Second)}, strategy: appsv1.RecreateDeploymentStrategyType, want: wasAvailable,
		},
		"recreated soon after a revision that never served": {
			conditions: []appsv1.DeploymentCondition{since(available, no, -24*time.Second)}, strategy: appsv1.RecreateDeploymentStrategyType, lived: 25 * time.Second,
		},
		"recreated, but unavailable long before": {
			conditions: []appsv1.DeploymentCondition{since(available, no, -10*time.Minute)}, strategy: appsv1.RecreateDeploymentStrategyType,
		},
		"no condition, no warning":                            {want: ran},
		"a probe that timed out twice, on a busy node":        {events: []corev1.Event{failedProbe(2)}, want: ran},
		"a probe that failed often enough to make it unready": {events: []corev1.Event{failedProbe(3)}},
		"another warning, once":                               {events: []corev1.Event{{InvolvedObject: failedProbe(1).InvolvedObject, Reason: "FailedMount", LastTimestamp: failedProbe(1).LastTimestamp, Count: 1}}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.Deployment{Status: appsv1.DeploymentStatus{Conditions: row.conditions}}
			d.Spec.Strategy.Type = row.strategy
			if row.mayLoseAll {
				d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: new(intstr.FromString("100%"))}
			}
			proof := vitals.Handover{
				Deployment: d, Before: &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "web-old"}},
				Began: vitals.Moment(came.Add(-cmp.Or(row.lived, time.Hour))), Came: vitals.Moment(came), Events: row.events, Unread: row.unread, Now: now,
			}.WasHealthy()
			if got := proof.Says; row.want == unproven && got != "" || !strings.Contains(got, row.want) {
				t.Errorf("it %q, want %q", got, row.want)
			}
		})
	}
}

// set is a ReplicaSet that was created so long ago and has a number; before are the numbers it had.
func set(name, number, before string, ago time.Duration) appsv1.ReplicaSet {
	rs := appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: at(ago), Annotations: map[string]string{vitals.RevisionAnnotation: number}}}

	if before != "" {
		rs.Annotations[vitals.ReusedAnnotation] = before
	}
	return rs
}

func TestRolloutsWhen(t *testing.T) {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{vitals.RevisionAnnotation: "4"}}}
	// The rollout that went back was complete then; the one after it leaves the condition as it is.
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, LastUpdateTime: at(20 * time.Minute)}}
	// Rolled out an hour ago, gone back from, and rolled out again three minutes ago.
	again := []appsv1.ReplicaSet{set("bad", "4", "2", 40*time.Minute), set("good", "3", "1", time.Hour)}
	rows := map[string]struct {
		rollouts         vitals.Rollouts
		earliest, latest time.Duration // ago
	}{
		"a new ReplicaSet is as old as its release": {
			rollouts: vitals.Rollouts{Sets: []appsv1.ReplicaSet{set("bad", "4", "", 5*time.Minute), set("good", "3", "", time.Hour)}}, earliest: 5 * time.Minute, latest: 5 * time.Minute,
		},
		"one that is used again came when it was scaled up": {
			rollouts: vitals.Rollouts{Sets: again, ScaledUp: map[string]time.Time{"bad": now.Add(-3 * time.Minute)}}, earliest: 3 * time.Minute, latest: 3 * time.Minute,
		},
		"without that event, before the template was last written": {
			rollouts: vitals.Rollouts{Sets: again, Changed: now.Add(-3 * time.Minute)}, earliest: 40 * time.Minute, latest: 3 * time.Minute,
		},
		"without either, at any time since the rollout before": {rollouts: vitals.Rollouts{Sets: again}, earliest: 40 * time.Minute},
		"an event about its first rollout is no sign of this one": {
			rollouts: vitals.Rollouts{Sets: again, ScaledUp: map[string]time.Time{"bad": now.Add(-40 * time.Minute)}}, earliest: 40 * time.Minute,
		},
		"scaled up from 0 again long after the rollout": {
			rollouts: vitals.Rollouts{Sets: again, Changed: now.Add(-2 * time.Minute), ScaledUp: map[string]time.Time{"bad": now.Add(-30 * time.Second)}}, earliest: 40 * time.Minute, latest: 2 * time.Minute,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			row.rollouts.Deployment, row.rollouts.Now = d, now
			got := row.rollouts.When(&row.rollouts.Sets[0])
			if want := (vitals.Span{Earliest: now.Add(-row.earliest), Latest: now.Add(-row.latest)}); !got.Earliest.Equal(want.Earliest) || !got.Latest.Equal(want.Latest) {
				t.Errorf("between %s and %s ago, want %s and %s", now.Sub(got.Earliest), now.Sub(got.Latest), row.earliest, row.latest)
			}
		})
	}
}

func TestScaledUp(t *testing.T) {
	event := func(message string, ago time.Duration) corev1.Event {
		return corev1.Event{Reason: vitals.ScalingReason, Message: message, LastTimestamp: at(ago)}
	}
	got := vitals.ScaledUp([]corev1.Event{
		event("Scaled up replica set web-bad from 0 to 1", 3*time.Minute), event("Scaled up replica set web-bad from 1 to 2", time.Minute),
		event("Scaled up replica set web-bad from 0 to 2", time.Hour), event("Scaled down replica set web-good from 2 to 0", time.Minute),
		{Reason: "Other", Message: "Scaled up replica set web-other from 0 to 1", LastTimestamp: at(time.Minute)},
	})
	if len(got) != 1 || !got["web-bad"].Equal(now.Add(-3*time.Minute)) {
		t.Errorf("scaled up from nothing: %v, want web-bad three minutes ago", got)
	}
}
