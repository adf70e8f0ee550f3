// Package receiver reads the samples of config/samples/alertmanager as those do
// who are to be configured by them: Alertmanager and prometheus-operator. It is a
// module of its own so that nothing that ships depends on either.
package receiver

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus/alertmanager/config"
	"sigs.k8s.io/yaml"
)

func sample(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "alertmanager", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestAlertmanagerTakesItsConfiguration(t *testing.T) {
	cfg, err := config.Load(string(sample(t, "alertmanager.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	route := cfg.Route.Routes[0]
	if route.Receiver != "kubernaut" || !route.Continue || time.Duration(*route.GroupInterval) != time.Minute {
		t.Errorf("the route is %+v", route)
	}
	hook := cfg.Receivers[1].WebhookConfigs[0]
	http := hook.HTTPConfig
	if !hook.SendResolved() || hook.MaxAlerts != 0 {
		t.Errorf("the webhook is %+v", hook)
	}
	if http.Authorization.Type != "Bearer" || http.Authorization.CredentialsFile == "" || http.TLSConfig.CAFile == "" || http.TLSConfig.InsecureSkipVerify {
		t.Errorf("it posts with %+v", http)
	}
}

func TestPrometheusOperatorTakesItsAlertmanagerConfig(t *testing.T) {
	documents := bytes.Split(sample(t, "alertmanagerconfig.yaml"), []byte("\n---\n"))
	var cfg monitoringv1alpha1.AlertmanagerConfig
	if err := yaml.UnmarshalStrict(documents[1], &cfg); err != nil {
		t.Fatal(err)
	}
	hook := cfg.Spec.Receivers[0].WebhookConfigs[0]
	if cfg.Kind != "AlertmanagerConfig" || cfg.Spec.Route.Receiver != cfg.Spec.Receivers[0].Name || !*hook.SendResolved || *hook.URL == "" {
		t.Errorf("it says %+v", cfg.Spec)
	}
	http := hook.HTTPConfig
	if http.Authorization.Credentials.Key != "token" || http.TLSConfig.CA.ConfigMap.Key != "ca.crt" {
		t.Errorf("it posts with %+v", http)
	}
}

// TestPrometheusOperatorKnowsTheStrategy that the sample tells people to choose.
func TestPrometheusOperatorKnowsTheStrategy(t *testing.T) {
	var alertmanager monitoringv1.Alertmanager
	for line := range strings.Lines(string(sample(t, "alertmanagerconfig.yaml"))) {
		if field, said := strings.CutPrefix(line, "#   spec: "); said {
			if err := yaml.UnmarshalStrict([]byte("spec: "+field), &alertmanager); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := alertmanager.Spec.AlertmanagerConfigMatcherStrategy.Type; got != monitoringv1.NoneConfigMatcherStrategyType {
		t.Errorf("it says %q", got)
	}
	if other := string(monitoringv1.OnNamespaceExceptForAlertmanagerNamespaceConfigMatcherStrategyType); !bytes.Contains(sample(t, "alertmanagerconfig.yaml"), []byte(other)) {
		t.Errorf("it does not say %s", other)
	}
}
