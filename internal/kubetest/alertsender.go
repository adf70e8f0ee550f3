package kubetest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// The account that alerts are sent with, and what it has to be given.
const (
	SenderAccount     = "alert-sender"
	senderRole        = "kubernaut-alert-sender"
	intakeAudience    = "kubernaut"
	intakeSecret      = "kubernaut-intake-tls"
	intakeServingName = "kubernaut." + OperatorNamespace + ".svc"
)

// AlertSender posts like the Alertmanager that config/samples describes: over
// TLS, trusting the operator's own authority, and with a token of an account
// that may send alerts.
type AlertSender struct {
	url    string
	token  string
	admin  client.Client
	reuse  bool
	mu     sync.Mutex
	client *http.Client
}

// NewAlertSender makes the account, with an administrator's client, and returns
// a sender to the intake at an address. It keeps connections open if reuse is true.
func NewAlertSender(ctx context.Context, admin client.Client, address string, reuse bool) (*AlertSender, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: SenderAccount}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: SenderAccount},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: senderRole},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
	}
	for _, obj := range []client.Object{account, binding} {
		if err := admin.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("making the account that sends alerts: %w", err)
		}
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{intakeAudience}}}
	if err := admin.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("asking for a token of the account that sends alerts: %w", err)
	}
	if err := awaitSender(ctx, admin); err != nil {
		return nil, err
	}
	return &AlertSender{url: "https://" + address + "/webhook/alertmanager", token: request.Status.Token, admin: admin, reuse: reuse}, nil
}

// awaitSender waits until the API server, which reads roles in the background, lets the account send.
func awaitSender(ctx context.Context, admin client.Client) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + OperatorNamespace + ":" + SenderAccount,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "create", Group: v1alpha1.GroupVersion.Group, Resource: "alertremediations"},
		}}
		err := admin.Create(ctx, review)
		return review.Status.Allowed, err
	})
	if err != nil {
		return fmt.Errorf("waiting for %s to be allowed to send alerts: %w", SenderAccount, err)
	}
	return nil
}

// Post sends one message and returns the status and the body of the answer. It
// fails as long as nobody listens, or there is no certificate to trust.
func (s *AlertSender) Post(ctx context.Context, body []byte) (int, []byte, error) {
	return s.PostFrom(ctx, bytes.NewReader(body), int64(len(body)))
}

// PostFrom does the same with a message of that length which may be long in coming.
func (s *AlertSender) PostFrom(ctx context.Context, body io.Reader, length int64) (int, []byte, error) {
	hc, err := s.trusting(ctx)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, body)
	if err != nil {
		return 0, nil, err
	}
	request.ContentLength = length
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+s.token)
	answer, err := hc.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	said, err := io.ReadAll(answer.Body)
	return answer.StatusCode, said, err
}

// trusting returns a client that trusts the authority of the Secret, once it is there.
func (s *AlertSender) trusting(ctx context.Context) (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	secret := &corev1.Secret{}
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: OperatorNamespace, Name: intakeSecret}, secret); err != nil {
		return nil, fmt.Errorf("reading the authority of the intake's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		return nil, errors.New("the intake has no certificate yet")
	}
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots, ServerName: intakeServingName, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:   !s.reuse,
		MaxIdleConnsPerHost: 64,
	}}
	return s.client, nil
}
