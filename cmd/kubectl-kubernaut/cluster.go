package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
)

// clustered gives a command kubectl's own flags, and what they lead to.
func clustered(cmd *cobra.Command, run func(cmd *cobra.Command, c cli.Cluster, args []string) error) *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true)
	flags.AddFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := cli.Connect(flags.ToRawKubeConfigLoader())
		if err != nil {
			return err
		}
		return run(cmd, c, args)
	}
	return cmd
}

// oneName asks for the name of one remediation.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one AlertRemediation: `kubectl kubernaut %s NAME`; `kubectl kubernaut get` lists them", cmd.Name())
	}
	return nil
}

// screen is where tables go: in colours on a terminal, plain in a pipe.
func screen(cmd *cobra.Command) cli.Screen {
	_, plain := os.LookupEnv("NO_COLOR")
	return cli.Screen{Writer: cmd.OutOrStdout(), Colours: !plain && term.IsTerminal(int(os.Stdout.Fd()))}
}

func get() *cobra.Command {
	var everywhere bool
	cmd := clustered(&cobra.Command{
		Use: "get", Short: "List the alerts, what is done about each, and why", Args: cobra.NoArgs,
	}, func(cmd *cobra.Command, c cli.Cluster, _ []string) error {
		return cli.Get(cmd.Context(), c, everywhere, screen(cmd))
	})
	cmd.Flags().BoolVarP(&everywhere, "all-namespaces", "A", false, "look into all namespaces")
	return cmd
}

func describe() *cobra.Command {
	return clustered(&cobra.Command{
		Use: "describe NAME", Short: "Print all there is to know of one remediation", Args: oneName,
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		return cli.Describe(cmd.Context(), c, args[0], cmd.OutOrStdout())
	})
}

func timeline() *cobra.Command {
	var format string
	cmd := clustered(&cobra.Command{
		Use: "timeline NAME", Short: "Print what happened to one remediation, in order", Args: oneName,
		Example: "  kubectl kubernaut timeline ar-0123456789abcdef -n shop -o markdown > post-mortem.md",
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		switch format {
		case "":
			return cli.Timeline(cmd.Context(), c, args[0], cmd.OutOrStdout())
		case "markdown":
			return cli.PostMortem(cmd.Context(), c, args[0], cmd.OutOrStdout())
		}
		return fmt.Errorf("-o %q is not known: say markdown, for the draft of a post-mortem, or nothing", format)
	})
	cmd.Flags().StringVarP(&format, "output", "o", "", "markdown: the draft of a post-mortem")
	return cmd
}

func diff() *cobra.Command {
	return clustered(&cobra.Command{
		Use: "diff NAME", Short: "Print what a plan would change, and what would take it back", Args: oneName,
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		return cli.Diff(cmd.Context(), c, args[0], cmd.OutOrStdout())
	})
}

func approve() *cobra.Command {
	cmd := answer("approve NAME", "Show a plan and let exactly it be carried out", v1alpha1.DecisionApproved)
	cmd.Example = "  kubectl kubernaut approve ar-0123456789abcdef -n shop\n" +
		"  kubectl kubernaut approve ar-0123456789abcdef -n shop --digest v1:sha256:… --yes   # in a script"
	return cmd
}

func reject() *cobra.Command {
	return answer("reject NAME", "Show a plan and end it", v1alpha1.DecisionRejected)
}

func answer(use, short string, decision v1alpha1.Decision) *cobra.Command {
	given := cli.Answer{Decision: decision}
	cmd := clustered(&cobra.Command{Use: use, Short: short, Args: oneName}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		given.Name = args[0]
		person := cli.Person{In: cmd.InOrStdin(), Terminal: term.IsTerminal(int(os.Stdin.Fd()))}
		return given.Give(cmd.Context(), c, person, cmd.OutOrStdout())
	})
	cmd.Flags().StringVar(&given.Reason, "reason", "", "why, for whoever reads it later")
	cmd.Flags().StringVar(&given.Digest, "digest", "", "the digest the plan must have")
	cmd.Flags().BoolVarP(&given.Yes, "yes", "y", false, "do not ask again")
	return cmd
}

func pause() *cobra.Command {
	var wanted cli.Pause
	cmd := clustered(&cobra.Command{
		Use: "pause", Short: "Hold everything that the policies of a namespace decide", Args: cobra.NoArgs,
		Example: "  kubectl kubernaut pause -n shop --for 2h --reason 'moving the database'",
	}, func(cmd *cobra.Command, c cli.Cluster, _ []string) error {
		return wanted.Ask(cmd.Context(), c, cmd.OutOrStdout())
	})
	cmd.Flags().DurationVar(&wanted.For, "for", 2*time.Hour, "how long; 0: until it is taken back")
	cmd.Flags().StringVar(&wanted.Reason, "reason", "", "why, for whoever is paged meanwhile")
	return cmd
}

func resume() *cobra.Command {
	return clustered(&cobra.Command{
		Use: "resume", Short: "Take your pause of a namespace back", Args: cobra.NoArgs,
	}, func(cmd *cobra.Command, c cli.Cluster, _ []string) error {
		return cli.Resume(cmd.Context(), c, cmd.OutOrStdout())
	})
}
