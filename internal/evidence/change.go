package evidence

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/internal/vitals"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// changed notes who last wrote a field of the target, as managedFields tell.
func (l *look) changed(obj client.Object, path ...string) {
	last := vitals.LastWrite(obj, path...)
	if last == nil {
		return
	}
	l.snapshot.Changes = append(l.snapshot.Changes, analysis.Change{
		Object: v1alpha1.ObjectReference{APIVersion: l.snapshot.Target.APIVersion, Kind: l.snapshot.Target.Kind, Namespace: obj.GetNamespace(), Name: obj.GetName()},
		Field:  path[0] + "." + path[1],
		By:     redact.Line(last.Manager, 128),
		At:     last.Time.UTC(),
	})
}
