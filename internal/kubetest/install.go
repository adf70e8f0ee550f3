package kubetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// Render builds a kustomization of the repository as people would.
func (s *Server) Render(ctx context.Context, dir string) []byte {
	s.tb.Helper()
	return s.Kubectl(ctx, nil, "kustomize", dir)
}

// Kubectl runs kubectl as the administrator and returns what it prints.
func (s *Server) Kubectl(ctx context.Context, stdin []byte, args ...string) []byte {
	s.tb.Helper()
	cmd := exec.CommandContext(ctx, s.kubectl, args...)
	cmd.Env = []string{"KUBECONFIG=" + s.Kubeconfig, "HOME=" + filepath.Dir(s.Kubeconfig)}
	cmd.Stdin = bytes.NewReader(stdin)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		s.tb.Fatalf("running kubectl %s: %v: %s", strings.Join(args, " "), err, complaints.String())
	}
	return out
}

// Install applies a kustomization of the repository, for example
// Install(ctx, "config", "rbac"). The operator's namespace is made if need be.
func (s *Server) Install(ctx context.Context, parts ...string) {
	s.tb.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: OperatorNamespace}}
	if err := s.Client.Create(ctx, ns); err != nil && !apierrors.IsAlreadyExists(err) {
		s.tb.Fatalf("creating namespace %s: %v", ns.Name, err)
	}
	s.Apply(ctx, s.Render(ctx, Path(parts...)))
}

// InstallDefaultPolicy installs the policy default as it is shipped, but with this
// ceiling (the shipped one lets no namespace act without a person), and room for all
// the runs of a suite in an hour.
func (s *Server) InstallDefaultPolicy(ctx context.Context, ceiling v1alpha1.Mode) {
	s.tb.Helper()
	s.Install(ctx, "config", "policies")
	p := &v1alpha1.RemediationPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: OperatorNamespace, Name: v1alpha1.DefaultPolicyName}}
	raise := fmt.Sprintf(`{"spec":{"ceiling":%q,"limits":{"clusterMaxPerHour":800}}}`, ceiling)
	if err := s.Client.Patch(ctx, p, client.RawPatch(types.MergePatchType, []byte(raise))); err != nil {
		s.tb.Fatalf("setting the ceiling of the policy default to %s: %v", ceiling, err)
	}
}

// Apply applies manifests server-side, as the administrator.
func (s *Server) Apply(ctx context.Context, manifests []byte) {
	s.tb.Helper()
	objs, err := Decode(manifests)
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, obj := range objs {
		apply := client.ApplyConfigurationFromUnstructured(obj)
		if err := s.Client.Apply(ctx, apply, client.FieldOwner("kubetest"), client.ForceOwnership); err != nil {
			s.tb.Fatalf("applying %s %s: %v", obj.GetKind(), obj.GetName(), err)
		}
		if obj.GetKind() == "ResourceQuota" {
			s.CountQuotas(ctx, obj.GetNamespace())
		}
	}
}

// Decode reads the documents of a YAML stream.
func Decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	var objs []*unstructured.Unstructured
	docs := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		obj := &unstructured.Unstructured{}
		err := docs.Decode(&obj.Object)
		if errors.Is(err, io.EOF) {
			return objs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}
		if len(obj.Object) > 0 {
			objs = append(objs, obj)
		}
	}
}

// Create creates objects as the administrator, each with the status it was
// built with: there are no controllers here that would write one.
func (s *Server) Create(ctx context.Context, objs ...client.Object) {
	s.tb.Helper()
	// In the operator's name, which guard 2 asks for, with the administrator's rights.
	status := s.As(OperatorUser, "system:masters")
	for _, obj := range objs {
		wanted := obj.DeepCopyObject().(client.Object)
		if err := s.Client.Create(ctx, obj); err != nil {
			s.tb.Fatalf("creating %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
		}
		if !hasStatus(wanted) {
			continue
		}
		wanted.SetResourceVersion(obj.GetResourceVersion())
		wanted.SetUID(obj.GetUID())
		wanted.SetName(obj.GetName())
		if err := status.Status().Update(ctx, wanted); err != nil {
			s.tb.Fatalf("writing the status of %T %s: %v", obj, client.ObjectKeyFromObject(obj), err)
		}
		reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(wanted).Elem())
	}
}

func hasStatus(obj client.Object) bool {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return false
	}
	status, _ := fields["status"].(map[string]any)
	return !blank(status)
}

// blank reports whether nothing is set anywhere in a value.
func blank(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		for _, inner := range v {
			if !blank(inner) {
				return false
			}
		}
		return true
	}
	return false
}
