package evidence

import (
	"slices"
	"strings"
	"testing"
)

func TestArgumentsAreRedactedByWhatTheirCommandMakesOfThem(t *testing.T) {
	rows := map[string]struct{ command, args, wantCommand, wantArgs []string }{
		"a password joined to its flag":  {[]string{"mysql", "-phunter2"}, nil, []string{"mysql", "-p[redacted]"}, nil},
		"a flag among the arguments":     {[]string{"redis-cli"}, []string{"-a", "hunter2", "ping"}, []string{"redis-cli"}, []string{"-a", "[redacted]", "ping"}},
		"the last word of the command":   {[]string{"server", "--db-pass"}, []string{"hunter2"}, []string{"server", "--db-pass"}, []string{"[redacted]"}},
		"arguments of the image":         {nil, []string{"--db-pass", "hunter2"}, nil, []string{"--db-pass", "[redacted]"}},
		"a shell":                        {[]string{"sh", "-c"}, []string{"mysql -phunter2 shop"}, []string{"sh", "-c"}, []string{"mysql -p[redacted] shop"}},
		"the same flag of a server":      {[]string{"server"}, []string{"-a", "hunter2", "-p8080"}, []string{"server"}, []string{"-a", "hunter2", "-p8080"}},
		"no words, as the object has it": {nil, nil, nil, nil},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			command, args := hideArgs(row.command, row.args)
			if !slices.Equal(command, row.wantCommand) || !slices.Equal(args, row.wantArgs) {
				t.Errorf("got %q and %q, want %q and %q", command, args, row.wantCommand, row.wantArgs)
			}
			if command == nil != (row.command == nil) || args == nil != (row.args == nil) {
				t.Errorf("got %#v and %#v: words must be nil where there are none", command, args)
			}
		})
	}
}

func TestManyAndLongWordsAreCut(t *testing.T) {
	command, args := hideArgs(slices.Repeat([]string{"a"}, 40), []string{strings.Repeat("b", 1000)})
	if len(command) != 32 || len(args) != 1 || len(args[0]) > 256 {
		t.Errorf("got %d words of the command and an argument of %d bytes", len(command), len(args[0]))
	}
}
