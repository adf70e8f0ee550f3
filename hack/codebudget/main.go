// Command codebudget measures the code against the budgets that keep it readable, and names what is over.
//
// Tests and generated code are not measured. What is over for a good reason stands in exemptions.txt.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const exemptionsFile = "hack/codebudget/exemptions.txt"

func main() {
	if err := run(".", os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "codebudget:", err)
		os.Exit(1)
	}
}

func run(root string, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(root, exemptionsFile))
	if err != nil {
		return fmt.Errorf("reading exemptions: %w", err)
	}
	exempt, err := parseExemptions(string(text))
	if err != nil {
		return err
	}
	survey, err := measureTree(root)
	if err != nil {
		return err
	}
	faults := judge(survey.measures, exempt)
	for _, fault := range faults {
		fmt.Fprintln(out, fault)
	}
	fmt.Fprintln(out, summary(survey))
	if len(faults) > 0 {
		return errors.New("over budget: make it simpler, or argue in " + exemptionsFile)
	}
	return nil
}
