package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/kubernaut/kubernaut/internal/redact"
)

// Screen is where everything is printed.
type Screen struct {
	io.Writer
	// Colours, for a person's terminal.
	Colours bool
	// Width of a terminal in characters; zero: as wide as need be.
	Width int
}

// The colours, by the codes of ANSI terminals.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint colours a word, if there are colours.
func (s Screen) paint(code, word string) string {
	if !s.Colours || code == "" || word == "" {
		return word
	}
	return "\x1b[" + code + "m" + word + "\x1b[0m"
}

// printer writes lines, and keeps the first fault for the end.
type printer struct {
	Screen
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p, format+"\n", args...)
	}
}

// block prints a text of several lines, each of them harmless to a terminal.
func (p *printer) block(indent, text string) {
	for line := range strings.Lines(redact.Text(text)) {
		p.line("%s%s", indent, strings.TrimRight(line, "\n"))
	}
}

// diff prints what would change, in the colours that people know from git.
func (p *printer) diff(indent, text string) {
	for line := range strings.Lines(redact.Text(text)) {
		code := ""
		switch line[0] {
		case '+':
			code = green
		case '-':
			code = red
		}
		p.line("%s%s", indent, p.paint(code, strings.TrimRight(line, "\n")))
	}
}
