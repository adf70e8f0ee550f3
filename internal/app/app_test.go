package app

import (
	"testing"

	"github.com/kubernaut/kubernaut/internal/gate"
)

// An effect is begun only if its deadline is over before the lease is: see package leader.
func TestALeaderThatRenewsInTimeMayAct(t *testing.T) {
	if left := leaseDuration - renewDeadline; gate.EffectDeadline > left {
		t.Errorf("an effect may take %s, but a leader that was just about to give up holds the lease for %s only", gate.EffectDeadline, left)
	}
}

func TestOperatorAccount(t *testing.T) {
	rows := map[string]struct {
		user string
		want bool
	}{
		"the shipped account":                {user: "system:serviceaccount:ops:kubernaut", want: true},
		"one whose name an installer prefix": {user: "system:serviceaccount:ops:my-kubernaut", want: true},
		"the account of another namespace":   {user: "system:serviceaccount:other:kubernaut"},
		"another account of the namespace":   {user: "system:serviceaccount:ops:default"},
		"the tenants' account":               {user: "system:serviceaccount:ops:kubernaut-remediator"},
		"an administrator":                   {user: "kubernetes-admin"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := operatorAccount(row.user, "ops"); got != row.want {
				t.Errorf("operatorAccount(%q) is %t", row.user, got)
			}
		})
	}
}
