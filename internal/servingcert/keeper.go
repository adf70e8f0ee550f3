// Package servingcert keeps the certificate that the intake serves with. It lives
// in one Secret, so that all replicas serve the same one and a restart changes
// nothing; people, cert-manager or OpenShift may fill that Secret instead of us.
package servingcert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	// retryAfter is how long a failed look at the Secret is left alone.
	retryAfter = 5 * time.Second
	// lookAgain is for the change that no watch told us of.
	lookAgain = time.Hour
)

// Settings say which Secret, and for whom.
type Settings struct {
	// Secret holds tls.crt and tls.key, and ca.crt for whoever is to trust them.
	Secret types.NamespacedName
	// Names that a certificate of ours is for.
	Names []string
}

// Cluster is what a Keeper needs of the API server.
type Cluster struct {
	// Client writes.
	Client client.Client
	// Live reads past every cache.
	Live client.Reader
	// Informers tell of changes; they see no Secret but ours.
	Informers cache.Informers
}

// Keeper serves the certificate of the Secret, and issues it if nobody else
// does. It is a manager.Runnable.
type Keeper struct {
	cluster  Cluster
	clock    clock.Clock
	settings Settings
	current  atomic.Pointer[tls.Certificate]
}

// New returns a Keeper, which has a certificate soon after its start.
func New(cluster Cluster, clk clock.Clock, settings Settings) *Keeper {
	return &Keeper{cluster: cluster, clock: clk, settings: settings}
}

// NeedLeaderElection is false: every replica serves.
func (k *Keeper) NeedLeaderElection() bool { return false }

// Certificate is for tls.Config.GetCertificate: each handshake has what the
// Secret holds now.
func (k *Keeper) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert := k.current.Load()
	if cert == nil {
		return nil, errors.New("there is no certificate yet")
	}
	return cert, nil
}

// Ready is a healthz.Checker: nil once there is a certificate.
func (k *Keeper) Ready(*http.Request) error {
	_, err := k.Certificate(nil)
	return err
}

// Start keeps the certificate until the context ends.
func (k *Keeper) Start(ctx context.Context) error {
	changed, err := k.watch(ctx)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		timer := k.clock.NewTimer(k.pass(ctx))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C():
		}
		timer.Stop()
	}
	return nil
}

// pass keeps once, and returns when to do it again. What went wrong is tried
// again, so that it ends nothing.
func (k *Keeper) pass(ctx context.Context) time.Duration {
	wait, err := k.keep(ctx)
	if err != nil && ctx.Err() == nil {
		log.FromContext(ctx).WithName("servingcert").Error(err, "the certificate is not renewed", "secret", k.settings.Secret)
	}
	return wait
}

// watch returns a channel that has something in it when the Secret was changed.
func (k *Keeper) watch(ctx context.Context) (<-chan struct{}, error) {
	informer, err := k.cluster.Informers.GetInformer(ctx, &corev1.Secret{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watching Secret %s: %w", k.settings.Secret, err)
	}
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // it is known already
		}
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
	})
	if err != nil {
		return nil, fmt.Errorf("watching Secret %s: %w", k.settings.Secret, err)
	}
	return changed, nil
}

// keep makes what is served and the Secret agree, and returns when to look again.
// A certificate that was good stays when its successor is not.
func (k *Keeper) keep(ctx context.Context) (time.Duration, error) {
	secret, err := k.read(ctx)
	if err != nil {
		return retryAfter, err
	}
	v, err := judge(secret.Data, k.settings.Names, k.clock.Now())
	if err != nil {
		return lookAgain, err // its next change is watched
	}
	if v.issue {
		v, err = k.issue(ctx, secret, v)
	}
	if v.serve != nil {
		k.current.Store(v.serve)
	}
	if err != nil {
		return retryAfter, err
	}
	if v.renew.IsZero() {
		return lookAgain, nil
	}
	return min(lookAgain, max(v.renew.Sub(k.clock.Now()), retryAfter)), nil
}

// read returns the Secret, made if there was none.
func (k *Keeper) read(ctx context.Context) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := k.cluster.Live.Get(ctx, k.settings.Secret, secret)
	if apierrors.IsNotFound(err) {
		if err := k.create(ctx); err != nil {
			return nil, err
		}
		err = k.cluster.Live.Get(ctx, k.settings.Secret, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("reading Secret %s: %w", k.settings.Secret, err)
	}
	return secret, nil
}

// create makes the Secret, with nothing in it. It is applied, not posted: an
// apply has a name that a Role can allow, so that no right is needed to create
// any other Secret. Whoever was first is no fault.
func (k *Keeper) create(ctx context.Context) error {
	empty := corev1ac.Secret(k.settings.Secret.Name, k.settings.Secret.Namespace).
		WithType(corev1.SecretTypeTLS).
		WithData(map[string][]byte{corev1.TLSCertKey: {}, corev1.TLSPrivateKeyKey: {}})
	err := k.cluster.Client.Apply(ctx, empty, client.FieldOwner("kubernaut-create"))
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating Secret %s: %w", k.settings.Secret, err)
	}
	return nil
}

// issue fills the Secret, and returns what is to be served then. Of two replicas
// the later one is refused by the API server, and takes what the other wrote.
func (k *Keeper) issue(ctx context.Context, secret *corev1.Secret, old verdict) (verdict, error) {
	data, err := issued(secret.Data, k.settings.Names, k.clock.Now())
	if err != nil {
		return old, err
	}
	next := secret.DeepCopy()
	next.Data = data
	switch err = k.cluster.Client.Update(ctx, next); {
	case err == nil:
		log.FromContext(ctx).WithName("servingcert").Info("certificate issued", "secret", k.settings.Secret, "names", k.settings.Names)
	case !apierrors.IsConflict(err):
		return old, fmt.Errorf("writing Secret %s: %w", k.settings.Secret, err)
	default:
		if next, err = k.read(ctx); err != nil {
			return old, err
		}
	}
	v, err := judge(next.Data, k.settings.Names, k.clock.Now())
	if err != nil || v.serve == nil {
		return old, errors.Join(err, errors.New("another replica issues a certificate"))
	}
	return v, nil
}
