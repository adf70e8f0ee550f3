//go:build e2e

package crash

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// TestChanged shows who is said to have changed a Deployment, also where the audit
// log does not say so of the write itself.
func TestChanged(t *testing.T) {
	t.Parallel()
	answered := func(by, verb, subresource string, resourceVersion, generation int, image string) auditv1.Event {
		object := fmt.Appendf(nil, `{"metadata":{"resourceVersion":"%d","generation":%d},"spec":{"image":%q}}`, resourceVersion, generation, image)
		return auditv1.Event{
			Verb: verb, User: authenticationv1.UserInfo{Username: by}, ResponseStatus: &metav1.Status{Code: 200}, ResponseObject: &runtime.Unknown{Raw: object},
			ObjectRef: &auditv1.ObjectReference{Namespace: "shop", Resource: "deployments", Subresource: subresource},
		}
	}
	cutOff := func(by string) auditv1.Event {
		return auditv1.Event{
			Verb: "patch", User: authenticationv1.UserInfo{Username: by}, ResponseStatus: &metav1.Status{Code: 504},
			ObjectRef: &auditv1.ObjectReference{Namespace: "shop", Resource: "deployments"},
		}
	}
	for name, row := range map[string]struct {
		log  []auditv1.Event
		want []string
	}{
		"two releases, a status and an undo": {
			[]auditv1.Event{
				answered("admin", "create", "", 1, 1, "good"), answered("admin", "update", "", 2, 2, "bad"),
				answered("admin", "update", "status", 3, 2, "bad"), answered("a", "patch", "", 4, 3, "good"), answered("admin", "update", "status", 5, 3, "good"),
			}, []string{"admin", "admin", "a"},
		},
		"the undo is heard of after what follows it": {
			[]auditv1.Event{answered("admin", "create", "", 8, 1, "bad"), answered("admin", "update", "", 10, 3, "good"), answered("a", "patch", "", 9, 2, "good")},
			[]string{"admin", "a"},
		},
		"cut off and stored, and a status follows": {
			[]auditv1.Event{answered("admin", "create", "", 1, 1, "bad"), cutOff("a"), answered("admin", "update", "status", 3, 2, "good")},
			[]string{"admin", "a"},
		},
		"cut off and stored, and a new number follows": {
			[]auditv1.Event{answered("admin", "create", "", 1, 1, "bad"), cutOff("a"), answered("admin", "update", "", 3, 3, "good")},
			[]string{"admin", "a"},
		},
		"cut off and not stored, and done by another": {
			[]auditv1.Event{answered("admin", "create", "", 1, 1, "bad"), cutOff("a"), answered("b", "patch", "", 2, 2, "good")},
			[]string{"admin", "b"},
		},
		"cut off and stored, and done again": {
			[]auditv1.Event{answered("admin", "create", "", 1, 1, "bad"), cutOff("a"), answered("b", "patch", "", 3, 3, "good")},
			[]string{"admin", "a", "b"},
		},
		"cut off and stored, and again nothing to do": {
			[]auditv1.Event{answered("admin", "create", "", 1, 1, "bad"), cutOff("a"), answered("admin", "update", "status", 3, 2, "good"), answered("b", "patch", "", 3, 2, "good")},
			[]string{"admin", "a"},
		},
		"cut off twice, and both were stored": {
			[]auditv1.Event{answered("admin", "create", "", 1, 1, "bad"), cutOff("a"), cutOff("a"), answered("admin", "update", "status", 4, 3, "good")},
			[]string{"admin", "a", "a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			NewWithT(t).Expect(effects(row.log, "shop")).To(Equal(row.want))
		})
	}
}
