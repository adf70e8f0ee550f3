package intake

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/redact"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

const (
	// nameLabel carries the alert's name, for kubectl get -l; the name itself is in the spec.
	nameLabel = "kubernaut.io/alert"
	// alteredAnnotation says what of the alert was cut, renamed or left out.
	alteredAnnotation = "kubernaut.io/altered"
)

// firing is which firing of which alert a delivery is about, and where its
// object belongs. It costs little: most deliveries are repeats.
type firing struct {
	object      types.NamespacedName
	alert       string
	cluster     string
	fingerprint string
	startsAt    time.Time
}

// identify reads it from the labels, and refuses an alert whose name could not be shown.
func identify(a alert.Alert, s Settings) (firing, error) {
	name := redact.Line(a.Name(), maxName)
	if name != a.Name() {
		return firing{}, &refusal{reason: reasonUnfitName}
	}
	cluster := redact.Line(a.Labels[s.ClusterLabel], maxName)
	return firing{
		object:      types.NamespacedName{Namespace: namespaceOf(a.Labels, s.Namespace), Name: alert.ObjectName(cluster, a.Labels, a.StartsAt)},
		alert:       name,
		cluster:     cluster,
		fingerprint: a.Identity(),
		startsAt:    a.StartsAt.UTC(),
	}, nil
}

// remediation returns the object that a firing becomes: in the namespace and
// under the name that its labels decide, with nothing in it that could not be
// shown to everybody who reads that namespace.
func (f firing) remediation(a alert.Alert, groupKey string) *v1alpha1.AlertRemediation {
	labels, annotations, altered := stored(a)
	ar := &v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: f.object.Namespace,
			Name:      f.object.Name,
			Labels:    map[string]string{v1alpha1.FingerprintLabel: f.fingerprint, nameLabel: labelValue(f.alert)},
		},
		Spec: v1alpha1.AlertRemediationSpec{Alert: v1alpha1.Alert{
			Source:       v1alpha1.SourceAlertmanager,
			Cluster:      f.cluster,
			Fingerprint:  f.fingerprint,
			Name:         f.alert,
			Severity:     v1alpha1.Severity(alert.Severity(a.Labels)),
			Labels:       labels,
			Annotations:  annotations,
			StartsAt:     metav1.NewTime(f.startsAt),
			GeneratorURL: redact.Line(a.GeneratorURL, maxURL),
			GroupKey:     redact.Line(groupKey, maxGroupKey),
		}},
	}
	if altered != "" {
		ar.Annotations = map[string]string{alteredAnnotation: altered}
	}
	return ar
}

// made reports whether intake made an object for this firing. The API server
// stores times to the second.
func (f firing) made(found *v1alpha1.AlertRemediation) bool {
	a := found.Spec.Alert
	return a.Source == v1alpha1.SourceAlertmanager && a.Fingerprint == f.fingerprint && a.StartsAt.Unix() == f.startsAt.Unix()
}

// namespaceOf puts an alert about a node, or about nothing in particular, into
// the operator's namespace.
func namespaceOf(labels map[string]string, operator string) string {
	if subject, named := alert.Subject(labels); named {
		return cmp.Or(subject.Namespace, operator)
	}
	return cmp.Or(alert.Namespace(labels), operator)
}

var notInLabel = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// labelValue makes the value of a Kubernetes label of any text. What had to be
// changed ends in a hash, so that two texts never become one value.
func labelValue(text string) string {
	const longest = 63
	value := strings.Trim(notInLabel.ReplaceAllString(text, "_"), "_.-")
	if value == text && len(value) <= longest {
		return value
	}
	return strings.TrimLeft(value[:min(len(value), longest-len("_")-hashed)]+"_"+hash(text), "_")
}

// hashed is the length of what hash returns.
const hashed = 8

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:hashed/2])
}
