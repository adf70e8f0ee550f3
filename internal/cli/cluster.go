package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	if errors.Is(err, fs.ErrNotExist) {
		return Cluster{}, fmt.Errorf("reading the kubeconfig: %w; --kubeconfig or KUBECONFIG names another", err)
	}
	if err != nil {
		return Cluster{}, fmt.Errorf("reading the kubeconfig: %w; `kubectl config get-contexts` lists what there is", err)
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
	rc.QPS = -1 // the API server's priority and fairness say how fast
	c, err := client.New(rc, client.Options{Scheme: scheme})
	if err != nil {
		return Cluster{}, explained(err)
	}
	return Cluster{Client: c, Namespace: namespace}, nil
}

// unnamed reports whether nobody said which API server is meant: kubectl's flags
// then lead to one of their own, on this machine.
func unnamed(flags clientcmd.ClientConfig, rc *rest.Config) bool {
	raw, err := flags.RawConfig()
	return err == nil && len(raw.Clusters) == 0 && rc.Host == clientcmd.ClusterDefaults.Server
}

// remediation reads one AlertRemediation of the namespace. Its name may be given
// as kubectl prints it, with the kind or the namespace before a slash.
func (c Cluster) remediation(ctx context.Context, name string) (*v1alpha1.AlertRemediation, error) {
	key := c.named(name)
	ar := &v1alpha1.AlertRemediation{}
	err := c.Get(ctx, key, ar)
	if apierrors.IsNotFound(err) {
		return nil, c.unknown(ctx, key)
	}
	return ar, explained(err)
}

// Names of the remediations of the namespace, for whoever presses the tabulator.
func (c Cluster) Names(ctx context.Context) []string {
	var list v1alpha1.AlertRemediationList
	if c.List(ctx, &list, client.InNamespace(c.Namespace)) != nil {
		return nil // there is nobody to tell
	}
	names := make([]string, 0, len(list.Items))
	for _, ar := range list.Items {
		names = append(names, ar.Name)
	}
	return names
}

// named takes apart what somebody typed for a remediation.
func (c Cluster) named(text string) types.NamespacedName {
	before, name, both := strings.Cut(text, "/")
	switch {
	case !both:
		return types.NamespacedName{Namespace: c.Namespace, Name: text}
	case slices.Contains([]string{"ar", "alertremediation", "alertremediations", "alertremediation.kubernaut.io", "alertremediations.kubernaut.io"}, before):
		return types.NamespacedName{Namespace: c.Namespace, Name: name}
	}
	return types.NamespacedName{Namespace: before, Name: name}
}

// unknown says where the remediation is, or which one may have been meant, as far
// as whoever types may look.
func (c Cluster) unknown(ctx context.Context, key types.NamespacedName) error {
	missing := fmt.Sprintf("there is no AlertRemediation %q in namespace %s", key.Name, key.Namespace)
	var list v1alpha1.AlertRemediationList
	if c.List(ctx, &list) != nil && c.List(ctx, &list, client.InNamespace(key.Namespace)) != nil {
		return errors.New(missing)
	}
	var names []string
	for _, ar := range list.Items {
		if ar.Name == key.Name {
			return fmt.Errorf("%s, but there is one in namespace %s: say -n %s", missing, ar.Namespace, ar.Namespace)
		}
		if ar.Namespace == key.Namespace {
			names = append(names, ar.Name)
		}
	}
	return fmt.Errorf("%s%s `kubectl kubernaut get -A` lists them all", missing, introduced(meant(near(key.Name, names))))
}

// whoami returns the user name that the API server knows whoever types by.
func (c Cluster) whoami(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, review); err != nil {
		return "", fmt.Errorf("asking the API server for your name: %w", explained(err))
	}
	return review.Status.UserInfo.Username, nil
}

// absent says so if the namespace is not there, as far as whoever types may know:
// else an empty answer would hide a slip of the finger.
func (c Cluster) absent(ctx context.Context) string {
	err := c.Get(ctx, types.NamespacedName{Name: c.Namespace}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		return ""
	}
	var all corev1.NamespaceList
	var names []string
	if c.List(ctx, &all) == nil {
		for _, ns := range all.Items {
			names = append(names, ns.Name)
		}
	}
	return ", which does not exist" + meant(near(c.Namespace, names))
}
