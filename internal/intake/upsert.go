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

// fire tells the unfinished object of this alert that it was delivered again,
// or creates one. A repeated delivery of a firing whose remediation has ended
// changes nothing: it was not forgotten, it was dealt with.
func (h *Handler) fire(ctx context.Context, ar *v1alpha1.AlertRemediation) (result, error) {
	known, err := known(ctx, h.cluster.Client, ar)
	if err != nil {
		return "", err
	}
	if living := slices.IndexFunc(known, unfinished); living >= 0 {
		return repeated, h.repeat(ctx, &known[living])
	}
	if slices.ContainsFunc(known, func(k v1alpha1.AlertRemediation) bool { return k.Name == ar.Name }) {
		return repeated, nil
	}
	err = h.cluster.Client.Create(ctx, ar)
	switch {
	case apierrors.IsAlreadyExists(err):
		return h.ours(ctx, ar)
	case err != nil:
		return "", judged(fmt.Errorf("creating AlertRemediation: %w", err))
	}
	log.FromContext(ctx).WithName("intake").Info("remediation created", "alertRemediation", klog.KObj(ar))
	return created, nil
}

// ours looks, live, at what has the name already: the cache did not know it, or
// not as it is now.
func (h *Handler) ours(ctx context.Context, ar *v1alpha1.AlertRemediation) (result, error) {
	found := &v1alpha1.AlertRemediation{}
	if err := h.cluster.Live.Get(ctx, client.ObjectKeyFromObject(ar), found); err != nil {
		return "", fmt.Errorf("reading AlertRemediation: %w", err)
	}
	switch {
	case !sameFiring(found, ar):
		return "", &refusal{reason: reasonNameTaken}
	case found.Finished():
		return repeated, nil
	}
	return repeated, h.repeat(ctx, found)
}

// resolve tells the objects of this alert that it no longer fires, finished or
// not: verification, and whoever asks whether any alert of the name fires, read it there.
func (h *Handler) resolve(ctx context.Context, ar *v1alpha1.AlertRemediation, endsAt time.Time) (result, error) {
	objs, err := known(ctx, h.cluster.Client, ar)
	if err != nil {
		return "", err
	}
	sameAsThis := func(k v1alpha1.AlertRemediation) bool { return sameFiring(&k, ar) }
	if !slices.ContainsFunc(objs, sameAsThis) { // what was stored a moment ago may not be in the cache yet
		if objs, err = known(ctx, h.cluster.Live, ar); err != nil {
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

// known returns the objects that intake made for this alert, newest first.
func known(ctx context.Context, reader client.Reader, ar *v1alpha1.AlertRemediation) ([]v1alpha1.AlertRemediation, error) {
	list := &v1alpha1.AlertRemediationList{}
	err := reader.List(ctx, list, client.InNamespace(ar.Namespace),
		client.MatchingLabels{v1alpha1.FingerprintLabel: ar.Spec.Alert.Fingerprint})
	if err != nil {
		return nil, judged(fmt.Errorf("looking for AlertRemediations: %w", err))
	}
	// Anybody who may edit the namespace may set a label; what is in the spec, only intake wrote.
	items := slices.DeleteFunc(list.Items, func(k v1alpha1.AlertRemediation) bool {
		return k.Spec.Alert.Source != v1alpha1.SourceAlertmanager || k.Spec.Alert.Fingerprint != ar.Spec.Alert.Fingerprint
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

// sameFiring is true if intake made found for the firing that ar is about. The
// API server stores times to the second.
func sameFiring(found, ar *v1alpha1.AlertRemediation) bool {
	a, b := found.Spec.Alert, ar.Spec.Alert
	return a.Source == v1alpha1.SourceAlertmanager && a.Fingerprint == b.Fingerprint && a.StartsAt.Unix() == b.StartsAt.Unix()
}
