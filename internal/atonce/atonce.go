// Package atonce asks several things at once, and answers for what goes wrong there
// as if they had been asked one after the other.
package atonce

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// Do calls the functions side by side and returns when all have. None may need what
// another one does. The first that panics has its panic raised here: in a goroutine of
// its own it would end the process, whoever recovers for the caller.
func Do(functions ...func()) {
	var calls sync.WaitGroup
	var first sync.Once
	var panicked error
	for _, call := range functions {
		calls.Go(func() {
			defer func() {
				if cause := recover(); cause != nil {
					first.Do(func() { panicked = fmt.Errorf("%v\n\n%s", cause, debug.Stack()) })
				}
			}()
			call()
		})
	}
	calls.Wait()
	if panicked != nil {
		panic(panicked)
	}
}
