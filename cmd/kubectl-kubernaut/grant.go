package main

import (
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/pkg/action"
)

func grant() *cobra.Command {
	var wanted cli.Grant
	var level string
	cmd := &cobra.Command{
		Use:   "grant NAMESPACE",
		Short: "Print what makes a namespace healable",
		Long: "Print the ServiceAccount kubernaut-remediator with the rights of a level, and what lets the operator act as it.\n" +
			"Levels: restart (restarts only), scale (also how many there are), full (every action on namespaced objects).\n" +
			"Level node (the actions on nodes) is for the operator's own namespace only.",
		Example: "  kubectl kubernaut grant shop --level restart | kubectl apply -f -\n" +
			"  kubectl kubernaut grant kubernaut-system --level node | kubectl apply -f -",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("name one namespace: `kubectl kubernaut grant NAMESPACE`, such as shop")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted.Namespace, wanted.Level = args[0], action.Level(level)
			return wanted.Print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&level, "level", string(action.LevelFull), "restart, scale, full or node")
	cmd.Flags().StringVar(&wanted.NodeLeases, "node-leases", "medik8s-leases", "namespace in which remediators of nodes keep their leases (level node)")
	operatorFlags(cmd.Flags(), &wanted.Operator)
	return cmd
}

func operatorFlags(flags *pflag.FlagSet, operator *cli.Operator) {
	flags.StringVar(&operator.Namespace, "operator-namespace", "kubernaut-system", "namespace of the operator")
	flags.StringVar(&operator.Account, "operator-account", "kubernaut", "ServiceAccount of the operator")
}
