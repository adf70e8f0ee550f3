package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kubernaut/kubernaut/internal/alertmanager"
	"github.com/kubernaut/kubernaut/internal/caller"
	"github.com/kubernaut/kubernaut/internal/config"
	"github.com/kubernaut/kubernaut/internal/httpd"
	"github.com/kubernaut/kubernaut/internal/intake"
	"github.com/kubernaut/kubernaut/internal/rightofway"
	"github.com/kubernaut/kubernaut/internal/servingcert"
)

// linger is how long a replica that is to end still takes alerts: about as long
// as it takes until no node sends it any.
const linger = 2 * time.Second

// newIntake returns the server of Alertmanager's webhook, on every replica. A
// replica is ready when it is.
func newIntake(ctx context.Context, cfg config.Config, mgr ctrl.Manager, user string, road *rightofway.Road) (*httpd.Server, error) {
	if err := intake.Index(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, fmt.Errorf("indexing remediations: %w", err)
	}
	handler := intake.New(
		intake.Cluster{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("kubernaut-intake"), Road: road},
		newDoor(cfg.Intake, mgr),
		groups(cfg),
		clock.RealClock{},
		intake.Settings{
			Namespace: cfg.Namespace, Cluster: cfg.Cluster, ClusterLabel: cfg.ClusterLabel, Ignore: cfg.Intake.Ignore,
			MaxPerNamespace: cfg.Intake.MaxPerNamespace,
		},
		metrics.Registry,
	)
	mux := http.NewServeMux()
	mux.Handle(intake.Path, handler)
	options := httpd.Options{Name: "intake", Address: cfg.Intake.Address, Handler: mux, Linger: linger}
	if cfg.Intake.TLS.SecretName == "" {
		mgr.GetLogger().Info("WARNING: the intake speaks plain HTTP, whoever listens reads alerts and tokens: set intake.tls.secretName")
	} else {
		keeper := newKeeper(cfg, mgr, user)
		options.Certificate = keeper.Certificate
		if err := errors.Join(mgr.Add(keeper), mgr.AddReadyzCheck("certificate", keeper.Ready)); err != nil {
			return nil, fmt.Errorf("adding the intake's certificate: %w", err)
		}
	}
	server := httpd.New(options)
	return server, mgr.AddReadyzCheck("intake", server.Ready)
}

// groups is nil if no Alertmanager is configured.
func groups(cfg config.Config) intake.Groups {
	if cfg.Alertmanager.URL == "" {
		return nil
	}
	return alertmanager.New(cfg.Alertmanager.URL, &http.Client{})
}

// newDoor says who may post.
func newDoor(cfg config.Intake, mgr ctrl.Manager) intake.Door {
	if cfg.Authentication == config.AuthenticationNone {
		mgr.GetLogger().Info("WARNING: the intake takes alerts of everybody who reaches it: set intake.authentication to Token")
		return intake.Door{}
	}
	door := intake.Door{Callers: caller.New(mgr.GetClient(), clock.RealClock{}, cfg.Audience)}
	if s := cfg.Signature; s.SecretFile != "" {
		door.Signatures = &intake.Signatures{Header: s.Header, TimestampHeader: s.TimestampHeader, SecretFile: s.SecretFile}
	}
	return door
}

func newKeeper(cfg config.Config, mgr ctrl.Manager, user string) *servingcert.Keeper {
	return servingcert.New(
		servingcert.Cluster{Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Informers: mgr.GetCache()},
		clock.RealClock{},
		servingcert.Settings{
			Secret: types.NamespacedName{Namespace: cfg.Namespace, Name: cfg.Intake.TLS.SecretName},
			Names:  servingNames(cfg, user),
		},
	)
}

// servingNames are those of the Service, and what the configuration adds. An
// installer that prefixes names prefixes the Service's and the account's alike.
func servingNames(cfg config.Config, user string) []string {
	service := cfg.Intake.TLS.Service
	if service == "" {
		service = user[strings.LastIndex(user, ":")+1:]
	}
	host := service + "." + cfg.Namespace
	return append([]string{host, host + ".svc", host + ".svc.cluster.local"}, cfg.Intake.TLS.Names...)
}
