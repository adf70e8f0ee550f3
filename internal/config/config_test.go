package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

func TestLoadReadsTheCompleteSample(t *testing.T) {
	got, err := Load("testdata/complete.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Namespace, want.Cluster, want.Alertmanager.URL = "kubernaut-system", "prod-eu-1", "http://alertmanager.monitoring:9093"
	want.Intake.TLS.Service, want.Intake.TLS.Names = "kubernaut", []string{"kubernaut.example.test"}
	want.Intake.Signature.SecretFile = "/etc/kubernaut-signature/secret"
	want.Triggers.Namespaces = []string{}
	want.Protected.Namespaces = []string{"payments", "ledger"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestTheCompleteSampleIsComplete(t *testing.T) {
	text, err := os.ReadFile("testdata/complete.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var said map[string]any
	if err := yaml.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	if left := unsaid(reflect.TypeFor[Config](), said, ""); len(left) > 0 {
		t.Errorf("it does not say %q", left)
	}
}

// unsaid returns the paths of the fields of a struct that a file does not name.
func unsaid(of reflect.Type, said map[string]any, path string) []string {
	var left []string
	for i := range of.NumField() {
		field := of.Field(i)
		name := field.Tag.Get("json")
		if _, there := said[name]; !there {
			left = append(left, path+name)
		} else if field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[Duration]() {
			inner, _ := said[name].(map[string]any)
			left = append(left, unsaid(field.Type, inner, path+name+".")...)
		}
	}
	return left
}

func TestLoadFaults(t *testing.T) {
	rows := map[string]struct {
		file string
		says []string // empty: no fault
	}{
		"nothing but the namespace": {file: "namespace: shop"},
		"an unknown field, with its path": {
			file: "namespace: shop\nintake: {adress: ':9094'}", says: []string{`unknown field "intake.adress"`}},
		"a field in another case": {
			file: "namespace: shop\nClusterLabel: c", says: []string{`unknown field "ClusterLabel"`}},
		"all unknown fields at once": {
			file: "namespace: shop\na: 1\nhealth: {b: 2}", says: []string{`unknown field "a"`, `unknown field "health.b"`}},
		"a field that is there twice": {
			file: "namespace: shop\nnamespace: shop", says: []string{`"namespace" already set`}},
		"a value of another type": {
			file: "namespace: shop\nintake: {address: 9094}", says: []string{"intake.address", "number"}},
		"what is no YAML": {
			file: "namespace: [", says: []string{"yaml"}},
		"a list": {
			file: "- namespace", says: []string{"array"}},
		"a namespace that is none": {
			file: "namespace: Shop", says: []string{`namespace: "Shop" is no name of a namespace`}},
		"a cluster label that is none": {
			file: "namespace: shop\nclusterLabel: ''", says: []string{"clusterLabel: "}},
		"an address without a port": {
			file: "namespace: shop\nintake: {address: localhost}", says: []string{"intake.address: "}},
		"a port that is none": {
			file: "namespace: shop\nhealth: {address: ':99999'}", says: []string{"health.address: "}},
		"the intake can't be switched off": {
			file: "namespace: shop\nintake: {address: '0'}", says: []string{"intake.address: "}},
		"metrics and health can": {
			file: "namespace: shop\nmetrics: {address: '0'}\nhealth: {address: '0'}"},
		"two on one address": {
			file: "namespace: shop\nmetrics: {address: ':9094'}", says: []string{"metrics.address: :9094 is that of intake.address"}},
		"two on any free port": {
			file: "namespace: shop\nmetrics: {address: 127.0.0.1:0}\nhealth: {address: 127.0.0.1:0}"},
		"an ignored alert without a name": {
			file: "namespace: shop\nintake: {ignore: [Watchdog, '']}", says: []string{"intake.ignore[1]: "}},
		"nothing is ignored": {
			file: "namespace: shop\nintake: {ignore: []}"},
		"plain HTTP for everybody, if somebody really wants it": {
			file: "namespace: shop\nintake: {tls: {secretName: ''}, authentication: None}"},
		"an authentication nobody knows": {
			file: "namespace: shop\nintake: {authentication: none}", says: []string{`intake.authentication: "none" is neither Token nor None`}},
		"tokens that are meant for anybody": {
			file: "namespace: shop\nintake: {audience: ''}", says: []string{"intake.audience: "}},
		"no room for any alert": {
			file: "namespace: shop\nintake: {maxPerNamespace: 0}", says: []string{"intake.maxPerNamespace: 0 is not between 1 and 100000"}},
		"room for more alerts than memory": {
			file: "namespace: shop\nintake: {maxPerNamespace: 1000000}", says: []string{"intake.maxPerNamespace: 1000000 is not between"}},
		"names that no certificate has": {
			file: "namespace: shop\nintake: {tls: {secretName: A, service: a.b, names: [a.example.test, '*']}}",
			says: []string{`intake.tls.secretName: "A"`, `intake.tls.service: "a.b"`, `intake.tls.names[1]: "*"`}},
		"signatures in headers that are none": {
			file: "namespace: shop\nintake: {signature: {secretFile: /f, header: '', timestampHeader: 'a b'}}",
			says: []string{"intake.signature.header: ", "intake.signature.timestampHeader: "}},
		"signatures that may be sent again": {
			file: "namespace: shop\nintake: {signature: {secretFile: /f, timestampHeader: ''}}"},
		"a URL of another kind": {
			file: "namespace: shop\nalertmanager: {url: 'alertmanager:9093'}", says: []string{"alertmanager.url: want http://"}},
		"a URL with a password": {
			file: "namespace: shop\nalertmanager: {url: 'http://a:b@alertmanager:9093'}", says: []string{"alertmanager.url: a password"}},
		"no work at all": {
			file: "namespace: shop\nremediation: {concurrency: 0}", says: []string{"remediation.concurrency: 0 is not between"}},
		"too much work": {
			file: "namespace: shop\ndiagnosis: {concurrency: 65}", says: []string{"diagnosis.concurrency: 65 is not between"}},
		"a duration that is none": {
			file: "namespace: shop\ndiagnosis: {timeout: 5 parsecs}", says: []string{`diagnosis.timeout: "5 parsecs" is no duration`}},
		"a duration without a unit": {
			file: "namespace: shop\ndiagnosis: {timeout: 30}", says: []string{`diagnosis.timeout: "30" is no duration`}},
		"a duration that is too short": {
			file: "namespace: shop\ndiagnosis: {timeout: 1ms}", says: []string{"diagnosis.timeout: 1ms is not between"}},
		"a namespace of node leases that is none": {
			file: "namespace: shop\nnodes: {leaseNamespace: ''}", says: []string{`nodes.leaseNamespace: ""`}},
		"triggers everywhere": {
			file: "namespace: shop\ntriggers: {namespaces: ['*']}"},
		"triggers everywhere and somewhere, and in what is no namespace": {
			file: "namespace: shop\ntriggers: {namespaces: [ok, '*', 'team-*', '']}",
			says: []string{`triggers.namespaces[1]: "*"`, `triggers.namespaces[2]: "team-*"`, `triggers.namespaces[3]: ""`}},
		"a protected namespace that is none": {
			file: "namespace: shop\nprotected: {namespaces: [ok, '*', 'legacy-*']}",
			says: []string{`protected.namespaces[1]: "*"`, `protected.namespaces[2]: "legacy-*"`}},
		"every fault at once": {
			file: "namespace: '-'\nclusterLabel: '-'\nintake: {address: '-'}\nalertmanager: {url: '-'}\ndiagnosis: {concurrency: -1}",
			says: []string{"namespace: ", "clusterLabel: ", "intake.address: ", "alertmanager.url: ", "diagnosis.concurrency: "}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := Load(written(t, row.file))
			if (err != nil) != (len(row.says) > 0) {
				t.Fatalf("error is %v, want %q", err, row.says)
			}
			for _, want := range row.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestLoadFindsTheNamespace(t *testing.T) {
	rows := map[string]struct {
		file, account string // account: what the kubelet wrote; none if empty
		want, says    string
	}{
		"of the pod":                   {account: "kubernaut-system\n", want: "kubernaut-system"},
		"in the file rather than that": {file: "namespace: shop", account: "kubernaut-system", want: "shop"},
		"nowhere":                      {says: "namespace: required outside a cluster"},
		"and does not believe all":     {account: "a/b", says: "namespace: "},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			account := filepath.Join(t.TempDir(), "none")
			if row.account != "" {
				account = written(t, row.account)
			}
			cfg, err := load(written(t, row.file), account)
			if (err != nil) != (row.says != "") || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Fatalf("error is %v, want %q", err, row.says)
			}
			if cfg.Namespace != row.want {
				t.Errorf("namespace is %q, want %q", cfg.Namespace, row.want)
			}
		})
	}
}

func TestLoadRefusesWhatIsNoConfigurationFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
	if _, err := Load(written(t, strings.Repeat("#", maxFile+1))); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a file that is too large: %v", err)
	}
}

func TestDefaultNeedsANamespaceOnly(t *testing.T) {
	cfg := Default()
	cfg.Namespace = "kubernaut-system"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if cfg.Diagnosis.Timeout.Duration != 30*time.Second {
		t.Errorf("timeout is %v", cfg.Diagnosis.Timeout)
	}
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
