// Command demo shows the whole loop on a real cluster: workloads get sick, real
// alerts fire, and the operator finds the causes, shows its plans, carries them
// out with the tenants' rights and proves that they helped. It judges with its
// own eyes, and fails when they and the operator disagree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// options are what a user may choose.
type options struct {
	keep       bool
	existing   bool
	kubernetes string
	nodes      int
	bin        string
	output     string
	only       string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctrllog.SetLogger(logr.Discard()) // else controller-runtime prints a stack once the cluster took long to come up
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{}
	cluster := ""
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.BoolVar(&o.keep, "keep", false, "leave the cluster up at the end")
	flags.StringVar(&cluster, "cluster", "", `"existing" uses the cluster of the current kubeconfig; else one is made`)
	flags.StringVar(&o.kubernetes, "kubernetes", "1.37.2", "version of the cluster that is made")
	flags.IntVar(&o.nodes, "nodes", 2, "nodes of the cluster that is made")
	flags.StringVar(&o.bin, "bin", "bin", "directory of kubernaut, kubectl-kubernaut and localcluster")
	flags.StringVar(&o.output, "output", filepath.Join("_output", "demo.json"), "where the figures are written")
	flags.StringVar(&o.only, "only", "", "run this incident only")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if cluster != "" && cluster != "existing" {
		return o, fmt.Errorf(`--cluster is "existing" or empty, not %q`, cluster)
	}
	o.existing = cluster == "existing"
	return o, nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	started := time.Now()
	c, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		if !o.keep {
			err = errors.Join(err, c.close(context.WithoutCancel(ctx)))
		}
	}()
	tour := &tour{cluster: c, incidents: chosen(o.only), started: started}
	if err := tour.prepare(ctx); err != nil {
		return err
	}
	results, err := tour.run(ctx)
	if err != nil {
		return err
	}
	if err := write(o.output, report{Kubernetes: c.version, Nodes: c.nodes, OK: allGood(results), Incidents: results}); err != nil {
		return err
	}
	summarise(os.Stdout, results, c, o)
	if !allGood(results) {
		return errors.New("at least one incident did not end as it should; the table above says which")
	}
	return nil
}
