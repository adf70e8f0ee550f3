package servingcert

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// verdict is what a Secret means for us.
type verdict struct {
	// serve is the certificate to serve with; nil if there is none.
	serve *tls.Certificate
	// issue says that the Secret waits for a certificate of ours.
	issue bool
	// renew is when ours is due for the next one; zero if somebody else renews it.
	renew time.Time
}

// judge looks at what a Secret holds. Whose certificate it is, is seen by whether
// the key of the authority that signed it is there too: only we leave it there.
// What somebody else put into the Secret is served as it is and never replaced.
func judge(data map[string][]byte, names []string, now time.Time) (verdict, error) {
	if len(data[corev1.TLSCertKey]) == 0 && len(data[corev1.TLSPrivateKeyKey]) == 0 {
		return verdict{issue: true}, nil
	}
	pair, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return verdict{}, fmt.Errorf("reading tls.crt and tls.key: %w", err)
	}
	v := verdict{serve: &pair}
	if !ours(data, pair.Leaf) {
		return v, nil
	}
	v.renew = dueAt(pair.Leaf)
	v.issue = !now.Before(v.renew) || !covers(pair.Leaf, names)
	return v, nil
}

func ours(data map[string][]byte, leaf *x509.Certificate) bool {
	a, err := authorityOf(data)
	return err == nil && leaf.CheckSignatureFrom(a.cert) == nil
}

// dueAt leaves a third of a certificate's life for whatever keeps us from renewing it.
func dueAt(leaf *x509.Certificate) time.Time {
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

func covers(leaf *x509.Certificate, names []string) bool {
	for _, name := range names {
		if leaf.VerifyHostname(name) != nil {
			return false
		}
	}
	return true
}
