package servingcert

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"
)

var (
	at    = time.Date(2026, time.March, 1, 3, 0, 0, 0, time.UTC)
	names = []string{"kubernaut.ops", "kubernaut.ops.svc"}
)

func made(t *testing.T, before map[string][]byte, at time.Time, names ...string) map[string][]byte {
	t.Helper()
	data, err := issued(before, names, at)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// without returns what a Secret holds, but for some keys.
func without(data map[string][]byte, keys ...string) map[string][]byte {
	left := maps.Clone(data)
	for _, key := range keys {
		delete(left, key)
	}
	return left
}

func with(data map[string][]byte, key string, value []byte) map[string][]byte {
	changed := maps.Clone(data)
	changed[key] = value
	return changed
}

func TestJudgeKnowsWhoseCertificateItIs(t *testing.T) {
	own, others := made(t, nil, at, names...), made(t, nil, at, "elsewhere.example.test")
	rows := map[string]struct {
		data  map[string][]byte
		after time.Duration
		serve bool
		issue bool
		ours  bool
		fails string
	}{
		"an empty Secret waits for ours":                                   {data: nil, issue: true},
		"a Secret with empty keys waits for ours":                          {data: map[string][]byte{"tls.crt": {}, "tls.key": {}}, issue: true},
		"ours is served":                                                   {data: own, serve: true, ours: true},
		"ours is left alone before two thirds of its life":                 {data: own, after: 240 * 24 * time.Hour, serve: true, ours: true},
		"ours is renewed after them, and served meanwhile":                 {data: own, after: 244 * 24 * time.Hour, serve: true, issue: true, ours: true},
		"ours for other names is issued anew":                              {data: others, serve: true, issue: true, ours: true},
		"one with no authority is somebody else's":                         {data: without(own, caCert, caKey), serve: true},
		"one whose authority's key is elsewhere is not ours":               {data: without(own, caKey), serve: true},
		"somebody else's for other names is served as it is":               {data: without(others, caKey), serve: true},
		"somebody else's that expired is served as it is":                  {data: without(own, caKey), after: 2 * year, serve: true},
		"one that another authority signed over ours is theirs":            {data: with(with(own, caCert, others[caCert]), caKey, others[caKey]), serve: true},
		"one that replaced ours and left our authority is theirs":          {data: with(with(own, "tls.crt", others["tls.crt"]), "tls.key", others["tls.key"]), serve: true},
		"a certificate without its key is an error, not a reason to issue": {data: without(own, "tls.key"), fails: "reading tls.crt and tls.key"},
		"a key of another certificate is an error":                         {data: with(own, "tls.key", others["tls.key"]), fails: "reading tls.crt and tls.key"},
		"what is no certificate is an error":                               {data: with(own, "tls.crt", []byte("hello")), fails: "reading tls.crt and tls.key"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			v, err := judge(row.data, names, at.Add(row.after))
			if row.fails != "" {
				if err == nil || !strings.Contains(err.Error(), row.fails) {
					t.Fatalf("error is %v", err)
				}
				return
			}
			if err != nil || (v.serve != nil) != row.serve || v.issue != row.issue || v.renew.IsZero() == row.ours {
				t.Errorf("verdict is %+v, %v", v, err)
			}
		})
	}
}

func certificate(t *testing.T, data []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestIssuedIsTrustedByWhoeverTrustedTheLastOne(t *testing.T) {
	first := made(t, nil, at, names...)
	later := at.Add(250 * 24 * time.Hour)
	second := made(t, with(first, "note", []byte("a person's")), later, names...)
	if bytes.Equal(first["tls.crt"], second["tls.crt"]) || bytes.Equal(first["tls.key"], second["tls.key"]) {
		t.Error("it is the same one")
	}
	if string(second["note"]) != "a person's" {
		t.Error("what else was in the Secret is gone")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(first[caCert])
	for _, name := range names {
		if _, err := certificate(t, second["tls.crt"]).Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: later}); err != nil {
			t.Error(err)
		}
	}
}

func TestIssuedReplacesAnAuthorityThatWouldNotOutliveIt(t *testing.T) {
	first := made(t, nil, at, names...)
	late := at.Add(lifeOfAuthority - lifeOfCert + time.Hour)
	second := made(t, first, late, names...)
	if bytes.Equal(first[caCert], second[caCert]) {
		t.Error("the old authority signed it")
	}
	if leaf, ca := certificate(t, second["tls.crt"]), certificate(t, second[caCert]); leaf.NotAfter.After(ca.NotAfter) {
		t.Error("it outlives its authority")
	}
}
