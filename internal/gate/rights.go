package gate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Rights returns a digest of the rules by which the tenant may act in its namespace,
// or of the refusal where the operator may not act as the tenant. It tells that a
// grant changed, in one request. It never tells that an operation is allowed: an
// authorizer that can't list its rules leaves some out. For that there is Review.
func (t *Tenant) Rights(ctx context.Context) (string, error) {
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: t.namespace}}
	err := t.client.Create(ctx, review)
	if apierrors.IsForbidden(err) {
		err = t.shutOut(err)
		var denied *Denied
		if errors.As(err, &denied) {
			return digest([]string{denied.Error()}), nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("listing the rights of %s: %w", t.Actor(), err)
	}
	rules := make([]string, 0, len(review.Status.ResourceRules))
	for _, rule := range review.Status.ResourceRules {
		text, err := json.Marshal(rule)
		if err != nil {
			return "", fmt.Errorf("listing the rights of %s: %w", t.Actor(), err)
		}
		rules = append(rules, string(text))
	}
	return digest(rules), nil
}

// digest does not depend on the order of the rules: the API server lists them in any.
func digest(rules []string) string {
	slices.Sort(rules)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(rules), "\n")))
	return hex.EncodeToString(sum[:])
}
