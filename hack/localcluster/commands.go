package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubernaut/kubernaut/hack/localcluster/internal/binaries"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/cluster"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/image"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/monitoring"
	"github.com/kubernaut/kubernaut/hack/localcluster/internal/snapshot"
)

// newest is the Kubernetes that the first of the modules beside this program pins.
const newest = "1.37.2"

func pipelineFlags(cmd *cobra.Command, c *monitoring.Config) {
	cmd.Flags().StringVar(&c.Rules, "rules", "", "directory of Prometheus rule files (*.yaml, *.yml)")
	cmd.Flags().StringVar(&c.Alertmanager, "alertmanager-config", "", "Alertmanager's configuration (default: send to nobody)")
	cmd.Flags().DurationVar(&c.Interval, "scrape-interval", 5*time.Second, "time between scrapes, and between evaluations of rules")
}

func upCommand(where *place) *cobra.Command {
	o := cluster.Options{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring a cluster up, unless it is up already",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Module, err = where.moduleDir(); err != nil {
				return err
			}
			if o.Cache, err = where.cacheDir(); err != nil {
				return err
			}
			o.Name, o.Root, o.Progress = where.name, where.runtimeDir, cmd.ErrOrStderr()
			return cluster.Up(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Kubernetes, "kubernetes", newest, "version of Kubernetes")
	cmd.Flags().IntVar(&o.Nodes, "nodes", 2, "number of nodes")
	cmd.Flags().BoolVar(&o.Monitoring, "monitoring", false, "with kube-state-metrics, Prometheus and Alertmanager")
	cmd.Flags().BoolVar(&o.Metrics, "metrics", false, "with metrics-server")
	cmd.Flags().BoolVar(&o.Storage, "storage", false, "with a default storage class")
	pipelineFlags(cmd, &o.Pipeline)
	return cmd
}

func downCommand(where *place) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove a cluster, or what a crash left of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A second interrupt must not leave half of it.
			there, err := cluster.Down(context.WithoutCancel(cmd.Context()), where.runtimeDir, where.name)
			if err != nil {
				return err
			}
			word := "removed"
			if !there {
				word = "not up"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "cluster %s: %s\n", where.name, word)
			return nil
		},
	}
}

func statusCommand(where *place) *cobra.Command {
	output := ""
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Tell how a cluster is and where its parts are",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := cluster.Look(cmd.Context(), where.runtimeDir, where.name)
			if err != nil {
				return err
			}
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(s)
			}
			return printStatus(cmd.OutOrStdout(), s)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", `"json" for programs`)
	return cmd
}

func printStatus(out io.Writer, s cluster.Status) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	state := "up"
	if !s.Healthy() {
		state = "incomplete: `up` starts afresh, `down` removes it"
	}
	fmt.Fprintf(w, "cluster\t%s, %s\nkubernetes\t%s\napi server\t%s\nkubeconfig\t%s\naudit log\t%s\ncgroups\t%s\n",
		s.Name, state, s.Kubernetes, s.APIServer, s.Kubeconfig, s.AuditLog, s.Cgroups)
	for _, n := range s.NodeList {
		ready := "not ready"
		if n.Ready {
			ready = "ready"
		}
		fmt.Fprintf(w, "%s\t%s, %s\n", n.Name, n.Address, ready)
	}
	for _, name := range []string{"prometheus", "alertmanager", "kubeStateMetrics"} {
		if url, ok := s.URLs[name]; ok {
			fmt.Fprintf(w, "%s\t%s\n", name, url)
		}
	}
	for _, p := range s.Processes {
		if !p.Alive {
			fmt.Fprintf(w, "%s\tended; see %s\n", p.Name, p.Log)
		}
	}
	return w.Flush()
}

func kubeconfigCommand(where *place) *cobra.Command {
	user, content := "", false
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of a user's kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := cluster.Kubeconfig(where.runtimeDir, where.name, user)
			if err != nil {
				return err
			}
			if !content {
				fmt.Fprintln(cmd.OutOrStdout(), path)
				return nil
			}
			b, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("reading kubeconfig: %w", err)
			}
			_, err = cmd.OutOrStdout().Write(append(b, '\n'))
			return err
		},
	}
	cmd.Flags().StringVar(&user, "user", "admin", "one of admin, approver, viewer, tenant-editor")
	cmd.Flags().BoolVar(&content, "content", false, "print the file, not its path")
	return cmd
}

func loadCommand(where *place) *cobra.Command {
	return &cobra.Command{
		Use:   "load IMAGE.tar",
		Short: "Give an image to every node",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return cluster.Load(cmd.Context(), where.runtimeDir, where.name, args[0])
		},
	}
}

func reloadCommand(where *place) *cobra.Command {
	pipeline := monitoring.Config{}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Make Prometheus and Alertmanager read their configuration again",
		Long:  "Make Prometheus and Alertmanager read their configuration again. A flag that is not given keeps what `up` was told.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("scrape-interval") {
				pipeline.Interval = 0
			}
			return cluster.Reload(cmd.Context(), where.runtimeDir, where.name, pipeline)
		},
	}
	pipelineFlags(cmd, &pipeline)
	return cmd
}

func binariesCommand(where *place) *cobra.Command {
	kubernetes, only := "", []string{}
	cmd := &cobra.Command{
		Use:   "binaries",
		Short: "Build the programs into the cache, unless they are there, and print their directory",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := where.moduleDir()
			if err != nil {
				return err
			}
			cache, err := where.cacheDir()
			if err != nil {
				return err
			}
			set, err := binaries.Open(cmd.Context(), dir, kubernetes)
			if err != nil {
				return err
			}
			if err := set.Ensure(cmd.Context(), cache, only, cmd.ErrOrStderr()); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), set.Dir(cache))
			return nil
		},
	}
	cmd.Flags().StringVar(&kubernetes, "kubernetes", newest, "version of Kubernetes")
	cmd.Flags().StringSliceVar(&only, "only", nil, "build these only; envtest needs kube-apiserver,etcd,kubectl")
	return cmd
}

func imageCommand() *cobra.Command {
	binary, ref, out := "", "", ""
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Put a static program into an empty image that runs as nobody in particular",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if binary == "" || ref == "" || out == "" {
				return errors.New("image: --binary, --ref and --out are needed")
			}
			img, err := image.Static(binary)
			if err != nil {
				return err
			}
			return image.WriteTar(out, ref, img)
		},
	}
	cmd.Flags().StringVar(&binary, "binary", "", "the program")
	cmd.Flags().StringVar(&ref, "ref", "", "the image's reference")
	cmd.Flags().StringVar(&out, "out", "", "the file to write")
	return cmd
}

func snapshotCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "snapshot",
		Short:  "Print processes, mounts, links, routes, namespaces, rules, control groups, sockets and settings, to compare",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return snapshot.Write(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

func registryCommand(where *place) *cobra.Command {
	address, sets := "", []string{}
	cmd := &cobra.Command{
		Use:    "registry",
		Short:  "Serve the cached images; `up` starts it",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, err := where.cacheDir()
			if err != nil {
				return err
			}
			return image.Serve(cmd.Context(), address, image.Store{Dir: cache}, sets)
		},
	}
	cmd.Flags().StringVar(&address, "address", "", "host and port to listen on")
	cmd.Flags().StringSliceVar(&sets, "set", nil, "image sets to serve")
	return cmd
}
