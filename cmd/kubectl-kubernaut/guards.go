package main

import (
	"github.com/spf13/cobra"

	"github.com/kubernaut/kubernaut/internal/cli"
)

func guards() *cobra.Command {
	var operator cli.Operator
	cmd := &cobra.Command{
		Use:   "guards",
		Short: "Print the admission policies without which Kubernaut does nothing",
		Example: "  kubectl kubernaut guards | kubectl apply -f -\n" +
			"  kubectl kubernaut guards | kubectl replace --force -f -   # when somebody altered them",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cli.Guards(cmd.OutOrStdout(), operator)
		},
	}
	operatorFlags(cmd.Flags(), &operator)
	return cmd
}
