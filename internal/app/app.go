// Package app is where everything meets: one straight line from a configuration
// to a running operator.
package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/internal/alertmanager"
	"github.com/kubernaut/kubernaut/internal/clearance"
	"github.com/kubernaut/kubernaut/internal/config"
	"github.com/kubernaut/kubernaut/internal/controller/alertremediation"
	"github.com/kubernaut/kubernaut/internal/controller/diagnosis"
	"github.com/kubernaut/kubernaut/internal/controller/retention"
	"github.com/kubernaut/kubernaut/internal/controller/trigger"
	"github.com/kubernaut/kubernaut/internal/controller/workflowrun"
	"github.com/kubernaut/kubernaut/internal/crd"
	"github.com/kubernaut/kubernaut/internal/diagnose"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/internal/evidence"
	"github.com/kubernaut/kubernaut/internal/gate"
	"github.com/kubernaut/kubernaut/internal/guard"
	"github.com/kubernaut/kubernaut/internal/httpd"
	"github.com/kubernaut/kubernaut/internal/kubeclient"
	"github.com/kubernaut/kubernaut/internal/leader"
	"github.com/kubernaut/kubernaut/internal/lease"
	"github.com/kubernaut/kubernaut/internal/ledger"
	"github.com/kubernaut/kubernaut/internal/phase"
	"github.com/kubernaut/kubernaut/internal/policy"
	"github.com/kubernaut/kubernaut/internal/rightofway"
	"github.com/kubernaut/kubernaut/pkg/action"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// Options are what the command line says.
type Options struct {
	// Kubeconfig to use instead of the one of the pod.
	Kubeconfig string
	// Version of the program.
	Version string
}

// leaseName is the Lease that the leading replica holds.
const leaseName = "kubernaut-leader"

// A leader renews its lease every retryPeriod, and stops once it could not for
// renewDeadline. Nobody else takes the lease before leaseDuration is over, unless
// it was given back: then somebody does within 2.2 times the retryPeriod.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = time.Second
)

// Run runs the operator until the context ends.
func Run(ctx context.Context, cfg config.Config, options Options) error {
	rc, err := restConfig(options)
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return fmt.Errorf("building a client: %w", err)
	}
	user, err := identify(ctx, clients, cfg.Namespace)
	if err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	road := rightofway.New(metrics.Registry)
	mgr, acting, err := newManager(cfg, rc, scheme, road)
	if err != nil {
		return fmt.Errorf("building the manager: %w", err)
	}
	catalog, err := action.NewCatalog(actions.All()...)
	if err != nil {
		return err
	}

	live, clk := mgr.GetAPIReader(), clock.RealClock{}
	tenants := gate.New(acting, scheme, mgr.GetRESTMapper(), cfg.Namespace)
	seen := evidence.NewReader(live, scheme)
	history := actions.NewHistory(seen)
	resolver := evidence.NewResolver(seen).WithClusterScope(cfg.Namespace)
	gatherer := patient{evidence.NewGatherer(seen, evidence.NewLogs(clients), clk), road}
	guards := guard.NewWatcher(mgr.GetClient(), clk, user)
	desk := newDesk(cfg, guards, mgr.GetClient(), live, tenants)
	chain := diagnose.NewChain(metrics.Registry, diagnose.Link{Analyzer: rules.New(), Timeout: cfg.Diagnosis.Timeout.Duration})
	diagnoses := diagnosis.New(mgr.GetClient(), clk, gatherer, chain)
	recorder := mgr.GetEventRecorder("kubernaut")
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("reading the host name: %w", err)
	}
	webhook, err := newIntake(ctx, cfg, mgr, user, road)
	if err != nil {
		return err
	}

	err = errors.Join(
		alertremediation.New(alertremediation.Needs{
			Client: mgr.GetClient(), Live: seen, Clock: clk, Resolver: resolver, Diagnosis: diagnoses, Gatherer: gatherer, Desk: desk, Changes: desk,
			Guards:  func(ctx context.Context) (string, error) { return guards.First(ctx, live) },
			Catalog: catalog, History: history, Events: recorder,
		}, alertremediation.Config{
			Namespace: cfg.Namespace, Identity: hostname + " " + options.Version, Concurrency: cfg.Remediation.Concurrency,
		}).SetupWithManager(ctx, mgr),
		diagnoses.SetupWithManager(mgr, cfg.Diagnosis.Concurrency, cfg.Diagnosis.Timeout.Duration),
		workflowrun.New(workflowrun.Needs{
			Client: mgr.GetClient(), Live: live, Clock: clk, Desk: desk, Gate: tenants,
			Leases: lease.New(mgr.GetClient(), live, clk, cfg.Namespace, cfg.Nodes.LeaseNamespace), Catalog: catalog, History: history, Events: recorder,
		}, metrics.Registry).SetupWithManager(mgr, cfg.Remediation.Concurrency),
		trigger.New(trigger.Needs{Client: mgr.GetClient(), Live: live, Clock: clk, Resolver: resolver, Events: recorder},
			triggerConfig(cfg)).SetupWithManager(mgr),
		ledger.New(os.Stdout, clk, metrics.Registry).SetupWithManager(mgr),
		metrics.Registry.Register(ledger.NewLiving(mgr.GetClient())),
		// The requests of retention are namespaces.
		retention.New(mgr.GetClient(), clk, cfg.Namespace).SetupWithManager(mgr, controller.Options{
			RateLimiter: phase.Backoff(func(request ctrl.Request) string { return request.Name }),
		}),
		shipDefaultPolicy(mgr, recorder, cfg.Namespace),
		guard.NewReporter(guards, live, recorder, cfg.Namespace, metrics.Registry).SetupWithManager(mgr),
		mgr.AddHealthzCheck("ping", healthz.Ping),
	)
	if err != nil {
		return fmt.Errorf("wiring the operator: %w", err)
	}
	if err := serve(ctx, mgr, webhook); err != nil {
		return fmt.Errorf("running the operator: %w", err)
	}
	return nil
}

