package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/cli"
)

// clustered gives a command kubectl's own flags, and what they lead to.
func clustered(cmd *cobra.Command, run func(cmd *cobra.Command, c cli.Cluster, args []string) error) *cobra.Command {
	flags := genericclioptions.NewConfigFlags(true)
	flags.AddFlags(cmd.Flags())
	cmd.Flags().VisitAll(func(flag *pflag.Flag) { flag.Hidden = !often[flag.Name] }) // those of the command come later
	cmd.SetUsageTemplate(cmd.UsageTemplate() + "\nkubectl's other flags, as `kubectl options` lists them, are understood too.\n")
	connect := func() (cli.Cluster, error) { return cli.Connect(flags.ToRawKubeConfigLoader()) }
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		return run(cmd, c, args)
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	if strings.HasSuffix(cmd.Use, " NAME") || strings.HasSuffix(cmd.Use, " [NAME]") {
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			c, err := connect()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return c.Names(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		}
	}
	return cmd
}

// often are those of kubectl's flags that the help names; it has twenty more.
var often = map[string]bool{"namespace": true, "context": true, "kubeconfig": true}

// oneName asks for the name of one remediation.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one AlertRemediation: `kubectl kubernaut %s NAME`; `kubectl kubernaut get` lists them", cmd.Name())
	}
	return nil
}

// nameOrNone asks for the name of one remediation, or for none.
func nameOrNone(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return oneName(cmd, args)
	}
	return nil
}

// screen is where everything is printed: in colours on a terminal, plain in a pipe.
func screen(cmd *cobra.Command) cli.Screen {
	s := cli.Screen{Writer: cmd.OutOrStdout()}
	terminal := int(os.Stdout.Fd())
	if !term.IsTerminal(terminal) {
		return s
	}
	s.Colours = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" // https://no-color.org
	if width, _, err := term.GetSize(terminal); err == nil {
		s.Width = width
	}
	return s
}

func get() *cobra.Command {
	var wanted cli.Listing
	cmd := clustered(&cobra.Command{
		Use: "get [NAME]", Short: "List the alerts, what is done about each, and why", Args: nameOrNone,
		Example: "  kubectl kubernaut get -A\n  kubectl kubernaut get ar-0123456789abcdef -n shop -o yaml",
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		if len(args) == 1 {
			wanted.Name = args[0]
		}
		return wanted.Print(cmd.Context(), c, screen(cmd))
	})
	cmd.Flags().BoolVarP(&wanted.Everywhere, "all-namespaces", "A", false, "look into all namespaces")
	cmd.Flags().StringVarP(&wanted.Format, "output", "o", "", "json or yaml: the objects themselves")
	return cmd
}

func describe() *cobra.Command {
	return clustered(&cobra.Command{
		Use: "describe NAME", Short: "Print all there is to know of one remediation", Args: oneName,
		Example: "  kubectl kubernaut describe ar-0123456789abcdef -n shop",
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		return cli.Describe(cmd.Context(), c, args[0], screen(cmd))
	})
}

func timeline() *cobra.Command {
	var format string
	cmd := clustered(&cobra.Command{
		Use: "timeline NAME", Short: "Print what happened to one remediation, in order", Args: oneName,
		Example: "  kubectl kubernaut timeline ar-0123456789abcdef -n shop\n" +
			"  kubectl kubernaut timeline ar-0123456789abcdef -n shop -o markdown > post-mortem.md",
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		switch format {
		case "":
			return cli.Timeline(cmd.Context(), c, args[0], screen(cmd))
		case "markdown":
			return cli.PostMortem(cmd.Context(), c, args[0], screen(cmd))
		}
		return fmt.Errorf("-o %q is not known: say markdown, for the draft of a post-mortem, or nothing; `kubectl kubernaut get NAME -o yaml` prints the object", format)
	})
	cmd.Flags().StringVarP(&format, "output", "o", "", "markdown: the draft of a post-mortem")
	return cmd
}

func diff() *cobra.Command {
	return clustered(&cobra.Command{
		Use: "diff NAME", Short: "Print what a plan would change, and what would take it back", Args: oneName,
		Example: "  kubectl kubernaut diff ar-0123456789abcdef -n shop",
	}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		return cli.Diff(cmd.Context(), c, args[0], screen(cmd))
	})
}

func approve() *cobra.Command {
	cmd := answer("approve NAME", "Show a plan and let exactly it be carried out", v1alpha1.DecisionApproved)
	cmd.Example = "  kubectl kubernaut approve ar-0123456789abcdef -n shop\n" +
		"  kubectl kubernaut approve ar-0123456789abcdef -n shop --digest v1:sha256:… --yes   # in a script"
	return cmd
}

func reject() *cobra.Command {
	cmd := answer("reject NAME", "Show a plan and end it", v1alpha1.DecisionRejected)
	cmd.Example = "  kubectl kubernaut reject ar-0123456789abcdef -n shop --reason 'the release is being fixed'"
	return cmd
}

func answer(use, short string, decision v1alpha1.Decision) *cobra.Command {
	given := cli.Answer{Decision: decision}
	cmd := clustered(&cobra.Command{Use: use, Short: short, Args: oneName}, func(cmd *cobra.Command, c cli.Cluster, args []string) error {
		given.Name = args[0]
		person := cli.Person{In: cmd.InOrStdin(), Terminal: term.IsTerminal(int(os.Stdin.Fd()))}
		return given.Give(cmd.Context(), c, person, screen(cmd))
	})
	cmd.Flags().StringVar(&given.Reason, "reason", "", "why, for whoever reads it later")
	cmd.Flags().StringVar(&given.Digest, "digest", "", "the digest the plan must have")
	cmd.Flags().BoolVarP(&given.Yes, "yes", "y", false, "do not ask again; needed where there is no terminal")
	return cmd
}

func pause() *cobra.Command {
	var wanted cli.Pause
	cmd := clustered(&cobra.Command{
		Use: "pause", Short: "Hold everything that the policies of a namespace decide", Args: none,
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
		Use: "resume", Short: "Take your pause of a namespace back", Args: none,
		Example: "  kubectl kubernaut resume -n shop",
	}, func(cmd *cobra.Command, c cli.Cluster, _ []string) error {
		return cli.Resume(cmd.Context(), c, cmd.OutOrStdout())
	})
}
