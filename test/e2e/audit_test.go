//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// audited returns what changed something in a namespace, in order.
func audited(namespace string) []auditv1.Event {
	GinkgoHelper()
	file, err := os.Open(cluster.Status.AuditLog)
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = file.Close() }()
	var found []auditv1.Event
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e auditv1.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.ObjectRef == nil || e.ObjectRef.Namespace != namespace || e.ResponseStatus == nil {
			continue
		}
		wrote := slices.Contains([]string{"create", "update", "patch", "delete"}, e.Verb)
		if wrote && e.ResponseStatus.Code < 300 && !strings.Contains(e.RequestURI, "dryRun=All") {
			found = append(found, e)
		}
	}
	Expect(lines.Err()).NotTo(HaveOccurred())
	return found
}

// changes returns what the operator and the remediator changed in a namespace,
// their own kinds and book-keeping aside.
func changes(namespace string) []string {
	GinkgoHelper()
	var found []string
	for _, e := range audited(namespace) {
		ours := e.User.Username == "system:serviceaccount:"+operatorNamespace+":kubernaut" ||
			e.ImpersonatedUser != nil && strings.HasSuffix(e.ImpersonatedUser.Username, ":"+v1alpha1.RemediatorAccount)
		if ours && e.ObjectRef.Resource != "events" && !slices.Contains([]string{
			v1alpha1.GroupVersion.Group, "coordination.k8s.io", "authorization.k8s.io", "authentication.k8s.io",
		}, e.ObjectRef.APIGroup) {
			found = append(found, e.Verb+" "+e.ObjectRef.Resource+"/"+e.ObjectRef.Name)
		}
	}
	return found
}

// planned is when the API server had written that the plan of a remediation is made.
func planned(ar *v1alpha1.AlertRemediation) time.Time {
	GinkgoHelper()
	for _, e := range audited(ar.Namespace) {
		if e.ObjectRef.Resource != "alertremediations" || e.ObjectRef.Subresource != "status" || e.ObjectRef.Name != ar.Name || e.RequestObject == nil {
			continue
		}
		var body v1alpha1.AlertRemediation
		if json.Unmarshal(e.RequestObject.Raw, &body) == nil && meta.IsStatusConditionTrue(body.Status.Conditions, v1alpha1.Planned) {
			return e.StageTimestamp.Time
		}
	}
	Fail("the audit log has no write that says Planned of " + ar.Name)
	return time.Time{}
}
