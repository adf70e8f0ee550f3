// Package downtest shows that `localcluster down` leaves the machine as it was, after an
// orderly `up` and after one that was killed at a random moment. Run it as root on a quiet machine:
//
//	go test -tags e2e -count 1 -v ./downtest
package downtest
