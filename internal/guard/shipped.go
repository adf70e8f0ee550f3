package guard

import (
	"bytes"
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/config/guards"
)

// Guard is one policy with its binding, as shipped.
type Guard struct {
	Name    string
	Policy  admissionregistrationv1.ValidatingAdmissionPolicy
	Binding admissionregistrationv1.ValidatingAdmissionPolicyBinding
}

// Names of guards 1 and 2.
const (
	approval = "approval"
	status   = "status"
)

// order of the guards, as people number them.
var order = []string{approval, status, "run", "origin"}

// shippedAccount is how the manifests name the operator.
var shippedAccount = literal("kubernaut-system", "kubernaut")

// literal is the CEL expression of a ServiceAccount's user name. Namespace and
// name stand alone in quotes, so that kustomize can replace each.
func literal(namespace, account string) []byte {
	return fmt.Appendf(nil, "'system:serviceaccount:' + '%s' + ':' + '%s'", namespace, account)
}

// Manifests returns the shipped YAML for an operator of this user name.
func Manifests(operatorUser string) ([]byte, error) {
	var all [][]byte
	for _, name := range order {
		manifest, err := manifest(name, operatorUser)
		if err != nil {
			return nil, err
		}
		all = append(all, manifest)
	}
	return bytes.Join(all, []byte("---\n")), nil
}

// Shipped returns the guards in the order people number them.
func Shipped(operatorUser string) ([]Guard, error) {
	all := make([]Guard, 0, len(order))
	for _, name := range order {
		manifest, err := manifest(name, operatorUser)
		if err != nil {
			return nil, err
		}
		g := Guard{Name: name}
		policy, binding, _ := bytes.Cut(manifest, []byte("---\n"))
		if err := yaml.UnmarshalStrict(policy, &g.Policy); err != nil {
			return nil, fmt.Errorf("reading the policy of guard %s: %w", name, err)
		}
		if err := yaml.UnmarshalStrict(binding, &g.Binding); err != nil {
			return nil, fmt.Errorf("reading the binding of guard %s: %w", name, err)
		}
		g.Policy.Spec = defaulted(g.Policy.Spec)
		all = append(all, g)
	}
	return all, nil
}

func manifest(name, operatorUser string) ([]byte, error) {
	namespace, account, err := split(operatorUser)
	if err != nil {
		return nil, err
	}
	raw, err := guards.Files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("reading guard %s: %w", name, err)
	}
	return bytes.ReplaceAll(raw, shippedAccount, literal(namespace, account)), nil
}

// split takes the user name of a ServiceAccount apart. It is strict: the parts
// are written into CEL.
func split(user string) (namespace, account string, err error) {
	rest, isAccount := strings.CutPrefix(user, "system:serviceaccount:")
	namespace, account, _ = strings.Cut(rest, ":")
	if !isAccount || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(account)) > 0 {
		return "", "", fmt.Errorf("checking the guards: the operator's user %q is not a ServiceAccount", user)
	}
	return namespace, account, nil
}
