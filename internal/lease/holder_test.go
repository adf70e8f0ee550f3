package lease

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func run(name string, edits ...func(*v1alpha1.WorkflowRun)) *v1alpha1.WorkflowRun {
	r := &v1alpha1.WorkflowRun{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name)}}
	for _, edit := range edits {
		edit(r)
	}
	return r
}

func ended(r *v1alpha1.WorkflowRun) {
	r.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionTrue}}
}

func of(remediation string) func(*v1alpha1.WorkflowRun) {
	return func(r *v1alpha1.WorkflowRun) {
		r.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "AlertRemediation",
			Name: remediation, UID: types.UID("uid-" + remediation), Controller: ptr.To(true),
		}}
	}
}

// recorded is the owner that the status holds; none: made by hand.
func recorded(remediation string) func(*v1alpha1.WorkflowRun) {
	return func(r *v1alpha1.WorkflowRun) {
		r.Status.Owner = &v1alpha1.RunOwner{Name: remediation}
		if remediation != "" {
			r.Status.Owner.UID = types.UID("uid-" + remediation)
		}
	}
}

func foreign(r *v1alpha1.WorkflowRun) { r.OwnerReferences[0].Kind = "Tenant" }

func undoing(name string) func(*v1alpha1.WorkflowRun) {
	return func(r *v1alpha1.WorkflowRun) { r.Spec.Undoes = name }
}

func remediation(done bool) *v1alpha1.AlertRemediation {
	r := &v1alpha1.AlertRemediation{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ar"}}
	if done {
		r.Status.Conditions = []metav1.Condition{{Type: v1alpha1.Succeeded, Status: metav1.ConditionFalse}}
	}
	return r
}

func TestDecide(t *testing.T) {
	held := func(r *v1alpha1.WorkflowRun, ar *v1alpha1.AlertRemediation) holder {
		return holder{identity: Identity(r), signed: true, run: r, remediation: ar}
	}
	rows := map[string]struct {
		holder  holder
		asking  *v1alpha1.WorkflowRun
		overdue bool
		want    standing
	}{
		"a lease that names nobody is free":         {holder: holder{}, asking: run("b"), want: stale},
		"a lease the run signed itself is ours":     {holder: held(run("b"), nil), asking: run("b"), want: ours},
		"a lease signed by no run is kept from us":  {holder: holder{identity: "somebody"}, asking: run("b"), want: theirs},
		"a run that is gone holds nothing":          {holder: holder{identity: "shop/a/old", signed: true}, asking: run("b"), want: stale},
		"our name with another uid is not us":       {holder: held(run("b", func(r *v1alpha1.WorkflowRun) { r.UID = "other" }), nil), asking: run("b"), want: theirs},
		"a run that goes on holds it":               {holder: held(run("a"), nil), asking: run("b"), want: theirs},
		"a finished run made by hand holds nothing": {holder: held(run("a", ended), nil), asking: run("b"), want: stale},
		"a finished run holds it until the verdict": {holder: held(run("a", ended, of("ar")), remediation(false)), asking: run("b"), want: theirs},
		"after the verdict nobody holds it":         {holder: held(run("a", ended, of("ar")), remediation(true)), asking: run("b"), want: stale},
		"a finished run of a remediation that is gone holds it not": {
			holder: held(run("a", ended, of("ar")), nil), asking: run("b"), want: stale,
		},
		"the undo of the same remediation inherits it": {
			holder: held(run("a", ended, of("ar")), remediation(false)), asking: run("b", of("ar"), undoing("a")), want: stale,
		},
		"an undo inherits nothing from a run that goes on": {
			holder: held(run("a", of("ar")), remediation(false)), asking: run("b", of("ar"), undoing("a")), want: theirs,
		},
		"the undo of another remediation inherits nothing": {
			holder: held(run("a", ended, of("ar")), remediation(false)), asking: run("b", of("other"), undoing("a")), want: theirs,
		},
		"an undo made by hand waits for the verdict": {
			holder: held(run("a", ended, of("ar")), remediation(false)), asking: run("b", undoing("a")), want: theirs,
		},
		"the next attempt of the same remediation inherits it": {
			holder: held(run("a", ended, of("ar")), remediation(false)), asking: run("b", of("ar")), want: stale,
		},
		"what another kind controls inherits nothing": {
			holder: held(run("a", ended, of("x"), foreign), remediation(false)), asking: run("b", of("x"), foreign), want: theirs,
		},
		"nor does what only says in another namespace that it is the same remediation's": {
			holder: held(run("a", ended, of("ar")), remediation(false)),
			asking: run("b", of("ar"), func(r *v1alpha1.WorkflowRun) { r.Namespace = "other" }), want: theirs,
		},
		"while planning, a live holder keeps it": {holder: held(run("a"), nil), want: theirs},
		"after its deadline a finished run holds it no longer, whatever its remediation waits for": {
			holder: held(run("a", ended, of("ar")), remediation(false)), asking: run("b"), overdue: true, want: stale,
		},
		"after its deadline a run that goes on holds it no longer": {holder: held(run("a"), nil), asking: run("b"), overdue: true, want: stale},
		"after its deadline a signature of no run counts no more":  {holder: holder{identity: "somebody"}, asking: run("b"), overdue: true, want: stale},
		"after its deadline it is still ours while no run took it": {holder: held(run("b"), nil), asking: run("b"), overdue: true, want: ours},
		"what the metadata says later makes no remediation's run":  {holder: held(run("a", ended, recorded(""), of("ar")), remediation(false)), asking: run("b", recorded(""), of("ar")), want: theirs},
		"what was recorded inherits, whatever the metadata says":   {holder: held(run("a", ended, recorded("ar")), remediation(false)), asking: run("b", recorded("ar"), of("x")), want: stale},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			self := ""
			if row.asking != nil {
				self = Identity(row.asking)
			}
			if got := decide(row.holder, self, row.asking, row.overdue); got != row.want {
				t.Errorf("standing is %d, want %d", got, row.want)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	rows := map[string]struct {
		identity string
		signed   bool
	}{
		"an identity has three parts":          {"shop/ar-run-1/0f5a", true},
		"a leader's identity is no run's":      {"kubernaut-6d5f_8a0c", false},
		"an empty part is nobody's":            {"shop//0f5a", false},
		"more parts than three are nobody's":   {"a/b/c/d", false},
		"nothing at all is nobody's signature": {"", false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if _, _, signed := split(row.identity); signed != row.signed {
				t.Errorf("signed is %t, want %t", signed, row.signed)
			}
		})
	}
}