// serve runs the controllers and the intake side by side until the context ends,
// or one of them does: a leader that is to end gives its lease back at once, while
// its intake still answers.
func serve(ctx context.Context, mgr ctrl.Manager, webhook *httpd.Server) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return mgr.Start(ctx) })
	group.Go(func() error {
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return nil // the end came first
		}
		return webhook.Start(ctx)
	})
	return group.Wait()
}

// patient gathers evidence when it has the road to itself: a gathering that has
// begun has two seconds.
type patient struct {
	*evidence.Gatherer
	road *rightofway.Road
}

// Gather waits, and gathers; what could not be waited for is missing.
func (p patient) Gather(ctx context.Context, subject v1alpha1.ObjectReference, target v1alpha1.TargetReference) *analysis.Snapshot {
	ctx, leave, _ := p.road.Work(ctx) // the context is at its end, and the gathering says so
	defer leave()
	return p.Gatherer.Gather(ctx, subject, target)
}

// newManager returns the manager, whose requests leave the road to the intake's,
// and how tenants' objects are reached: if one of several replicas leads, by that
// one only.
func newManager(cfg config.Config, rc *rest.Config, scheme *runtime.Scheme, road *rightofway.Road) (ctrl.Manager, *rest.Config, error) {
	options, acting := managerOptions(cfg, scheme), rc
	if cfg.LeaderElection.Enabled {
		lock, err := leader.New(rc, leader.Settings{
			Lease:    types.NamespacedName{Namespace: cfg.Namespace, Name: leaseName},
			Duration: leaseDuration, Timeout: renewDeadline / 2, Longest: gate.EffectDeadline,
		}, clock.RealClock{})
		if err != nil {
			return nil, nil, err
		}
		acting = lock.Bind(rc)
		options.LeaderElection, options.LeaderElectionResourceLockInterface = true, lock
		options.LeaderElectionReleaseOnCancel = true // nothing of the leader's outlives the manager
		options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = new(leaseDuration), new(renewDeadline), new(retryPeriod)
	}
	managed := rest.CopyConfig(rc)
	managed.Wrap(road.Transport)
	mgr, err := ctrl.NewManager(managed, options)
	if err != nil {
		return nil, nil, err
	}
	return scoped{mgr, kubeclient.NewScopedReader(mgr.GetAPIReader(), mgr.GetRESTMapper(), scheme)}, acting, nil
}

