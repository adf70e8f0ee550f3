//go:build record

package rules_test

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What containers make of their configuration.
const (
	wantsURL   = `case "$LEDGER_URL" in http*) sleep 3600;; esac; echo "error: LEDGER_URL is no URL"; exit 1`
	wantsMuch  = `case "$LEDGER_URL" in http*) sleep 3600;; esac; echo "error: the ledger has no pages left"; exit 1`
	wantsOther = `case "$URL" in http*) sleep 3600;; esac; echo "error: PAYMENT_URL is empty"; exit 1`
	saysFirst  = `echo "asking LEDGER_URL"; case "$LEDGER_URL" in http*) sleep 3600;; esac; echo "error: out of paper"; exit 1`
	wantsMode  = `while grep -q ready /settings/mode; do sleep 1; done; echo "error: parsing /settings/mode: no mode"; exit 1`
)

// configScenes are containers that fail for their configuration, and what looks like it.
var configScenes = map[string]scene{
	"config-variable":    {kind: "Deployment", name: "books", play: bad(shell("books", wantsURL, variable("LEDGER_URL", "http://ledger"), proves), variable("LEDGER_URL", "ledger")), moment: backedOff(1)},
	"config-map-absent":  {kind: "Deployment", name: "pages", play: withSettings("pages-1", bad(shell("pages", wantsMode, settings("pages-1")), settings("pages-2"))), moment: both(event("FailedMount", "pages-2"), olderThan(31*time.Second))},
	"config-map-renamed": {kind: "Deployment", name: "notes", play: withSettings("notes-1", withText("notes-2", "none", bad(shell("notes", wantsMode, settings("notes-1"), proves), settings("notes-2")))), moment: backedOff(1)},
	"config-key-absent":  {kind: "Deployment", name: "lines", play: withSettings("lines", bad(shell("lines", serves, variableFrom("MODE", "lines", "mode")), variableFrom("MODE", "lines", "mood"))), moment: lacks("CreateContainerConfigError", 31*time.Second)},
	"config-secret-absent": {kind: "StatefulSet", name: "vault", play: badSet(statefulSet(shell("vault", serves, replicas(2))), func(d *appsv1.Deployment) {
		app(d).EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "vault-login"}}}}
	}), moment: lacks("CreateContainerConfigError", 31*time.Second)},
	"config-content": {kind: "Deployment", name: "menu", play: withSettings("menu", func(p *player) {
		p.settled(shell("menu", wantsMode, settings("menu")))
		p.rewrite("menu", "none")
	}), moment: backedOff(1)},
	"config-content-restarted": {kind: "Deployment", name: "recipe", play: withSettings("recipe", func(p *player) {
		p.settled(shell("recipe", wantsMode, settings("recipe"), proves))
		p.rewrite("recipe", "none")
		p.release("recipe", annotated("kubectl.kubernetes.io/restartedAt", time.Now().UTC().Format(time.RFC3339)))
	}), moment: backedOff(1)},

	"config-and-image":   {kind: "Deployment", name: "index", play: bad(shell("index", wantsURL, variable("LEDGER_URL", "http://ledger"), proves), variable("LEDGER_URL", "ledger"), image("busybox:1.36.1")), moment: backedOff(1)},
	"config-unnamed":     {kind: "Deployment", name: "quill", play: bad(shell("quill", wantsMuch, variable("LEDGER_URL", "http://ledger"), proves), variable("LEDGER_URL", "ledger")), moment: backedOff(1)},
	"config-longer-name": {kind: "Deployment", name: "paper", play: bad(shell("paper", wantsOther, variable("URL", "http://ledger"), proves), variable("URL", "ledger")), moment: backedOff(1)},
	"config-only-said":   {kind: "Deployment", name: "ink", play: bad(shell("ink", saysFirst, variable("LEDGER_URL", "http://ledger"), proves), variable("LEDGER_URL", "ledger")), moment: backedOff(1)},
	"config-map-late":    {kind: "Deployment", name: "cover", play: withSettings("cover-1", bad(shell("cover", wantsMode, settings("cover-1")), settings("cover-2"))), moment: both(event("FailedMount", "cover-2"), youngerThan(25*time.Second))},
	"config-map-arrived": {kind: "Deployment", name: "sheet", moment: both(lacks("PodInitializing", 31*time.Second), event("FailedMount", "sheet-2")), play: withSettings("sheet-1", func(p *player) {
		bad(shell("sheet", wantsMode, settings("sheet-1"), prepares), settings("sheet-2"))(p)
		p.await("the volume to be missed", func() bool {
			var events corev1.EventList
			p.must(p.client.List(p.ctx, &events, client.InNamespace(p.namespace)))
			return slices.ContainsFunc(events.Items, func(e corev1.Event) bool { return strings.Contains(e.Message, "sheet-2") })
		})
		p.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "sheet-2"}, Data: map[string]string{"mode": "ready"}})
	})},
	"config-first-absent": {kind: "Deployment", name: "spine", play: only(shell("spine", wantsMode, settings("spine-1"))), moment: both(event("FailedMount", "spine-1"), olderThan(31*time.Second))},
	"config-edited-later": {kind: "Deployment", name: "margin", play: withText("margin", "none", func(p *player) {
		p.create(shell("margin", wantsMode, settings("margin")))
		p.await("a loop", func() bool { return p.restarts("margin") >= 2 })
		p.rewrite("margin", "nothing")
	}), moment: backedOff(4)},
}

// prepares gives the pods a container that takes a while before the others begin.
func prepares(d *appsv1.Deployment) {
	template(func(s *corev1.PodSpec) {
		s.InitContainers = []corev1.Container{{Name: "init", Image: "busybox:1.36", Command: []string{"sleep", "45"}}}
	})(d)
}

func variable(name, value string) option {
	return func(d *appsv1.Deployment) { setVariable(app(d), corev1.EnvVar{Name: name, Value: value}) }
}

func variableFrom(name, configMap, key string) option {
	return func(d *appsv1.Deployment) {
		setVariable(app(d), corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMap}, Key: key}}})
	}
}

func setVariable(c *corev1.Container, v corev1.EnvVar) {
	for i := range c.Env {
		if c.Env[i].Name == v.Name {
			c.Env[i] = v
			return
		}
	}
	c.Env = append(c.Env, v)
}

// settings mounts a ConfigMap.
func settings(configMap string) option {
	return func(d *appsv1.Deployment) {
		spec := &d.Spec.Template.Spec
		source := corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}}}
		for i := range spec.Volumes {
			if spec.Volumes[i].Name == "settings" {
				spec.Volumes[i].VolumeSource = source
				return
			}
		}
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "settings", VolumeSource: source})
		app(d).VolumeMounts = append(app(d).VolumeMounts, corev1.VolumeMount{Name: "settings", MountPath: "/settings"})
	}
}

func withSettings(name string, play func(*player)) func(*player) {
	return withText(name, "ready", play)
}

func withText(name, mode string, play func(*player)) func(*player) {
	return func(p *player) {
		p.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"mode": mode}})
		play(p)
	}
}

// rewrite changes the data of a ConfigMap, as a person does.
func (p *player) rewrite(name, mode string) {
	p.t.Helper()
	p.must(p.client.Update(p.ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: p.namespace}, Data: map[string]string{"mode": mode},
	}, client.FieldOwner("somebody")))
}
