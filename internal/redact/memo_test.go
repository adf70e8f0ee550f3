package redact

import (
	"strconv"
	"strings"
	"testing"
)

func TestATextIsNotTakenForAField(t *testing.T) {
	if got := Text("password\x00hunter2x9"); got == Marker {
		t.Error("a text was redacted whole")
	}
	if got := Field("password", "hunter2x9"); got != Marker {
		t.Errorf("the field is %q", got)
	}
}

func TestMemo(t *testing.T) {
	m := newMemo()
	asked := 0
	upper := func(s string) string { asked++; return strings.ToUpper(s) }
	for range 3 {
		if got := m.text("a label", upper); got != "A LABEL" {
			t.Fatalf("got %q", got)
		}
	}
	if asked != 1 {
		t.Errorf("a short text was redacted %d times, want once", asked)
	}
	long := strings.Repeat("x", memoText+1)
	m.text(long, upper)
	if m.text(long, upper); asked != 3 {
		t.Errorf("a long text is remembered")
	}
	for i := range memoSize {
		m.text(strconv.Itoa(i), upper)
	}
	if len(m.results) > memoSize {
		t.Errorf("%d texts are remembered, more than %d", len(m.results), memoSize)
	}
}
