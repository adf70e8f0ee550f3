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
		Example: "  kubectl kubernaut guards | kubectl apply -f -     # creates those that are missing\n" +
			"  kubectl kubernaut guards | kubectl replace -f -   # puts back those that were altered; with --force nothing would be refused for a moment",
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cli.Guards(cmd.OutOrStdout(), operator)
		},
	}
	operatorFlags(cmd.Flags(), &operator)
	return cmd
}
