package servingcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Keys of the Secret beside tls.crt and tls.key. The authority's key stays there
// so that the next certificate is trusted by whoever trusts this one.
const (
	caCert = "ca.crt"
	caKey  = "ca.key"
)

const (
	year            = 365 * 24 * time.Hour
	lifeOfCert      = year
	lifeOfAuthority = 10 * year
	// skew is how far clocks may be behind ours.
	skew = 5 * time.Minute
)

// authority is what signs: a certificate and its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte // of the certificate
	kept []byte // the key, as it is stored
}

// issued returns what the Secret is to hold: a new certificate for the names, by
// the authority that is there if it will outlive it, and else by a new one.
func issued(data map[string][]byte, names []string, now time.Time) (map[string][]byte, error) {
	a, err := authorityOf(data)
	if err != nil || a.cert.NotAfter.Before(now.Add(lifeOfCert)) {
		if a, err = newAuthority(now); err != nil {
			return nil, err
		}
	}
	cert, key, err := a.sign(names, now)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(data)
	if next == nil {
		next = make(map[string][]byte)
	}
	next[corev1.TLSCertKey], next[corev1.TLSPrivateKeyKey] = cert, key
	next[caCert], next[caKey] = a.pem, a.kept
	return next, nil
}

// authorityOf reads the authority that made a Secret's certificate. Its key is
// there only if that was us.
func authorityOf(data map[string][]byte) (authority, error) {
	pair, err := tls.X509KeyPair(data[caCert], data[caKey])
	if err != nil {
		return authority{}, fmt.Errorf("reading the authority: %w", err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return authority{}, errors.New("reading the authority: it is none of ours")
	}
	return authority{cert: pair.Leaf, key: key, pem: data[caCert], kept: data[caKey]}, nil
}

func newAuthority(now time.Time) (authority, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "kubernaut intake CA"},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifeOfAuthority),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	cert, key, err := certify(template, nil)
	if err != nil {
		return authority{}, err
	}
	return authorityOf(map[string][]byte{caCert: cert, caKey: key})
}

// sign returns a certificate for names, and its key, both in PEM.
func (a authority) sign(names []string, now time.Time) (cert, key []byte, err error) {
	return certify(&x509.Certificate{
		Subject:   pkix.Name{CommonName: names[0]},
		DNSNames:  names,
		NotBefore: now.Add(-skew), NotAfter: now.Add(lifeOfCert),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}, &a)
}

// certify makes a key and a certificate for it, signed by the authority, or by
// itself if there is none.
func certify(template *x509.Certificate, by *authority) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, nil, fmt.Errorf("making a serial number: %w", err)
	}
	parent, signer := template, private
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)
	if err != nil {
		return nil, nil, fmt.Errorf("signing a certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a key: %w", err)
	}
	return encoded("CERTIFICATE", der), encoded("PRIVATE KEY", pkcs8), nil
}

func encoded(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
