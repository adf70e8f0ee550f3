package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubernaut/kubernaut/internal/cli"
	"github.com/kubernaut/kubernaut/internal/receiver"
)

// oneWorkload asks for one workload.
func oneWorkload(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one workload: `kubectl kubernaut " + cmd.Name() + " NAMESPACE/NAME`, such as shop/web or shop/statefulset/db")
	}
	return nil
}

func why() *cobra.Command {
	var asked cli.Why
	cmd := clustered(&cobra.Command{
		Use: "why NAMESPACE/WORKLOAD", Short: "Say which gates would stand in the way of a change now", Args: oneWorkload,
		Example: "  kubectl kubernaut why shop/web\n  kubectl kubernaut why shop/statefulset/db",
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		asked.Workload = args[0]
		return asked.Print(cmd.Context(), c, cmd.OutOrStdout())
	})
	operatorFlags(cmd.Flags(), &asked.Operator)
	return cmd
}

func doctor() *cobra.Command {
	var wanted cli.Doctor
	cmd := clustered(&cobra.Command{
		Use: "doctor", Short: "Look whether everything is in order, and say what mends what is not", Args: none,
		Long: "Look at the operator, its leader and guards, the emergency stop, the policies and grants, the webhook, who may\n" +
			"send to it and when Alertmanager was last heard of. The exit code is 1 if something keeps Kubernaut from working.",
	}, func(cmd *cobra.Command, c cli.Cluster, _ []string) error {
		return wanted.Print(cmd.Context(), c, screen(cmd))
	})
	operatorFlags(cmd.Flags(), &wanted.Operator)
	return cmd
}

func testAlert() *cobra.Command {
	var wanted cli.TestAlert
	cmd := clustered(&cobra.Command{
		Use: "test-alert NAMESPACE/WORKLOAD", Short: "Have a workload looked into as if an alert fired; nothing is done", Args: oneWorkload,
		Long: "Make an AlertRemediation about a workload, in mode Observe, tell what the operator finds and plans as it happens, and\n" +
			"remove it again. It does not come through the webhook: whether Alertmanager reaches that, trusts its certificate and\n" +
			"has a token that is taken is not tried. `kubectl kubernaut doctor` says when Alertmanager was last heard of.",
		Example: "  kubectl kubernaut test-alert shop/web",
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		wanted.Workload = args[0]
		return wanted.Walk(cmd.Context(), c, cmd.OutOrStdout())
	})
	cmd.Flags().BoolVar(&wanted.Keep, "keep", false, "do not remove the AlertRemediation at the end")
	cmd.Flags().DurationVar(&wanted.Timeout, "timeout", time.Minute, "how long to wait for the end")
	return cmd
}

func uninstall() *cobra.Command {
	var wanted cli.Uninstall
	cmd := clustered(&cobra.Command{
		Use: "uninstall", Short: "Remove all objects of Kubernaut's kinds, so that nothing hangs on a finalizer", Args: none,
		Long: "Remove all objects of Kubernaut's kinds, so that nothing hangs on a finalizer, and print what removes the rest.\n" +
			"While a run is under way it does nothing, since an operator has to end it. If the operator died, --abandon makes\n" +
			"sure that none is at work, and says what is half done and how to look at it; with --yes it removes the runs as they are.",
		Example: "  kubectl kubernaut uninstall             # what there is\n  kubectl kubernaut uninstall --yes       # removes it\n" +
			"  kubectl kubernaut uninstall --abandon   # what is half done, if the operator died",
	}, func(cmd *cobra.Command, c cli.Cluster, _ []string) error {
		return wanted.Run(cmd.Context(), c, cmd.OutOrStdout())
	})
	cmd.Flags().BoolVarP(&wanted.Yes, "yes", "y", false, "really remove them, with their history")
	cmd.Flags().BoolVar(&wanted.Abandon, "abandon", false, "leave runs half done that no operator is left to end")
	cmd.Flags().DurationVar(&wanted.Patience, "patience", 30*time.Second, "how long the operator has to let go of its runs, or to show that it is at work")
	operatorFlags(cmd.Flags(), &wanted.Operator)
	return cmd
}

func printReceiver() *cobra.Command {
	var wanted receiver.Receiver
	cmd := &cobra.Command{
		Use: "receiver", Short: "Print what Alertmanager has to be told", Args: none,
		Example: "  kubectl kubernaut receiver > alertmanager.yaml",
		Long: "Print a configuration of Alertmanager with a route and a receiver for Kubernaut.\n" +
			"It wants a token for audience kubernaut of an account with ClusterRole kubernaut-alert-sender, and the\n" +
			"authority of the webhook's certificate (key ca.crt of Secret kubernaut-intake-tls), each as a file of its own.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := wanted.Config()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&wanted.URL, "url", "https://kubernaut.kubernaut-system.svc:9094/webhook/alertmanager", "address of the webhook")
	cmd.Flags().StringVar(&wanted.ServerName, "server-name", "", "name in the webhook's certificate, if the address has another")
	cmd.Flags().StringVar(&wanted.CAFile, "ca-file", "/etc/alertmanager/kubernaut/ca.crt", "the authority, where Alertmanager finds it")
	cmd.Flags().StringVar(&wanted.CredentialsFile, "credentials-file", "/var/run/secrets/kubernaut/token", "the token, where Alertmanager finds it")
	return cmd
}
