// Package pki makes a cluster's certificates: one authority, and one leaf for each
// who serves or calls. They live as long as the cluster, which is days at most.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const lifetime = 30 * 24 * time.Hour

// Authority signs certificates and writes them as NAME.crt and NAME.key.
type Authority struct {
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Leaf says whom a certificate names. One with addresses or names may serve; each may call.
type Leaf struct {
	File   string
	User   string
	Groups []string
	IPs    []string
	DNS    []string
}

// NewAuthority makes an authority and writes its certificate and key.
func NewAuthority(dir, name string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	a := &Authority{dir: dir, name: name}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	var err error
	if a.key, err = a.sign(name, template); err != nil {
		return nil, err
	}
	return a, nil
}

// Issue makes a key and a certificate for it.
func (a *Authority) Issue(l Leaf) error {
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(l.IPs)+len(l.DNS) > 0 {
		usage = append(usage, x509.ExtKeyUsageServerAuth)
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: l.User, Organization: l.Groups},
		DNSNames:    l.DNS,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: usage,
	}
	for _, ip := range l.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	_, err := a.sign(l.File, template)
	return err
}

// sign completes the template, signs it (the authority's own with its own key) and writes both halves.
func (a *Authority) sign(file string, template *x509.Certificate) (*ecdsa.PrivateKey, error) {
	key, err := NewKey(filepath.Join(a.dir, file+".key"))
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("choosing serial number for %s: %w", file, err)
	}
	template.SerialNumber = serial
	// A clock that is put right after an hour's drift must not make a fresh certificate too young.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(lifetime)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("signing certificate %s: %w", file, err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return nil, fmt.Errorf("reading certificate %s back: %w", file, err)
		}
	}
	return key, writePEM(filepath.Join(a.dir, file+".crt"), "CERTIFICATE", der)
}

// NewKey makes a private key and writes it.
func NewKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", path, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding key %s: %w", path, err)
	}
	return key, writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
