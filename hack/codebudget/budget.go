package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// budget is what may be measured, and how much of it is too much.
type budget string

const (
	functionLines    budget = "function-lines"
	reconcileLines   budget = "reconcile-lines"
	complexity       budget = "complexity"
	parameters       budget = "parameters"
	constructorNeeds budget = "constructor-parameters"
	interfaceMethods budget = "interface-methods"
	fileLines        budget = "file-lines"
	fanOut           budget = "fan-out"
	makefileLines    budget = "makefile-lines"
)

var limits = map[budget]int{
	functionLines:    80,
	reconcileLines:   45,
	complexity:       11,
	parameters:       4,
	constructorNeeds: 6,
	interfaceMethods: 3,
	fileLines:        500,
	fanOut:           10, // of our own packages
	makefileLines:    150,
}

// Limits of the distribution of function lengths: one long function is a table, many are a style.
const (
	medianFunctionLines = 12
	p95FunctionLines    = 45
)

// measure is one number about one thing.
type measure struct {
	budget budget
	name   string // package and name, or path
	value  int
}

func (m measure) key() string { return string(m.budget) + " " + m.name }

// judge names what is over budget and not exempt, and each exemption that nothing needs any more.
func judge(measures []measure, exempt map[string]string) []string {
	var faults []string
	needed := map[string]bool{}
	for _, m := range measures {
		if m.value <= limits[m.budget] {
			continue
		}
		needed[m.key()] = true
		if _, ok := exempt[m.key()]; !ok {
			faults = append(faults, fmt.Sprintf("%s: %s is %d, the budget is %d", m.name, m.budget, m.value, limits[m.budget]))
		}
	}
	for key := range exempt {
		if !needed[key] {
			faults = append(faults, fmt.Sprintf("%s: nothing is over this budget any more; remove the line", key))
		}
	}
	slices.Sort(faults)
	return append(faults, judgeLengths(measures)...)
}

func judgeLengths(measures []measure) []string {
	lengths := functionLengths(measures)
	var faults []string
	if got := quantile(lengths, 50); got > medianFunctionLines {
		faults = append(faults, fmt.Sprintf("all functions: the median length is %d lines, the budget is %d", got, medianFunctionLines))
	}
	if got := quantile(lengths, 95); got > p95FunctionLines {
		faults = append(faults, fmt.Sprintf("all functions: one in twenty is longer than %d lines, the budget is %d", got, p95FunctionLines))
	}
	return faults
}

func functionLengths(measures []measure) []int {
	var lengths []int
	for _, m := range measures {
		if m.budget == functionLines {
			lengths = append(lengths, m.value)
		}
	}
	slices.Sort(lengths)
	return lengths
}

// quantile of sorted values.
func quantile(sorted []int, percent int) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[percent*(len(sorted)-1)/100]
}

// parseExemptions reads lines of the form "budget name: reason".
func parseExemptions(text string) (map[string]string, error) {
	exempt := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, reason, _ := strings.Cut(line, ": ")
		kind, name, _ := strings.Cut(key, " ")
		if limits[budget(kind)] == 0 || name == "" || reason == "" {
			return nil, fmt.Errorf("%s:%d: want \"budget name: reason\", with one of the budgets %s", exemptionsFile, i+1, budgetNames())
		}
		exempt[key] = reason
	}
	return exempt, nil
}

func budgetNames() string {
	var names []string
	for b := range limits {
		names = append(names, string(b))
	}
	slices.SortFunc(names, cmp.Compare)
	return strings.Join(names, ", ")
}

func summary(s survey) string {
	lengths := functionLengths(s.measures)
	return fmt.Sprintf("%d lines of code in %d functions: median %d, p95 %d, longest %d; comments %d %% of lines, %d %% inside functions",
		s.code, len(lengths), quantile(lengths, 50), quantile(lengths, 95), quantile(lengths, 100),
		percent(s.comments, s.comments+s.code), percent(s.bodyComments, s.bodyComments+s.bodyCode))
}

func percent(part, whole int) int {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}
