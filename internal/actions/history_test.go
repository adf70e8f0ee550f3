package actions

import (
	"context"
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// came is when the current ReplicaSet of every row was created.
var came = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func since(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus, after time.Duration) appsv1.DeploymentCondition {
	return appsv1.DeploymentCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(came.Add(after))}
}

func image(name string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: name}}},
	}
}

func replicaSet(name, revision, keeps string, ready int32) appsv1.ReplicaSet {
	rs := appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(came)}}
	if revision != "" {
		rs.Annotations = map[string]string{vitals.RevisionAnnotation: revision}
	}
	rs.Spec.Template = image(keeps)
	rs.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = name
	rs.Status.ReadyReplicas = ready
	return rs
}

func TestDeploymentRevisions(t *testing.T) {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "uid-web"},
		Spec:       appsv1.DeploymentSpec{Template: image("web:3"), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{since(appsv1.DeploymentAvailable, corev1.ConditionFalse, time.Second)}
	sets := []appsv1.ReplicaSet{
		replicaSet("a", "1", "web:1", 0), replicaSet("b", "10", "web:3", 0), replicaSet("c", "9", "web:2", 0), replicaSet("d", "", "web:4", 0),
	}
	sets[0].CreationTimestamp, sets[2].CreationTimestamp = metav1.NewTime(came.Add(-2*time.Hour)), metav1.NewTime(came.Add(-time.Hour))
	for i := range sets {
		sets[i].OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
		sets[i].Labels = map[string]string{"app": "web"}
	}
	got, err := NewHistory(fake.NewClientBuilder().WithLists(&appsv1.ReplicaSetList{Items: sets}).
		WithIndex(&corev1.Event{}, "type", func(client.Object) []string { return nil }).Build()).Revisions(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]action.Revision{
		"a": {Number: 1}, "b": {Number: 10, Current: true}, "c": {Number: 9, WasAvailable: true},
	}
	if len(got) != len(want) {
		t.Fatalf("%d revisions, want %d: one without a number is not yet one", len(got), len(want))
	}
	for _, r := range got {
		w := want[r.Name]
		if r.Number != w.Number || r.Current != w.Current || r.WasAvailable != w.WasAvailable {
			t.Errorf("%s is %+v, want %+v", r.Name, r, w)
		}
		if r.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] != "" {
			t.Errorf("%s keeps the controller's label", r.Name)
		}
	}
}

// Evicted pods stay until they are deleted, and may fill a page: the trouble of the pods
// beyond it is known all the same.
func TestHistoryBesideManyEndedPods(t *testing.T) {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "uid-web"},
		Spec:       appsv1.DeploymentSpec{Template: image("web:1"), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	set := replicaSet("a", "1", "web:1", 0)
	set.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
	set.Labels = map[string]string{"app": "web"}
	living := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "a-1", CreationTimestamp: metav1.NewTime(came), OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}}}
	reader := fake.NewClientBuilder().WithLists(&appsv1.ReplicaSetList{Items: []appsv1.ReplicaSet{set}}).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			pods, ok := list.(*corev1.PodList)
			if !ok {
				return c.List(ctx, list, opts...)
			}
			asked := (&client.ListOptions{}).ApplyOptions(opts)
			if asked.FieldSelector == nil {
				pods.Continue = "more"
				return nil
			}
			pods.Items = []corev1.Pod{living}
			return nil
		},
	}).Build()
	revisions, err := NewHistory(reader).Revisions(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if len(revisions) != 1 || !revisions[0].TroubledBefore.Equal(came) {
		t.Errorf("revisions %+v, want one that has been in trouble since %s", revisions, came)
	}
}

