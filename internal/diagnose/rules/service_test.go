package rules_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/diagnose/rules"
	"github.com/kubernaut/kubernaut/pkg/analysis"
)

// selects gives the Service of a scene a selector, and its only workload these labels.
func selects(selector, template map[string]string) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) {
		s.Services[0].Spec.Selector = selector
		for i := range s.Deployments {
			s.Deployments[i].Spec.Template.Labels = template
			s.Deployments[i].Spec.Selector.MatchLabels = template
		}
	}
}

// carried: pods of the namespace carry a label that no template names.
func carried(key string, values ...string) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) { s.PodLabels = map[string][]string{key: values} }
}

func writtenLater(s *analysis.Snapshot) {
	s.Changes[0].At = s.Services[0].CreationTimestamp.Add(time.Hour)
}

func servedToo(headless bool) func(*analysis.Snapshot) {
	return func(s *analysis.Snapshot) {
		other := *s.Services[0].DeepCopy()
		other.Name, other.Spec.Selector = "second", s.Deployments[0].Spec.Template.Labels
		if headless {
			other.Spec.ClusterIP = corev1.ClusterIPNone
		}
		s.Services = append(s.Services, other)
	}
}

// TestServiceSelectors changes a scene whose selector is mended.
func TestServiceSelectors(t *testing.T) {
	type labels = map[string]string
	replicated := labels{"app": "door", "setup": "replicated"}
	rows := map[string]struct {
		file    string
		changes []func(*analysis.Snapshot)
		mended  string // the selector; empty: a person is called
		says    string
	}{
		"a slip": {file: "selector-slip", mended: "app=cart"},
		"a slip, and a headless Service serves the pods": {file: "selector-slip", changes: []func(*analysis.Snapshot){func(s *analysis.Snapshot) {
			other := *s.Services[0].DeepCopy()
			other.Name, other.Spec.ClusterIP, other.Spec.Selector = "cart-headless", corev1.ClusterIPNone, labels{"app": "cart"}
			s.Services = append(s.Services, other)
		}}, says: "Service/cart-headless selects its pods already"},
		"another key":                          {file: "selector-other-key", mended: "app=lobby"},
		"another key, which pods carry though": {file: "selector-other-key", changes: []func(*analysis.Snapshot){carried("application", "bar")}, says: "pods of the namespace carry the label application (bar)"},
		"a role that pods carry at run time": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "setup": "replicated", "store-role": "leader"}, replicated), carried("store-role", "follower")}, says: "pods of the namespace carry the label store-role (follower)"},
		"a role that pods carry at run time, of a Service that was written later": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "setup": "replicated", "store-role": "leader"}, replicated), carried("store-role", "follower"), writtenLater}, says: "store-role"},
		"a role that only the leader carries, while there is none": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "setup": "replicated", "store-role": "leader"}, replicated)}, says: "store-role=leader would be dropped"},
		"a role, and another Service serves all": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "setup": "replicated", "store-role": "leader"}, replicated), servedToo(false)}, says: "Service/second selects its pods already"},
		"a colour that is yet to come": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "color": "green"}, labels{"app": "door", "color": "blue"}), carried("color", "blue")}, says: "color=green"},
		"a colour that was switched": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "color": "green"}, labels{"app": "door", "color": "blue"}), carried("color", "blue"), writtenLater}, says: "may be yet to come"},
		"a version that is yet to come": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "version": "v2"}, labels{"app": "door", "version": "v1"}), writtenLater}, says: "version=v2"},
		"the pod of a name": {file: "selector-other-key", changes: []func(*analysis.Snapshot){
			selects(labels{"app": "door", "statefulset.kubernetes.io/pod-name": "door-0"}, labels{"app": "door"}), carried("statefulset.kubernetes.io/pod-name", "door-1")}, says: "pod-name"},
		"an edited value":                   {file: "selector-elsewhere", mended: "app=shop"},
		"a value that was never edited":     {file: "selector-elsewhere", changes: []func(*analysis.Snapshot){func(s *analysis.Snapshot) { s.Changes = nil }}, says: "selects no pod"},
		"an edited value, and it is served": {file: "selector-elsewhere", changes: []func(*analysis.Snapshot){servedToo(true)}, says: "selects no pod"},
		"one label of two":                  {file: "selector-half-wrong", mended: "part-of=hotel,tier=desk"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := load(t, row.file)
			for _, change := range row.changes {
				change(s)
			}
			found := rules.Diagnose(v1alpha1.Alert{Name: "Alert"}, s)[0]
			got := found.Remedies[0].Parameters["selector"]
			if mends := found.Code == mismatch; got != row.mended || mends != (row.mended != "") {
				t.Errorf("%s with selector %q, want %q: %s", found.Code, got, row.mended, found.Message)
			}
			if !strings.Contains(found.Message, row.says) {
				t.Errorf("it says %q, want %q", found.Message, row.says)
			}
		})
	}
}
