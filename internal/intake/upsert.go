package intake

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubernaut/kubernaut/api/v1alpha1"
)

// repeats tells the unfinished object of this alert that it was delivered
// again, and reports whether the delivery is about anything that is known. A
// repeated delivery of a firing whose remediation has ended changes nothing: it
// was not forgotten, it was dealt with.
func (h *Handler) repeats(ctx context.Context, f firing) (bool, error) {
	known, err := known(ctx, h.cluster.Client, f)
	if err != nil {
		return false, err
	}
	if living := slices.IndexFunc(known, unfinished); living >= 0 {
		return true, h.repeat(ctx, &known[living])
	}
	return slices.ContainsFunc(known, func(k v1alpha1.AlertRemediation) bool { return k.Name == f.object.Name }), nil
}

// create makes the object of a firing nobody knows of.
func (h *Handler) create(ctx context.Context, f firing, ar *v1alpha1.AlertRemediation) (result, error) {
	err := h.cluster.Client.Create(ctx, ar)
	switch {
	case apierrors.IsAlreadyExists(err):
		return h.ours(ctx, f)
	case err != nil:
		return "", judged(fmt.Errorf("creating AlertRemediation: %w", err))
	}
	log.FromContext(ctx).WithName("intake").Info("remediation created", "alertRemediation", klog.KObj(ar))
	return created, nil
}

// ours looks, live, at what has the name already: the cache did not know it, or
// not as it is now.
func (h *Handler) ours(ctx context.Context, f firing) (result, error) {
	found := &v1alpha1.AlertRemediation{}
	if err := h.cluster.Live.Get(ctx, f.object, found); err != nil {
		return "", fmt.Errorf("reading AlertRemediation: %w", err)
	}
	switch {
	case !f.made(found):
		return "", &refusal{reason: reasonNameTaken}
	case found.Finished():
		return repeated, nil
	}
	return repeated, h.repeat(ctx, found)
}

// resolve tells the objects of this alert that it no longer fires, finished or
// not: verification, and whoever asks whether any alert of the name fires, read it there.
func (h *Handler) resolve(ctx context.Context, f firing, endsAt time.Time) (result, error) {
	objs, err := known(ctx, h.cluster.Client, f)
	if err != nil {
		return "", err
	}
	sameAsThis := func(k v1alpha1.AlertRemediation) bool { return f.made(&k) }
	if !slices.ContainsFunc(objs, sameAsThis) { // what was stored a moment ago may not be in the cache yet
		if objs, err = known(ctx, h.cluster.Live, f); err != nil {
			return "", err
		}
	}
	concerned := endedBy(objs, endsAt)
	if len(concerned) == 0 {
		return unknown, nil
	}
	got := repeated
	for i := range concerned {
		changed, err := h.end(ctx, &concerned[i], endsAt)
		if err != nil {
			return "", err
		}
		if changed {
			got = resolved
		}
	}
	return got, nil
}

// byFingerprint is the field that objects are found by, here and in the API server.
const byFingerprint = "spec.alert.fingerprint"

// Index makes a cache find what an alert has become without going through all of it.
func Index(ctx context.Context, indexer client.FieldIndexer) error {
	return indexer.IndexField(ctx, &v1alpha1.AlertRemediation{}, byFingerprint, func(obj client.Object) []string {
		return []string{obj.(*v1alpha1.AlertRemediation).Spec.Alert.Fingerprint}
	})
}

// known returns the objects that intake made for this alert, newest first.
func known(ctx context.Context, reader client.Reader, f firing) ([]v1alpha1.AlertRemediation, error) {
	list := &v1alpha1.AlertRemediationList{}
	err := reader.List(ctx, list, client.InNamespace(f.object.Namespace), client.MatchingFields{byFingerprint: f.fingerprint})
	if err != nil {
		return nil, judged(fmt.Errorf("looking for AlertRemediations: %w", err))
	}
	items := slices.DeleteFunc(list.Items, func(k v1alpha1.AlertRemediation) bool {
		return k.Spec.Alert.Source != v1alpha1.SourceAlertmanager
	})
	slices.SortFunc(items, func(a, b v1alpha1.AlertRemediation) int {
		if c := b.CreationTimestamp.Compare(a.CreationTimestamp.Time); c != 0 {
			return c
		}
		return b.Spec.Alert.StartsAt.Compare(a.Spec.Alert.StartsAt.Time)
	})
	return items, nil
}

// endedBy returns those a resolution is about: the newest, and any other that
// still says that it fires, lest it says so for ever. A resolution that was
// delivered late, of a firing before the object's own, is not about it.
func endedBy(newestFirst []v1alpha1.AlertRemediation, endsAt time.Time) []v1alpha1.AlertRemediation {
	var concerned []v1alpha1.AlertRemediation
	for _, k := range newestFirst {
		later := !endsAt.IsZero() && k.Spec.Alert.StartsAt.After(endsAt)
		if !later && (len(concerned) == 0 || k.AlertState() != v1alpha1.AlertResolved) {
			concerned = append(concerned, k)
		}
	}
	return concerned
}

func unfinished(ar v1alpha1.AlertRemediation) bool { return !ar.Finished() }
