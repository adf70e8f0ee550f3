package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// remediation returns the object that an alert becomes: in the namespace and
// under the name that its labels decide, with nothing in it that could not be
// shown to everybody who reads that namespace.
func remediation(a alert.Alert, groupKey string, s Settings) (*v1alpha1.AlertRemediation, error) {
	name := redact.Line(a.Name(), maxName)
	if name != a.Name() {
		return nil, &refusal{reason: reasonUnfitName}
	}
	cluster := redact.Line(a.Labels[s.ClusterLabel], maxName)
	labels, annotations, altered := stored(a)
	ar := &v1alpha1.AlertRemediation{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespaceOf(a.Labels, s.Namespace),
			Name:      alert.ObjectName(cluster, a.Labels, a.StartsAt),
			Labels:    map[string]string{v1alpha1.FingerprintLabel: a.Identity(), nameLabel: labelValue(name)},
		},
		Spec: v1alpha1.AlertRemediationSpec{Alert: v1alpha1.Alert{
			Source:       v1alpha1.SourceAlertmanager,
			Cluster:      cluster,
			Fingerprint:  a.Identity(),
			Name:         name,
			Severity:     v1alpha1.Severity(alert.Severity(a.Labels)),
			Labels:       labels,
			Annotations:  annotations,
			StartsAt:     metav1.NewTime(a.StartsAt.UTC()),
			GeneratorURL: redact.Line(a.GeneratorURL, maxURL),
			GroupKey:     redact.Line(groupKey, maxGroupKey),
		}},
	}
	if altered != "" {
		ar.Annotations = map[string]string{alteredAnnotation: altered}
	}
	return ar, nil
}

// namespaceOf puts an alert about a node, or about nothing in particular, into
// the operator's namespace.
func namespaceOf(labels map[string]string, operator string) string {
	subject, named := alert.Subject(labels)
	if named {
		labels = map[string]string{"namespace": subject.Namespace}
	}
	if ns := alert.Namespace(labels); ns != "" {
		return ns
	}
	return operator
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
