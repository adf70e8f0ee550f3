package receiver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubernaut/kubernaut/internal/kubetest"
	"github.com/kubernaut/kubernaut/internal/receiver"
)

// shipped is the operator as config/default installs it.
var shipped = receiver.Receiver{
	URL:             "https://kubernaut.kubernaut-system.svc:9094/webhook/alertmanager",
	CAFile:          "/etc/alertmanager/configmaps/kubernaut-intake-ca/ca.crt",
	CredentialsFile: "/var/run/secrets/kubernaut/token",
}

var custom = receiver.Custom{
	Receiver: shipped, Namespace: "monitoring", TokenSecret: "kubernaut-alert-sender",
	Authority: "-----BEGIN CERTIFICATE-----\nyour ca.crt\n-----END CERTIFICATE-----\n",
}

// Both samples are checked by the parsers of those who read them in test/receiver.
func TestTheSamplesAreWhatIsWritten(t *testing.T) {
	rows := map[string]func() ([]byte, error){
		"alertmanager.yaml":       shipped.Config,
		"alertmanagerconfig.yaml": custom.AlertmanagerConfig,
	}
	for name, write := range rows {
		t.Run(name, func(t *testing.T) {
			got, err := write()
			if err != nil {
				t.Fatal(err)
			}
			path := kubetest.Path("config", "samples", "alertmanager", name)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(filepath.Clean(path))
			if err != nil || string(got) != string(want) {
				t.Errorf("%s is not what is written (%v); UPDATE_GOLDEN=1 writes it:\n%s", path, err, got)
			}
		})
	}
}

func TestConfigSaysWhatItWasTold(t *testing.T) {
	r := receiver.Receiver{
		URL: "https://10.0.0.7:30994/webhook/alertmanager", ServerName: "kubernaut.ops.svc", CAFile: "/a b/\"ca\".crt", CredentialsFile: "/t: #x",
		Pace: receiver.Pace{Wait: time.Second, Interval: 90 * time.Second, Repeat: 1500 * time.Millisecond},
	}
	text, err := r.Config()
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Route struct {
			Routes []map[string]any `json:"routes"`
		} `json:"route"`
		Receivers []struct {
			Webhooks []struct {
				HTTP struct {
					Authorization map[string]string `json:"authorization"`
					TLS           map[string]string `json:"tls_config"`
				} `json:"http_config"`
			} `json:"webhook_configs"`
		} `json:"receivers"`
	}
	if err := yaml.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	http := read.Receivers[1].Webhooks[0].HTTP
	if http.TLS["ca_file"] != r.CAFile || http.TLS["server_name"] != r.ServerName || http.Authorization["credentials_file"] != r.CredentialsFile {
		t.Errorf("it says %+v", http)
	}
	route := read.Route.Routes[0]
	if route["group_wait"] != "1s" || route["group_interval"] != "90s" || route["repeat_interval"] != "1500ms" {
		t.Errorf("its pace is %v", route)
	}
}

func TestWritingRefusesWhatWouldSendTokensInTheClear(t *testing.T) {
	for name, change := range map[string]func(*receiver.Receiver){
		"plain HTTP":          func(r *receiver.Receiver) { r.URL = strings.Replace(r.URL, "https", "http", 1) },
		"no URL":              func(r *receiver.Receiver) { r.URL = "kubernaut:9094" },
		"no authority":        func(r *receiver.Receiver) { r.CAFile = "" },
		"no file for a token": func(r *receiver.Receiver) { r.CredentialsFile = "" },
	} {
		r := shipped
		change(&r)
		if _, err := r.Config(); err == nil {
			t.Errorf("%s: it is written", name)
		}
	}
}
