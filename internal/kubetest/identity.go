package kubetest

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Where the operator lives, and as whom, as config/default ships it.
const (
	OperatorNamespace = "kubernaut-system"
	OperatorAccount   = "kubernaut"
	// OperatorUser is the operator's name to the API server.
	OperatorUser = "system:serviceaccount:" + OperatorNamespace + ":" + OperatorAccount
	// Remediator is the account of a tenant's namespace whose rights are used there.
	Remediator = "kubernaut-remediator"
)

// RemediatorUser returns the API server's name for a namespace's remediator.
func RemediatorUser(namespace string) string {
	return "system:serviceaccount:" + namespace + ":" + Remediator
}

// ConfigAs returns the configuration of a user of the given groups. The API
// server adds system:authenticated, and the groups of a service account.
func (s *Server) ConfigAs(user string, groups ...string) *rest.Config {
	cfg := rest.CopyConfig(s.Config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return cfg
}

// As returns a client that acts as a user of the given groups.
func (s *Server) As(user string, groups ...string) client.Client {
	s.tb.Helper()
	return s.clientFor(s.ConfigAs(user, groups...))
}

// ConfigWithToken returns a configuration that authenticates with a real token
// of a ServiceAccount, so that it can impersonate others as far as its own
// rights go.
func (s *Server) ConfigWithToken(ctx context.Context, namespace, account string) *rest.Config {
	s.tb.Helper()
	request := &authenticationv1.TokenRequest{}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := s.Client.SubResource("token").Create(ctx, sa, request); err != nil {
		s.tb.Fatalf("asking for a token of %s/%s: %v", namespace, account, err)
	}
	cfg := rest.AnonymousClientConfig(s.Config)
	cfg.BearerToken = request.Status.Token
	return cfg
}

// OperatorConfig returns the configuration of the operator's own account, with
// the rights that config/rbac ships and no others. It needs Install("config", "rbac") first.
func (s *Server) OperatorConfig(ctx context.Context) *rest.Config {
	s.tb.Helper()
	s.AwaitRight(ctx, "", OperatorUser, rbacv1.PolicyRule{
		APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"alertremediations"}, Verbs: []string{"create"},
	})
	return s.ConfigWithToken(ctx, OperatorNamespace, OperatorAccount)
}

// podExtra is where the API server notes the pod that a token is bound to.
const podExtra = "authentication.kubernetes.io/pod-name"

// OperatorPod returns the configuration of one pod of the operator: its account,
// by a token that is bound to the pod as those are that the kubelet mounts. It
// needs what OperatorConfig needs.
func (s *Server) OperatorPod(ctx context.Context, name string) *rest.Config {
	s.tb.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: name},
		Spec: corev1.PodSpec{
			ServiceAccountName: OperatorAccount,
			Containers:         []corev1.Container{{Name: "kubernaut", Image: "example.test/kubernaut"}},
		},
	}
	s.Create(ctx, pod)
	cfg := s.OperatorConfig(ctx)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: OperatorAccount}}
	if err := s.Client.SubResource("token").Create(ctx, sa, request); err != nil {
		s.tb.Fatalf("asking for a token of pod %s: %v", name, err)
	}
	cfg.BearerToken = request.Status.Token
	return cfg
}

// PodOf returns the pod that sent a request, as the audit log has it, or nothing.
func PodOf(event auditv1.Event) string {
	if names := event.User.Extra[podExtra]; len(names) > 0 {
		return names[0]
	}
	return ""
}

// Operator returns a client of the operator's own account; see OperatorConfig.
func (s *Server) Operator(ctx context.Context) client.Client {
	s.tb.Helper()
	return s.clientFor(s.OperatorConfig(ctx))
}
