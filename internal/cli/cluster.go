package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Cluster is the API server as whoever types sees it, and the namespace they are in.
type Cluster struct {
	client.Client
	// Namespace of -n, or of the kubeconfig's context.
	Namespace string
}

// Connect reads what kubectl's own flags say. Nothing is asked of the cluster yet.
func Connect(flags clientcmd.ClientConfig) (Cluster, error) {
	rc, err := flags.ClientConfig()
	if err != nil {
		return Cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	if unnamed(flags, rc) {
		return Cluster{}, errors.New("no cluster is configured: name a kubeconfig with --kubeconfig or KUBECONFIG")
	}
	namespace, _, err := flags.Namespace()
	if err != nil {
		return Cluster{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), clientgoscheme.AddToScheme(scheme)); err != nil {
		return Cluster{}, err
	}
	c, err := client.New(rc, client.Options{Scheme: scheme})
	if err != nil {
		return Cluster{}, unreachable(err)
	}
	return Cluster{Client: c, Namespace: namespace}, nil
}

// unnamed reports whether nobody said which API server is meant: kubectl's flags
// then lead to one of their own, on this machine.
func unnamed(flags clientcmd.ClientConfig, rc *rest.Config) bool {
	raw, err := flags.RawConfig()
	return err == nil && len(raw.Clusters) == 0 && rc.Host == clientcmd.ClusterDefaults.Server
}

// remediation reads one AlertRemediation of the namespace.
func (c Cluster) remediation(ctx context.Context, name string) (*v1alpha1.AlertRemediation, error) {
	ar := &v1alpha1.AlertRemediation{}
	err := c.Get(ctx, types.NamespacedName{Namespace: c.Namespace, Name: name}, ar)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("there is no AlertRemediation %q in namespace %s: `kubectl kubernaut get -A` lists them all", name, c.Namespace)
	}
	return ar, unreachable(err)
}

// whoami returns the user name that the API server knows whoever types by.
func (c Cluster) whoami(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, review); err != nil {
		return "", fmt.Errorf("asking the API server for your name: %w", unreachable(err))
	}
	return review.Status.UserInfo.Username, nil
}

// unreachable adds what to do next to the errors that a new user meets first.
func unreachable(err error) error {
	var unsent *url.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unsent) && !errors.Is(err, context.Canceled):
		return fmt.Errorf("the API server does not answer (is it the right --context? `kubectl config current-context`): %w", unsent)
	case meta.IsNoMatchError(err):
		return errors.New("this cluster does not know Kubernaut's kinds: install them with `kubectl apply -k config/default`, or choose another --context")
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept your credentials; try `kubectl auth whoami`: %w", err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w; ask for ClusterRole kubernaut-viewer (to look) or kubernaut-approver (to answer) in the namespace", err)
	}
	return err
}

// printer writes lines, and keeps the first fault for the end.
type printer struct {
	to  io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format+"\n", args...)
	}
}
