// Package gate is the only door to a tenant's objects: it asks the API server
// what the namespace's own account may do, tries operations without effect,
// applies them, and looks whether they are in place. What an operation is and
// whether it should be done is decided elsewhere.
package gate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
)

// EffectDeadline bounds every request to the API server that is part of an
// effect. It is no longer than what lies between a leader that gives up and the
// next one, so that a deposed leader can't act late.
const EffectDeadline = 5 * time.Second

// maxTenants are kept open. Namespaces come and go; whose client was dropped gets
// another one.
const maxTenants = 1024

// Gate opens a namespace's own account.
type Gate struct {
	config *rest.Config
	scheme *runtime.Scheme
	mapper meta.RESTMapper
	home   string // the operator's namespace

	mu      sync.Mutex
	tenants map[string]*Tenant
}

// New returns a gate whose configuration is the operator's own. The remediator of
// its namespace, home, is the only one that acts on what has no namespace.
func New(config *rest.Config, scheme *runtime.Scheme, mapper meta.RESTMapper, home string) *Gate {
	return &Gate{config: config, scheme: scheme, mapper: mapper, home: home, tenants: map[string]*Tenant{}}
}

// Tenant acts as the remediator of one namespace, there and nowhere else, but for
// the operator's: that one acts on objects without a namespace too.
type Tenant struct {
	namespace string
	home      bool
	client    client.Client
	mapper    meta.RESTMapper
}

// Open returns the tenant of a namespace. Nothing is asked yet.
func (g *Gate) Open(namespace string) (*Tenant, error) {
	if len(validation.IsDNS1123Label(namespace)) > 0 {
		return nil, fmt.Errorf("opening the tenant of %.63q: no such namespace can exist", namespace)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if tenant, ok := g.tenants[namespace]; ok {
		return tenant, nil
	}
	if len(g.tenants) >= maxTenants {
		clear(g.tenants)
	}
	cfg := rest.CopyConfig(g.config)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: Account(namespace)}
	c, err := client.New(cfg, client.Options{Scheme: g.scheme, Mapper: g.mapper})
	if err != nil {
		return nil, fmt.Errorf("building a client of %s: %w", Account(namespace), err)
	}
	tenant := &Tenant{namespace: namespace, home: namespace == g.home, client: c, mapper: g.mapper}
	g.tenants[namespace] = tenant
	return tenant, nil
}

// Account returns the user name of a namespace's remediator.
func Account(namespace string) string {
	return "system:serviceaccount:" + namespace + ":" + v1alpha1.RemediatorAccount
}

// Actor returns the user name the tenant's operations are done with.
func (t *Tenant) Actor() string { return Account(t.namespace) }

// Review asks the API server whether the tenant may do every operation, and
// returns a *Denied for the first it may not.
func (t *Tenant) Review(ctx context.Context, ops ...v1alpha1.Operation) error {
	ctx, cancel := context.WithTimeout(ctx, EffectDeadline)
	defer cancel()
	asked := map[authorizationv1.ResourceAttributes]bool{}
	for _, op := range ops {
		need, err := t.need(op)
		if err != nil {
			return err
		}
		if asked[need] {
			continue
		}
		asked[need] = true
		if err := t.review(ctx, need); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tenant) review(ctx context.Context, need authorizationv1.ResourceAttributes) error {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &need}}
	err := t.client.Create(ctx, review)
	if apierrors.IsForbidden(err) {
		return t.shutOut(err)
	}
	if err != nil {
		return fmt.Errorf("reviewing access of %s: %w", t.Actor(), err)
	}
	if !review.Status.Allowed {
		return &Denied{Actor: t.Actor(), Need: need, Grant: t.grant(), Reason: bounded(review.Status.Reason)}
	}
	return nil
}

// shutOut says which right is missing when not even the question is allowed.
// Every account may ask about itself, so it is the operator that may not act as
// it, unless the API server names the account as the one that may not ask.
func (t *Tenant) shutOut(err error) error {
	need := authorizationv1.ResourceAttributes{
		Namespace: t.namespace, Verb: "impersonate", Resource: "serviceaccounts", Name: v1alpha1.RemediatorAccount,
	}
	grant := t.grant()
	if strings.Contains(err.Error(), fmt.Sprintf("User %q cannot", t.Actor())) {
		need = authorizationv1.ResourceAttributes{Verb: "create", Group: authorizationv1.GroupName, Resource: "selfsubjectaccessreviews"}
		grant = ""
	}
	return &Denied{Actor: t.Actor(), Need: need, Grant: grant, Reason: bounded(err.Error())}
}

// grant is what kubectl kubernaut grant takes to let the tenant act.
func (t *Tenant) grant() string {
	if t.home {
		return t.namespace + " --level node"
	}
	return t.namespace + " --level full"
}

// reaches reports whether the tenant acts on objects of a namespace.
func (t *Tenant) reaches(namespace string) bool {
	return namespace == t.namespace || t.home && namespace == ""
}

// inScope rejects an operation whose object has not the scope that its reference says:
// the client would drop the namespace of a cluster-scoped kind.
func (t *Tenant) inScope(op v1alpha1.Operation) error {
	err := kubeclient.CheckScope(t.mapper, op.Object.GroupVersionKind(), op.Object.NamespacedName())
	if kubeclient.IsScopeError(err) {
		return reject(op, "%v", err)
	}
	return err
}

// need returns what the API server will be asked to authorize.
func (t *Tenant) need(op v1alpha1.Operation) (authorizationv1.ResourceAttributes, error) {
	if err := t.inScope(op); err != nil {
		return authorizationv1.ResourceAttributes{}, err
	}
	gvk := op.Object.GroupVersionKind()
	mapping, err := t.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return authorizationv1.ResourceAttributes{}, fmt.Errorf("finding the resource of %s: %w", op.Object, err)
	}
	need := authorizationv1.ResourceAttributes{
		Namespace: op.Object.Namespace, Name: op.Object.Name, Verb: string(op.Verb), Subresource: op.Subresource,
		Group: mapping.Resource.Group, Version: mapping.Resource.Version, Resource: mapping.Resource.Resource,
	}
	switch op.Verb {
	case v1alpha1.VerbEvict:
		need.Verb, need.Subresource = "create", "eviction"
	case v1alpha1.VerbCreate:
		need.Name = "" // the name is in the body: the API server authorizes creation without it
	case v1alpha1.VerbPatch, v1alpha1.VerbDelete:
	}
	return need, nil
}
