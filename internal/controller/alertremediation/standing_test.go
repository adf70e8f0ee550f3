package alertremediation_test

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/kubetest/build"
)

// alerted is a remediation that the webhook made.
func alerted(name string) func(*house) build.RemediationBuilder {
	return func(h *house) build.RemediationBuilder { return build.Remediation(h.ns, name).FromAlertmanager(name) }
}

// watched is one that a trigger made.
func watched(name string) func(*house) build.RemediationBuilder {
	return func(h *house) build.RemediationBuilder {
		return alerted(name)(h).With(func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Source = v1alpha1.SourceWatch })
	}
}

// written is one that a user created.
func written(name string) func(*house) build.RemediationBuilder {
	return func(h *house) build.RemediationBuilder { return build.Remediation(h.ns, name) }
}

// suspended is one that a user created and holds.
func suspended(name string) func(*house) build.RemediationBuilder {
	return func(h *house) build.RemediationBuilder { return written(name)(h).Suspended() }
}

// impostor is one that a user created with the fingerprint of an alert.
func impostor(name, fingerprint string) func(*house) build.RemediationBuilder {
	return func(h *house) build.RemediationBuilder {
		return written(name)(h).With(func(ar *v1alpha1.AlertRemediation) { ar.Spec.Alert.Fingerprint = fingerprint })
	}
}

// behind is a client whose lists show nothing yet, as those of a cache that is behind.
type behind struct{ client.Client }

func (behind) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
