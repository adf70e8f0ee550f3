package atonce_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubernaut/kubernaut/internal/atonce"
)

func TestAllAreUnderWayBeforeAnyReturns(t *testing.T) {
	here, there := make(chan int), make(chan int)
	var got int
	atonce.Do(
		func() { here <- 1; got = <-there },
		func() { there <- 1 + <-here },
	)
	if got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func TestAPanicIsTheCallers(t *testing.T) {
	done := false
	defer func() {
		cause := fmt.Sprint(recover())
		if !strings.HasPrefix(cause, "a nil map") || !strings.Contains(cause, "TestAPanicIsTheCallers") {
			t.Errorf("recovered %q, want what was raised and where", cause)
		}
		if !done {
			t.Error("the other one did not end first")
		}
	}()
	other := make(chan struct{})
	atonce.Do(
		func() { defer close(other); panic("a nil map") },
		func() { <-other; done = true },
	)
	t.Error("it returned")
}
