package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
	"github.com/kubernaut/kubernaut/pkg/alert"
)

// search is the trying of one alert's candidates, in order.
type search struct {
	*Resolver
	alert v1alpha1.Alert
	// traces: a pod that is gone stands for the workload it was of.
	traces bool
	// exporter are the labels of a pod that was left out as an exporter.
	exporter labels.Set
	// possible is an exporter by its name only: the subject if nothing else exists.
	possible *Found
}

// skipped is why a candidate is not the subject: the next one is tried.
type skipped struct{ why string }

func (s *skipped) Error() string { return s.why }

func skip(format string, args ...any) error { return &skipped{fmt.Sprintf(format, args...)} }

// first returns the first candidate in the namespace that exists and is not the
// exporter that was scraped. Labels that speak of another namespace than the one
// that asks name nothing here: a remediation is about its own namespace.
func (r *Resolver) first(ctx context.Context, namespace string, a v1alpha1.Alert, traces bool) (Found, error) {
	s := &search{Resolver: r, alert: a, traces: traces}
	var reasons []string
	for _, c := range alert.Candidates(a.Name, a.Labels) {
		if !r.mayBeAbout(namespace, c) {
			continue
		}
		found, err := s.try(ctx, c)
		var skipped *skipped
		if !errors.As(err, &skipped) {
			return found, err
		}
		reasons = append(reasons, skipped.why)
	}
	switch {
	case s.possible != nil:
		return *s.possible, nil
	case reasons != nil:
		return Found{}, fmt.Errorf("%s: %w", strings.Join(reasons, "; "), ErrNoTarget)
	}
	return Found{}, fmt.Errorf("the labels of alert %s name no object of namespace %s: %w", a.Name, namespace, ErrNoTarget)
}

// mayBeAbout reports whether an alert of a namespace may be about a candidate.
func (r *Resolver) mayBeAbout(namespace string, c alert.Candidate) bool {
	return c.Namespace == namespace || c.Namespace == "" && r.clusterScoped == namespace
}

// try returns what a candidate leads to. An object that exists ends the search, also
// where its owner is gone; so does an object that can't be read, for it may exist.
func (s *search) try(ctx context.Context, c alert.Candidate) (Found, error) {
	ref := v1alpha1.ObjectReference{APIVersion: apiVersions[c.Kind], Kind: c.Kind, Namespace: c.Namespace, Name: c.Name}
	obj, err := s.read(ctx, ref, c.Scraped)
	switch {
	case errors.Is(err, ErrNoTarget) && c.Kind == "Pod" && s.traces:
		return s.former(ctx, ref, c.Scraped)
	case errors.Is(err, ErrNoTarget):
		return Found{}, skip("%s does not exist", ref)
	case err != nil:
		return Found{}, err
	}
	if hpa, ok := obj.(*autoscalingv2.HorizontalPodAutoscaler); ok {
		target, err := s.scaled(ctx, hpa)
		return Found{Subject: ref, Target: target}, err
	}
	exporting := alert.NotExporting
	if c.Scraped {
		exporting = s.exporting(obj)
	}
	if exporting == alert.IsExporting {
		return Found{}, skip("%s is the exporter that was scraped", ref)
	}
	target, _, err := s.climbFrom(ctx, ref, obj)
	if err != nil {
		return Found{}, err
	}
	return s.unlessPossible(Found{Subject: ref, Target: target}, exporting)
}

// unlessPossible keeps what has the name of an unknown exporter for the end.
func (s *search) unlessPossible(found Found, exporting alert.Exporting) (Found, error) {
	if exporting == alert.NotExporting {
		return found, nil
	}
	if s.possible == nil {
		s.possible = &found
	}
	return Found{}, skip("%s may be the exporter that was scraped", found.Subject)
}

// former returns the workload that a pod which is gone was of. It ends the search
// where there are several: the alert is about one of them, and not about what its
// other labels name.
func (s *search) former(ctx context.Context, pod v1alpha1.ObjectReference, scraped bool) (Found, error) {
	owners, err := s.formerOwners(ctx, pod, s.alert.StartsAt)
	switch {
	case err != nil:
		return Found{}, err
	case len(owners) == 0:
		return Found{}, skip("%s does not exist", pod)
	case len(owners) > 1:
		return Found{}, fmt.Errorf("%s does not exist, and by its name it may have been of %s or %s: %w", pod, owners[0].target, owners[1].target, ErrNoTarget)
	}
	exporting := alert.NotExporting
	if scraped {
		exporting = owners[0].exporting
	}
	if exporting == alert.IsExporting {
		return Found{}, skip("%s was of the exporter that was scraped", pod)
	}
	return s.unlessPossible(Found{Subject: pod, Target: owners[0].target, Gone: true}, exporting)
}

// scaled returns the workload that a HorizontalPodAutoscaler scales.
func (s *search) scaled(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler) (v1alpha1.TargetReference, error) {
	to := hpa.Spec.ScaleTargetRef
	if !climbable[to.APIVersion+" "+to.Kind] {
		return v1alpha1.TargetReference{}, fmt.Errorf("HorizontalPodAutoscaler/%s scales %s/%s, which is not a workload of Kubernetes itself: %w", hpa.Name, to.Kind, to.Name, ErrNoTarget)
	}
	return s.Climb(ctx, v1alpha1.ObjectReference{APIVersion: to.APIVersion, Kind: to.Kind, Namespace: hpa.Namespace, Name: to.Name})
}

// read reads as much of an object as tells whether it is the subject. Only of a pod
// or Service that may be the exporter's more than the metadata is needed.
func (s *search) read(ctx context.Context, ref v1alpha1.ObjectReference, scraped bool) (metav1.Object, error) {
	var obj client.Object
	switch {
	case ref.Kind == "Pod" && scraped:
		obj = &corev1.Pod{}
	case ref.Kind == "Service" && scraped:
		obj = &corev1.Service{}
	case ref.Kind == "HorizontalPodAutoscaler":
		obj = &autoscalingv2.HorizontalPodAutoscaler{}
	default:
		return s.metadata(ctx, ref, "")
	}
	return obj, s.get(ctx, ref, obj)
}

// exporting judges a pod or a Service that the scrape may have named. A Service that
// selects the exporter's pod is the one the exporter was scraped through.
func (s *search) exporting(obj metav1.Object) alert.Exporting {
	switch obj := obj.(type) {
	case *corev1.Pod:
		var images []string
		for _, c := range obj.Spec.Containers {
			images = append(images, c.Image)
		}
		judged := alert.ExportingPod(obj.Labels, images)
		if judged == alert.IsExporting {
			s.exporter = obj.Labels
		}
		return judged
	case *corev1.Service:
		if len(obj.Spec.Selector) > 0 && s.exporter != nil && labels.SelectorFromSet(obj.Spec.Selector).Matches(s.exporter) {
			return alert.IsExporting
		}
		return max(alert.ExportingByLabels(obj.Labels), alert.ExportingByName(obj.Name))
	}
	return alert.NotExporting
}