// scoped is a manager whose API reader reads no object of another scope than a reference
// says. Every part of the operator gets its reader from the manager.
type scoped struct {
	ctrl.Manager
	reader client.Reader
}

func (s scoped) GetAPIReader() client.Reader { return s.reader }

// restConfig returns how the API server is reached: by the kubeconfig that is
// named, or else as the pod's ServiceAccount. KUBECONFIG is not looked at.
func restConfig(options Options) (*rest.Config, error) {
	rc, err := clientcmd.BuildConfigFromFlags("", options.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("finding the API server (--kubeconfig FILE outside a cluster): %w", err)
	}
	rc.QPS = -1 // the API server's priority and fairness say how fast; our own limit would hold up a storm's alerts behind its reads
	rc.UserAgent = "kubernaut/" + options.Version
	rc.WarningHandler = rest.NoWarnings{}
	return rc, nil
}

// identify returns the user name of the operator's own account, and refuses to
// run as anybody else: the guards let only that one write a status, and with
// greater rights the promises of the roles would mean nothing.
func identify(ctx context.Context, clients kubernetes.Interface, namespace string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("asking the API server who we are: %w", err)
	}
	user := review.Status.UserInfo.Username
	if !operatorAccount(user, namespace) {
		return "", fmt.Errorf("running as %q, but the operator is the ServiceAccount kubernaut of namespace %q: use a kubeconfig with its token (kubectl create token kubernaut -n %s), or set namespace in the configuration to the one it is in", user, namespace, namespace)
	}
	return user, nil
}

// operatorAccount reports whether a user is the ServiceAccount kubernaut of a
// namespace; an installer may have prefixed its name.
func operatorAccount(user, namespace string) bool {
	account, found := strings.CutPrefix(user, "system:serviceaccount:"+namespace+":")
	return found && (account == "kubernaut" || strings.HasSuffix(account, "-kubernaut"))
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building the scheme: %w", err)
	}
	return scheme, nil
}

func managerOptions(cfg config.Config, scheme *runtime.Scheme) ctrl.Options {
	return ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: cfg.Metrics.Address},
		HealthProbeBindAddress: cfg.Health.Address,
		Cache:                  cacheOptions(cfg),
	}
}

func named(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }

// newDesk wires what the gates look at.
func newDesk(cfg config.Config, guards *guard.Watcher, cached client.Client, live client.Reader, tenants *gate.Gate) *clearance.Desk {
	deps := clearance.Deps{
		Client: cached,
		Live:   live,
		Open:   func(namespace string) (clearance.Tenant, error) { return tenants.Open(namespace) },
		Guards: func(ctx context.Context, reader client.Reader) (policy.Guards, error) {
			found, err := guards.Look(ctx, reader)
			return policy.Guards{
				Fault: strings.Join(found.Faults, "; "), StatusFault: found.StatusFault,
				Epoch: found.Epoch, Settled: found.Settled, Replaced: found.Replaced,
			}, err
		},
		Forge:    guards.Forge,
		Outdated: crd.NewWatcher(live, clock.RealClock{}).Outdated,
		Resolver: evidence.NewResolver(live).WithClusterScope(cfg.Namespace), Clock: clock.RealClock{},
		Namespace: cfg.Namespace, NodeLeases: cfg.Nodes.LeaseNamespace,
		Cluster: cfg.Cluster, ClusterLabel: cfg.ClusterLabel, Protected: cfg.Protected.Namespaces,
	}
	if cfg.Alertmanager.URL != "" {
		deps.Alertmanager = alertmanager.New(cfg.Alertmanager.URL, &http.Client{})
	}
	return clearance.New(deps)
}
