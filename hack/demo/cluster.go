package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// image of the operator, as the manifests name it.
const image = "ghcr.io/kubernaut/kubernaut:dev"

// cluster is where the demo takes place.
type cluster struct {
	options
	client.Client
	clients    kubernetes.Interface
	kubeconfig string
	kubectl    string
	approver   []string // flags of kubectl with which the approver acts
	auditLog   string   // empty when there is none to be read
	nodes      int
	version    string
	place      status
	lowered    *v1alpha1.Mode // the ceiling that the demo raised
}

// status is what localcluster tells of its cluster.
type status struct {
	Kubeconfig string `json:"kubeconfig"`
	AuditLog   string `json:"auditLog"`
	Binaries   string `json:"binaries"`
	NodeList   []struct {
		Address string `json:"address"`
	} `json:"nodeList"`
	URLs map[string]string `json:"urls"`
}

// open makes a cluster, or takes the one the user named.
func open(ctx context.Context, o options) (*cluster, error) {
	c := &cluster{options: o, kubectl: "kubectl"}
	var err error
	if o.existing {
		err = c.adopt(ctx)
	} else {
		err = c.make(ctx)
	}
	if err != nil {
		return nil, err
	}
	return c, c.connect()
}

// make brings a cluster up, with the operator's image in it and Prometheus beside it.
func (c *cluster) make(ctx context.Context) error {
	say("A cluster of %d nodes comes up on this machine. The first time its programs are compiled, which takes about half an hour on two cores; after that it takes seconds.", c.options.nodes)
	err := c.tool(ctx, "localcluster", "up", "--monitoring", "--kubernetes", c.kubernetes, "--nodes", fmt.Sprint(c.options.nodes),
		"--rules", filepath.Join("hack", "demo", "rules"), "--scrape-interval", "2s")
	if err != nil {
		return err
	}
	raw, err := c.output(ctx, filepath.Join(c.bin, "localcluster"), "status", "-o", "json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &c.place); err != nil {
		return fmt.Errorf("reading the status of the cluster: %w", err)
	}
	c.kubeconfig, c.auditLog = c.place.Kubeconfig, c.place.AuditLog
	c.kubectl = filepath.Join(c.place.Binaries, "kubectl")
	c.approver = []string{"--kubeconfig", c.place.Kubeconfig + "-approver"}
	if err := os.MkdirAll(filepath.Dir(c.options.output), 0o750); err != nil {
		return fmt.Errorf("making a place for the results: %w", err)
	}
	tar := filepath.Join(filepath.Dir(c.options.output), "kubernaut.tar")
	if err := c.tool(ctx, "localcluster", "image", "--binary", filepath.Join(c.bin, "kubernaut"), "--ref", image, "--out", tar); err != nil {
		return err
	}
	return c.tool(ctx, "localcluster", "load", tar)
}

// adopt takes the cluster of the current kubeconfig, after saying which one that is.
func (c *cluster) adopt(ctx context.Context) error {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	raw, err := rules.Load()
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	current := raw.Contexts[raw.CurrentContext]
	if current == nil || raw.Clusters[current.Cluster] == nil {
		return errors.New("CLUSTER=existing needs a kubeconfig with a current context")
	}
	say("Using the existing cluster of context %s, server %s.", raw.CurrentContext, raw.Clusters[current.Cluster].Server)
	say("Its nodes must be able to pull %s and python:3.12-slim, its Prometheus must have the rules of hack/demo/rules,", image)
	say("and its Alertmanager must send to the operator as config/samples/alertmanager shows.")
	c.kubeconfig = rules.GetDefaultFilename()
	c.approver = []string{"--as", "approver", "--as-group", "approvers"}
	_, err = c.output(ctx, c.kubectl, "--kubeconfig", c.kubeconfig, "get", "--raw", "/readyz")
	return err
}

// connect makes the clients, and learns the version and the number of nodes.
func (c *cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading kubeconfig %s: %w", c.kubeconfig, err)
	}
	config.QPS, config.Burst = 200, 400
	config.WarningHandler = rest.NoWarnings{}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return err
	}
	if c.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	if c.clients, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	version, err := c.clients.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("asking the API server for its version: %w", err)
	}
	c.version = version.GitVersion
	return nil
}

// close removes what the demo made, and puts the ceiling of an existing cluster back.
func (c *cluster) close(ctx context.Context) error {
	if !c.existing {
		return c.tool(ctx, "localcluster", "down")
	}
	names := []string{"delete", "namespace", "--ignore-not-found", "--wait=false"}
	for _, i := range incidents {
		names = append(names, i.namespace)
	}
	_, err := c.output(ctx, c.kubectl, append([]string{"--kubeconfig", c.kubeconfig}, names...)...)
	if c.lowered != nil {
		err = errors.Join(err, c.setCeiling(ctx, *c.lowered))
	}
	return err
}

// apply sends manifests to the API server.
func (c *cluster) apply(ctx context.Context, manifests []byte) error {
	cmd := exec.CommandContext(ctx, c.kubectl, "--kubeconfig", c.kubeconfig, "apply", "--server-side", "--force-conflicts", "-f", "-")
	cmd.Stdin = bytes.NewReader(manifests)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("applying manifests: %w\n%s", err, out)
	}
	return nil
}

// show runs kubectl as the administrator, and shows the command as a person would type it.
func (c *cluster) show(ctx context.Context, args ...string) error {
	say("    $ kubectl %s", quoted(args))
	_, err := c.output(ctx, c.kubectl, append([]string{"--kubeconfig", c.kubeconfig}, args...)...)
	return err
}

// tool runs one of our own programs with its progress on the terminal.
func (c *cluster) tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...) //nolint:gosec // our own program
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s %s: %w", name, args[0], err)
	}
	return nil
}

// output runs a program and returns what it printed.
func (c *cluster) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own programs and kubectl
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running %s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, complaint.Bytes())
	}
	return out, nil
}

// get asks a Service for a path, through the API server's proxy.
func (c *cluster) get(ctx context.Context, namespace, service, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_, err := c.clients.CoreV1().Services(namespace).ProxyGet("http", service, "80", path, nil).DoRaw(ctx)
	return err
}

func quoted(args []string) string {
	var out []string
	for _, arg := range args {
		if strings.ContainsAny(arg, `{}[]"' `) {
			arg = "'" + arg + "'"
		}
		out = append(out, arg)
	}
	return strings.Join(out, " ")
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }
