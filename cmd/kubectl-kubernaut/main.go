// kubectl-kubernaut is the human's tool: kubectl runs it as `kubectl kubernaut`.
package main

import (
	"os"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "unknown"

func main() {
	if root().Execute() != nil {
		os.Exit(1) // cobra has said why
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "kubectl-kubernaut",
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl kubernaut"},
		Short:             "Let Kubernaut heal your namespaces",
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	cmd.AddCommand(get(), describe(), timeline(), diff(), approve(), reject(), pause(), resume(),
		why(), doctor(), testAlert(), grant(), guards(), printReceiver(), uninstall(), printVersion())
	return cmd
}
