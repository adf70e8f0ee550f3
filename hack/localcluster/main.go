// Command localcluster makes real Kubernetes clusters on one Linux machine: nodes with
// containerd in network namespaces, a control plane built from Go modules, and nothing
// that ever leaves the machine.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, out, progress io.Writer) int {
	root := &cobra.Command{
		Use:           "localcluster",
		Short:         "Real Kubernetes clusters on one Linux machine, for demos and tests",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	where := &place{}
	where.register(root)
	root.AddCommand(
		upCommand(where), downCommand(where), statusCommand(where), kubeconfigCommand(where),
		loadCommand(where), reloadCommand(where), binariesCommand(where), imageCommand(),
		snapshotCommand(), registryCommand(where),
	)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(progress)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(progress, "localcluster:", err)
		return 1
	}
	return 0
}
