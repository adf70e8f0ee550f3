package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/internal/kubetest"
)

// definitions returns the shipped CRDs.
func definitions() []apiextensionsv1.CustomResourceDefinition {
	paths, err := filepath.Glob(kubetest.Path("config", "crd", "bases", "*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(paths).To(HaveLen(3))
	var all []apiextensionsv1.CustomResourceDefinition
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		var crd apiextensionsv1.CustomResourceDefinition
		Expect(yaml.UnmarshalStrict(raw, &crd)).To(Succeed())
		all = append(all, crd)
	}
	return all
}

// eachField calls visit for every field of every kind: its path begins with the kind.
func eachField(visit func(path string, schema apiextensionsv1.JSONSchemaProps)) {
	for _, crd := range definitions() {
		for _, version := range crd.Spec.Versions {
			walk(crd.Spec.Names.Kind, *version.Schema.OpenAPIV3Schema, visit)
		}
	}
}

func walk(path string, schema apiextensionsv1.JSONSchemaProps, visit func(string, apiextensionsv1.JSONSchemaProps)) {
	visit(path, schema)
	if schema.Items != nil {
		walk(path+"[]", *schema.Items.Schema, visit)
	}
	if schema.AdditionalProperties != nil {
		walk(path+"{}", *schema.AdditionalProperties.Schema, visit)
	}
	for name, field := range schema.Properties {
		walk(path+"."+name, field, visit)
	}
}

// validations returns "path: message" of every CEL rule.
func validations() []string {
	var all []string
	eachField(func(path string, schema apiextensionsv1.JSONSchemaProps) {
		for _, rule := range schema.XValidations {
			all = append(all, path+": "+rule.Message)
		}
	})
	slices.Sort(all)
	return all
}

// boundless are the fields whose size the schema does not bound, and why that does no harm.
var boundless = map[string]*regexp.Regexp{
	"the API server knows a handful of them":                             regexp.MustCompile(`^\w+\.(apiVersion|kind)$`),
	"the rule on the map bounds its values":                              regexp.MustCompile(`\{\}$`),
	"only those who may write policies write it; etcd's limit is enough": regexp.MustCompile(`^RemediationPolicy\.spec\.selectors\.labels\.`),
}

func bounded(schema apiextensionsv1.JSONSchemaProps) bool {
	switch schema.Type {
	case "string":
		return schema.MaxLength != nil || len(schema.Enum) > 0 || schema.Format != ""
	case "array":
		return schema.MaxItems != nil
	case "object":
		return schema.AdditionalProperties == nil || schema.MaxProperties != nil && len(schema.XValidations) > 0
	}
	return true
}

func excused(path string) bool {
	for _, paths := range boundless {
		if paths.MatchString(path) {
			return true
		}
	}
	return false
}
