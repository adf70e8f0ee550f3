package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/internal/receiver"
)

// sendAlerts points the Alertmanager of a cluster we made at the operator, as
// config/samples/alertmanager says; only the address is a node's, since it runs on the host.
func (c *cluster) sendAlerts(ctx context.Context) error {
	if c.existing {
		return nil
	}
	dir, err := filepath.Abs(filepath.Join(filepath.Dir(c.options.output), "alertmanager"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making a place for Alertmanager's configuration: %w", err)
	}
	to := receiver.Receiver{
		URL:        "https://" + c.place.NodeList[0].Address + ":30994/webhook/alertmanager",
		ServerName: "kubernaut." + operatorNamespace + ".svc",
		CAFile:     filepath.Join(dir, "ca.crt"), CredentialsFile: filepath.Join(dir, "token"),
		Pace: receiver.Pace{Wait: time.Second, Interval: 2 * time.Second},
	}
	config, err := to.Config()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "alertmanager.yaml")
	if err := errors.Join(c.trust(ctx, to.CAFile), c.account(ctx, to.CredentialsFile), os.WriteFile(path, config, 0o600)); err != nil {
		return err
	}
	return c.tool(ctx, "localcluster", "reload", "--alertmanager-config", path)
}

// trust writes the authority of the intake's certificate, which the operator issued.
func (c *cluster) trust(ctx context.Context, path string) error {
	secret := &corev1.Secret{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "kubernaut-intake-tls"}, secret); err != nil {
		return fmt.Errorf("reading the authority of the intake's certificate: %w", err)
	}
	return os.WriteFile(path, secret.Data["ca.crt"], 0o600)
}

// account makes the account that may send alerts, and writes a token of it.
func (c *cluster) account(ctx context.Context, path string) error {
	if err := c.show(ctx, "apply", "-k", filepath.Join("config", "samples", "alertmanager")); err != nil {
		return err
	}
	token, err := c.output(ctx, c.kubectl, "--kubeconfig", c.kubeconfig, "create", "token", "alertmanager", "-n", "monitoring",
		"--audience", "kubernaut", "--duration", "24h")
	if err != nil {
		return err
	}
	return os.WriteFile(path, token, 0o600)
}
