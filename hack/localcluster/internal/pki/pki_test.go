package pki

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

func read(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestLeaf(t *testing.T) {
	dir := t.TempDir()
	ca, err := NewAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuthority(filepath.Join(dir, "other"), "ca")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]struct {
		leaf   Leaf
		usage  x509.ExtKeyUsage
		host   string
		refuse bool
	}{
		"one with an address serves there":         {leaf: Leaf{File: "s", IPs: []string{"172.31.77.11"}}, usage: x509.ExtKeyUsageServerAuth, host: "172.31.77.11"},
		"and nowhere else":                         {leaf: Leaf{File: "s", IPs: []string{"172.31.77.11"}}, usage: x509.ExtKeyUsageServerAuth, host: "172.31.77.12", refuse: true},
		"one without an address calls":             {leaf: Leaf{File: "c", User: "system:node:node1"}, usage: x509.ExtKeyUsageClientAuth},
		"and does not serve, whatever it is named": {leaf: Leaf{File: "c", User: "node1"}, usage: x509.ExtKeyUsageServerAuth, refuse: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if err := ca.Issue(row.leaf); err != nil {
				t.Fatal(err)
			}
			cert := read(t, filepath.Join(dir, row.leaf.File+".crt"))
			options := x509.VerifyOptions{Roots: x509.NewCertPool(), DNSName: row.host, KeyUsages: []x509.ExtKeyUsage{row.usage}}
			options.Roots.AddCert(ca.cert)
			if _, err := cert.Verify(options); (err != nil) != row.refuse {
				t.Errorf("verifying: %v", err)
			}
			options.Roots = x509.NewCertPool()
			options.Roots.AddCert(other.cert)
			if _, err := cert.Verify(options); err == nil {
				t.Error("another authority of the same name vouches for it")
			}
		})
	}
}
