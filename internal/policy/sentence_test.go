package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

func TestUnreadable(t *testing.T) {
	widgets := schema.GroupResource{Group: "example.test", Resource: "widgets"}
	noMatch := &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "example.test", Kind: "Widget"}, SearchedVersions: []string{"v1"}}
	rows := map[string]struct {
		err    error
		reason string
		ends   string // what it says once it was waited for in vain; empty: it has no deadline of its own
	}{
		"a kind that no API serves": {noMatch, v1alpha1.ReasonUnknownKind,
			`Could not read w: reading it: no matches for kind "Widget" in version "example.test/v1" (tried for 10m0s); nothing was changed. The kinds that the cluster serves: kubectl api-resources`},
		"a right that is missing": {apierrors.NewForbidden(widgets, "w", errors.New("no role")), v1alpha1.ReasonReadForbidden,
			`Could not read w: reading it: widgets.example.test "w" is forbidden: no role (tried for 10m0s); nothing was changed. What the operator may read: kubectl describe clusterrole kubernaut`},
		"an API server that is busy":     {apierrors.NewTooManyRequests("later", 1), v1alpha1.ReasonUnreadable, ""},
		"an API server that is broken":   {apierrors.NewInternalError(errors.New("etcd")), v1alpha1.ReasonUnreadable, ""},
		"an aggregated API that is away": {apierrors.NewServiceUnavailable("no endpoints"), v1alpha1.ReasonUnreadable, ""},
		"a person's words that say so":   {errors.New("widgets is forbidden: no matches for kind"), v1alpha1.ReasonUnreadable, ""},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			no := Unreadable("w", fmt.Errorf("reading it: %w", row.err))
			if no.Kind != Waits || no.Reason != row.reason || !strings.Contains(no.Message, "nothing is done until it can be") {
				t.Errorf("got %s %s: %s", no.Kind, no.Reason, no.Message)
			}
			_, limited := Help(no.Reason)
			if limited != (row.ends != "") {
				t.Fatalf("whether it has a deadline: %t", limited)
			}
			if limited && GaveUp(no.Refusal) != row.ends {
				t.Errorf("in the end it says %q, want %q", GaveUp(no.Refusal), row.ends)
			}
		})
	}
}

// What a tenant names may be long: the command must not be cut off.
func TestGaveUpKeepsItsCommand(t *testing.T) {
	no := Unreadable(strings.Repeat("ä", 2000), &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: strings.Repeat("x", 2000)}})
	if said := GaveUp(no.Refusal); len(said) > maxMessage || !strings.HasSuffix(said, "kubectl api-resources") {
		t.Errorf("%d bytes: %s", len(said), said)
	}
}
