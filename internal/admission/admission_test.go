package admission

import (
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestRefusals(t *testing.T) {
	resource := schema.GroupResource{Group: "kubernaut.io", Resource: "workflowruns"}
	forbidden := func(why string) error { return apierrors.NewForbidden(resource, "r", errors.New(why)) }
	terminating := apierrors.NewForbidden(resource, "r", errors.New("because it is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	full := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 500, Message: "etcdserver: mvcc: database space exceeded"}}
	type words struct{ overQuota, terminating, notYet, unauthorized, refuses bool }
	rows := map[string]struct {
		err  error
		want words
	}{
		"nothing":                         {nil, words{}},
		"a quota without room":            {forbidden("exceeded quota: runs, requested: 1, used: 1, limited: 1"), words{overQuota: true, refuses: true}},
		"a quota that was never counted":  {forbidden("status unknown for quota: runs"), words{notYet: true}},
		"an API server that just started": {forbidden("not yet ready to handle request"), words{notYet: true}},
		"a namespace that goes":           {terminating, words{terminating: true, refuses: true}},
		"a policy that says no":           {forbidden(`ValidatingAdmissionPolicy 'kubernaut-run' denied request: the user cannot do it`), words{refuses: true}},
		"a right that is missing":         {forbidden(`User "system:serviceaccount:kubernaut-system:kubernaut" cannot create resource "workflowruns"`), words{unauthorized: true, refuses: true}},
		"an object of the wrong shape":    {apierrors.NewInvalid(schema.GroupKind{}, "r", nil), words{refuses: true}},
		"a conflict":                      {apierrors.NewConflict(resource, "r", errors.New("changed")), words{}},
		"an etcd that is full":            {full, words{}},
		"an API server that is busy":      {apierrors.NewTooManyRequests("later", 1), words{}},
		"no answer at all":                {errors.New("connection refused, exceeded quota"), words{}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := row.err
			if err != nil {
				err = fmt.Errorf("making it: %w", err)
			}
			if got := (words{OverQuota(err), Terminating(err), NotYet(err), Unauthorized(err), Refuses(err)}); got != row.want {
				t.Errorf("got %+v, want %+v", got, row.want)
			}
		})
	}
}
