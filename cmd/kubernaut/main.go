// Command kubernaut is the operator: its controllers, its alert intake, its
// metrics and its health, in one process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"go.uber.org/zap/zapcore"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/kubernaut/kubernaut/internal/app"
	"github.com/kubernaut/kubernaut/internal/config"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(ctrl.SetupSignalHandler(), os.Args[1:], os.Stderr))
}

// run parses the command line, runs the operator and returns the exit code.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("kubernaut", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "/etc/kubernaut/config.yaml", "configuration file")
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of the operator's own ServiceAccount, outside a cluster")
	show := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *show {
		fmt.Fprintln(stderr, "kubernaut", version)
		return 0
	}
	cfg, err := config.Load(*path)
	if err != nil {
		fmt.Fprintln(stderr, "kubernaut:", err)
		return 2
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(stderr), zap.Level(zapcore.InfoLevel)))
	if err := app.Run(ctx, cfg, app.Options{Kubeconfig: *kubeconfig, Version: version}); err != nil {
		fmt.Fprintln(stderr, "kubernaut:", err)
		return 1
	}
	return 0
}
