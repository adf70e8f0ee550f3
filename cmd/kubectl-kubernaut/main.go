// kubectl-kubernaut is the human's tool: kubectl runs it as `kubectl kubernaut`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// version is set by the linker.
var version = "unknown"

func main() {
	// An interrupt ends what is under way in order: test-alert takes its alert back.
	// A second one ends the program where it is.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	log.SetLogger(logr.Discard()) // what the client logs is for no person; with no logger at all it logs a stack
	if root(os.Args).ExecuteContext(ctx) != nil {
		stop()
		os.Exit(1) // cobra has said why
	}
}

// completer is the name under which kubectl asks for completions of a plugin: a
// link to this program will do.
const completer = "kubectl_complete-kubernaut"

func root(args []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               "kubectl-kubernaut",
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl kubernaut"},
		Short:             "Let Kubernaut heal your namespaces",
		Long:              "See what Kubernaut found, decide about its plans, and look whether all is in order.\nIt has the rights of your kubeconfig and no others.",
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.AddGroup(&cobra.Group{ID: look, Title: "Look:"}, &cobra.Group{ID: decide, Title: "Decide:"}, &cobra.Group{ID: care, Title: "Look after it:"})
	cmd.AddCommand(grouped(look, get(), describe(), timeline(), diff(), why())...)
	cmd.AddCommand(grouped(decide, approve(), reject(), pause(), resume())...)
	cmd.AddCommand(grouped(care, doctor(), testAlert(), grant(), guards(), printReceiver(), uninstall())...)
	cmd.AddCommand(printVersion())
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; `%s --help` lists the flags", err, cmd.CommandPath())
	})
	if filepath.Base(args[0]) == completer {
		cmd.SetArgs(append([]string{cobra.ShellCompRequestCmd}, args[1:]...))
	}
	return cmd
}

// The groups of commands.
const (
	look   = "look"
	decide = "decide"
	care   = "care"
)

func grouped(group string, commands ...*cobra.Command) []*cobra.Command {
	for _, cmd := range commands {
		cmd.GroupID = group
	}
	return commands
}

// none asks for no arguments, and says how the namespace is named: that is what
// people who give one mean.
func none(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.Flags().Lookup("namespace") == nil {
		return errors.New(cmd.CommandPath() + " takes no arguments; `" + cmd.CommandPath() + " --help` says more")
	}
	return errors.New(cmd.CommandPath() + " takes no arguments: name the namespace with -n")
}