// Two releases in a row, and a pod of the first revision still serves: the Deployment is
// available thanks to that one, which proves nothing of the release in between.
func TestAvailabilityThanksToAnOlderRevision(t *testing.T) {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", UID: "uid-web"},
		Spec:       appsv1.DeploymentSpec{Template: image("web:3"), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{since(appsv1.DeploymentAvailable, corev1.ConditionTrue, -2*time.Hour)}
	sets := []appsv1.ReplicaSet{replicaSet("a", "1", "web:1", 1), replicaSet("b", "2", "web:2", 0), replicaSet("c", "3", "web:3", 0)}
	sets[0].CreationTimestamp, sets[1].CreationTimestamp = metav1.NewTime(came.Add(-2*time.Hour)), metav1.NewTime(came.Add(-time.Minute))
	for i := range sets {
		sets[i].OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
		sets[i].Labels = map[string]string{"app": "web"}
	}
	revisions, err := NewHistory(fake.NewClientBuilder().WithLists(&appsv1.ReplicaSetList{Items: sets}).
		WithIndex(&corev1.Event{}, "type", func(client.Object) []string { return nil }).Build()).Revisions(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	to, err := chooseRevision(action.Target{}, revisions, "")
	if err != nil || to.Number != 1 {
		t.Errorf("returns to revision %d, %v; want 1", to.Number, err)
	}
}

func TestChooseRevision(t *testing.T) {
	bad := action.Revision{Number: 3, Current: true}
	rows := map[string]struct {
		revisions []action.Revision
		asked     string
		want      int64
	}{
		"the one before, if it served until then":                 {revisions: []action.Revision{bad, {Number: 2, WasAvailable: true}, {Number: 1}}, want: 2},
		"an older one with a ready pod":                           {revisions: []action.Revision{bad, {Number: 2}, {Number: 1, ReadyPods: 1}}, want: 1},
		"none that is known to have been healthy":                 {revisions: []action.Revision{bad, {Number: 2}, {Number: 1}}},
		"a first revision has none before it":                     {revisions: []action.Revision{{Number: 1, Current: true}}},
		"nothing keeps the template that is asked for":            {revisions: []action.Revision{{Number: 2, ReadyPods: 1}, {Number: 1, ReadyPods: 1}}},
		"the one that was asked for, with a ready pod":            {revisions: []action.Revision{bad, {Number: 2, WasAvailable: true}, {Number: 1, ReadyPods: 1}}, asked: "1", want: 1},
		"the one that was asked for, which was not healthy":       {revisions: []action.Revision{bad, {Number: 2, WasAvailable: true}, {Number: 1}}, asked: "1"},
		"the one that was asked for is where it is":               {revisions: []action.Revision{bad, {Number: 2, WasAvailable: true}}, asked: "3"},
		"the one that was asked for is not there":                 {revisions: []action.Revision{bad, {Number: 2, WasAvailable: true}}, asked: "7"},
		"a newer one is no way back unless it was asked for":      {revisions: []action.Revision{{Number: 4, ReadyPods: 1}, bad}},
		"a ready pod of the failing revision does not make it it": {revisions: []action.Revision{{Number: 3, Current: true, ReadyPods: 2}, {Number: 2, WasAvailable: true}}, want: 2},
	}
	target := action.Target{ObjectReference: v1alpha1.ObjectReference{Kind: "Deployment", Name: "web"}}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := chooseRevision(target, row.revisions, row.asked)
			if row.want == 0 {
				wantRefusal(t, err)
				return
			}
			if err != nil || got.Number != row.want {
				t.Errorf("revision %d, %v, want %d", got.Number, err, row.want)
			}
		})
	}
}

func wantRefusal(t *testing.T, err error) {
	t.Helper()
	var refusal *action.NotApplicableError
	if !errors.As(err, &refusal) {
		t.Errorf("error %v, want a NotApplicableError", err)
	}
}

func TestReturnedTo(t *testing.T) {
	const day = 24 * time.Hour
	made := func(number int64, created time.Duration) action.Revision {
		at := came.Add(-created)
		return action.Revision{Number: number, CreatedAt: at, RolledOutAfter: at, RolledOutBefore: at}
	}
	rows := map[string]struct {
		all           []action.Revision // the one that is asked for first
		oldest        time.Duration     // the age of its oldest pod
		after, before time.Duration     // ago
	}{
		"a new one":                               {all: []action.Revision{made(2, 40*day), made(1, 60*day)}, oldest: time.Minute, after: 40 * day, before: 40 * day},
		"returned to, with pods of that time":     {all: []action.Revision{made(3, 60*day), made(2, 50*day)}, oldest: 40 * day, after: 50 * day, before: 40 * day},
		"returned to, after two":                  {all: []action.Revision{made(4, 60*day), made(2, 50*day), made(3, 45*day)}, oldest: 40 * day, after: 45 * day, before: 40 * day},
		"returned to, with a pod that never left": {all: []action.Revision{made(3, 60*day), made(2, 50*day)}, oldest: 59 * day, after: 50 * day, before: 50 * day},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			returnedTo(row.all, &row.all[0], came.Add(-row.oldest))
			if r := row.all[0]; !r.RolledOutAfter.Equal(came.Add(-row.after)) || !r.RolledOutBefore.Equal(came.Add(-row.before)) {
				t.Errorf("between %s and %s ago, want %s and %s", came.Sub(r.RolledOutAfter), came.Sub(r.RolledOutBefore), row.after, row.before)
			}
		})
	}
}
