package kubetest

import (
	"context"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Grant gives a user these rights in a namespace, and waits until they count.
func (s *Server) Grant(ctx context.Context, namespace, user string, rules ...rbacv1.PolicyRule) {
	s.tb.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "grant-"}, Rules: rules}
	s.Create(ctx, role)
	s.bind(ctx, namespace, user, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name})
	s.AwaitRight(ctx, namespace, user, rules[0])
}

// GrantClusterRole gives a user the rights of a ClusterRole in a namespace, and
// waits until they count.
func (s *Server) GrantClusterRole(ctx context.Context, namespace, user, name string) {
	s.tb.Helper()
	role := &rbacv1.ClusterRole{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, role); err != nil {
		s.tb.Fatalf("reading ClusterRole %s: %v", name, err)
	}
	s.bind(ctx, namespace, user, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name})
	s.AwaitRight(ctx, namespace, user, role.Rules[0])
}

func (s *Server) bind(ctx context.Context, namespace, user string, ref rbacv1.RoleRef) {
	s.tb.Helper()
	s.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "grant-"}, RoleRef: ref,
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
}

// AwaitRight waits until the API server, which reads roles in the background,
// lets the user do what a rule says first.
func (s *Server) AwaitRight(ctx context.Context, namespace, user string, rule rbacv1.PolicyRule) {
	s.tb.Helper()
	want := authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0],
	}
	if len(rule.ResourceNames) > 0 {
		want.Name = rule.ResourceNames[0]
	}
	allowed := func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &want}}
		err := s.Client.Create(ctx, review)
		return review.Status.Allowed, err
	}
	if err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, allowed); err != nil {
		s.tb.Fatalf("waiting for %s to be allowed to %s %s in %q: %v", user, want.Verb, want.Resource, namespace, err)
	}
}

// GrantEverywhere gives a user these rights in the whole cluster, and waits until
// they count.
func (s *Server) GrantEverywhere(ctx context.Context, user string, rules ...rbacv1.PolicyRule) {
	s.tb.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "grant-"}, Rules: rules}
	s.Create(ctx, role)
	s.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "grant-"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
	s.AwaitRight(ctx, "", user, rules[0])
}
