// Package cli is what the plugin kubectl-kubernaut prints and does, with no rights
// but those of whoever types.
package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/internal/actions"
	"github.com/kubernaut/kubernaut/pkg/action"
)

// Levels of a grant to a namespace; each includes those before it. The level node
// stands for itself: it is of the operator's own namespace.
var Levels = []action.Level{action.LevelRestart, action.LevelScale, action.LevelFull}

// impersonates is the name of the Role that lets the operator act as the remediator.
const impersonates = "kubernaut-impersonates-remediator"

// Grant makes one namespace healable: its remediator with the rights of a level,
// and the operator's right to act as that account there.
type Grant struct {
	Namespace string
	Level     action.Level
	Operator  Operator
	// NodeLeases is the namespace in which the remediators of nodes keep their leases.
	NodeLeases string
}

// Operator is the ServiceAccount Kubernaut runs as.
type Operator struct {
	Namespace string
	Account   string
}

// user is the operator's name to the API server.
func (o Operator) user() string {
	return "system:serviceaccount:" + o.Namespace + ":" + o.Account
}

// flags are what a command has to be told of an operator that is not where it is shipped.
func (o Operator) flags() string {
	text := ""
	if o.Namespace != "kubernaut-system" {
		text += " --operator-namespace " + o.Namespace
	}
	if o.Account != "kubernaut" {
		text += " --operator-account " + o.Account
	}
	return text
}

func (o Operator) validate() error {
	if faults := validation.IsDNS1123Label(o.Namespace); len(faults) > 0 {
		return fmt.Errorf("--operator-namespace %q is not the name of a namespace: %s", o.Namespace, strings.Join(faults, "; "))
	}
	if faults := validation.IsDNS1123Subdomain(o.Account); len(faults) > 0 {
		return fmt.Errorf("--operator-account %q is not the name of a ServiceAccount: %s", o.Account, strings.Join(faults, "; "))
	}
	return nil
}

func (g Grant) validate() error {
	if faults := validation.IsDNS1123Label(g.Namespace); len(faults) > 0 {
		return fmt.Errorf("%q is not the name of a namespace: %s", g.Namespace, strings.Join(faults, "; "))
	}
	if g.Level == action.LevelNode {
		return g.validateNode()
	}
	if !slices.Contains(Levels, g.Level) {
		return fmt.Errorf("--level %q is none of restart, scale, full, node", g.Level)
	}
	return g.Operator.validate()
}

// Print writes the grant as manifests, from the catalogue of actions.
func (g Grant) Print(w io.Writer) error {
	if err := g.validate(); err != nil {
		return err
	}
	catalog, err := action.NewCatalog(actions.All()...)
	if err != nil {
		return err
	}
	granted := g.covers(catalog.Specs())
	if len(granted) == 0 {
		return fmt.Errorf("no action of this version needs level %s", g.Level)
	}
	return g.write(w, granted)
}

// covers returns the actions that the level lets run.
func (g Grant) covers(specs []action.Spec) []action.Spec {
	included := []action.Level{action.LevelNode}
	if g.Level != action.LevelNode {
		included = Levels[:slices.Index(Levels, g.Level)+1]
	}
	return slices.DeleteFunc(specs, func(s action.Spec) bool { return !slices.Contains(included, s.Level) })
}

func (g Grant) write(w io.Writer, granted []action.Spec) error {
	var names []string
	var rules []rbacv1.PolicyRule
	for _, spec := range granted {
		names = append(names, spec.Name)
		rules = append(rules, spec.Rules...)
	}
	header, objects := namespaceHeader, g.objects
	if g.Level == action.LevelNode {
		header, objects = nodeHeader, g.nodeObjects
	}
	if _, err := fmt.Fprintf(w, header, g.Namespace, g.Level, strings.Join(names, ", "), v1alpha1.RemediatorAccount); err != nil {
		return err
	}
	for _, obj := range objects(merge(rules)) {
		raw, err := yaml.Marshal(obj)
		if err != nil {
			return fmt.Errorf("encoding %T: %w", obj, err)
		}
		if _, err := fmt.Fprintf(w, "---\n%s", raw); err != nil {
			return err
		}
	}
	return nil
}

const namespaceHeader = "# Lets Kubernaut heal namespace %s, level %s: %s.\n" +
	"# It acts there as the ServiceAccount %s and with no other rights.\n" +
	"# Whoever may edit the namespace may act as that account too, as with every ServiceAccount of theirs.\n" +
	quotaHeader

func (g Grant) objects(rules []rbacv1.PolicyRule) []any {
	return append([]any{
		g.account(),
		role(g.Namespace, v1alpha1.RemediatorAccount, rules),
		binding(g.Namespace, v1alpha1.RemediatorAccount, g.remediator()),
		g.quota(),
	}, g.actAs()...)
}

func (g Grant) account() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Namespace: g.Namespace, Name: v1alpha1.RemediatorAccount},
	}
}

func (g Grant) remediator() rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: g.Namespace, Name: v1alpha1.RemediatorAccount}
}

func (o Operator) subject() rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: o.Namespace, Name: o.Account}
}

// actAs lets the operator act as the remediator.
func (g Grant) actAs() []any {
	rules := []rbacv1.PolicyRule{{
		APIGroups: []string{""}, Resources: []string{"serviceaccounts"},
		ResourceNames: []string{v1alpha1.RemediatorAccount}, Verbs: []string{"impersonate"},
	}}
	return []any{role(g.Namespace, impersonates, rules), binding(g.Namespace, impersonates, g.Operator.subject())}
}

func role(namespace, name string, rules []rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Rules:      rules,
	}
}

func binding(namespace, name string, subject rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{subject},
	}
}
