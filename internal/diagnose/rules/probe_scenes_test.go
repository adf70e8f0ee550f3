//go:build record

package rules_test

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// listens is a program that serves HTTP, a while after it began; a file or else
// variables give it the port and the while.
const listens = `import os, sys, time, runpy
port, wait = open("/settings/mode").read().split() if os.path.exists("/settings/mode") else (os.environ["PORT"], os.environ.get("WAIT", "0"))
time.sleep(int(wait))
sys.argv = ["server", port]
runpy.run_module("http.server", run_name="__main__")`

// probeScenes are probes that ask in the wrong place, and what looks like it.
var probeScenes = map[string]scene{
	"probe-moved":      {kind: "Deployment", name: "door", play: bad(web("door"), asksAt("8081")), moment: probeRefused("Readiness", 8081)},
	"probe-renumbered": {kind: "Deployment", name: "gate", play: bad(web("gate", named("http"), asksAt("http")), listening(8081), named("http")), moment: probeRefused("Readiness", 8081)},
	"probe-kills": {kind: "Deployment", name: "hatch", play: bad(web("hatch", livesAt(8080)), livesAt(8081)),
		moment: both(backedOff(1), event("Unhealthy", "Liveness probe failed"))},
	"probe-statefulset": {kind: "StatefulSet", name: "lock", play: badSet(statefulSet(web("lock", replicas(2))), asksAt("8081")), moment: probeRefused("Readiness", 8081)},
	"probe-first":       {kind: "Deployment", name: "latch", play: only(web("latch", asksAt("8081"))), moment: probeRefused("Readiness", 8081)},

	"probe-slow":       {kind: "Deployment", name: "hinge", play: bad(web("hinge"), variable("WAIT", "120")), moment: probeRefused("Readiness", 8080)},
	"probe-other-path": {kind: "Deployment", name: "frame", play: bad(web("frame"), asksFor("/nowhere")), moment: both(olderThan(20*time.Second), event("Unhealthy", "statuscode: 404"))},
	"probe-with-port": {kind: "Deployment", name: "panel", play: bad(web("panel"), variable("PORT", "8081"), variable("WAIT", "120"), listening(8081), asksAt("8081")),
		moment: probeRefused("Readiness", 8081)},
	"probe-of-new-sidecar": {kind: "Deployment", name: "porch", play: bad(web("porch"), beside("8081"), asksAt("8081")), moment: probeRefused("Readiness", 8081)},
	"probe-port-rewritten": {kind: "Deployment", name: "stair", play: withText("stair", "8080 0", func(p *player) {
		p.settled(web("stair", settings("stair")))
		p.rewrite("stair", "8081 120")
		p.release("stair", listening(8081), asksAt("8081"))
	}), moment: probeRefused("Readiness", 8081)},
	"probe-crashing": {kind: "Deployment", name: "cellar", play: bad(web("cellar"), program("import time; time.sleep(3); raise SystemExit('error: no cellar')"), asksAt("8081")), moment: backedOff(1)},
}

// web is a Deployment that serves HTTP at 8080, and is asked there.
func web(name string, options ...option) *appsv1.Deployment {
	all := append([]option{variable("PORT", "8080"), listening(8080), asksAt("8080")}, options...)
	return python(name, listens, "48Mi", all...)
}

func asksAt(port string) option {
	return func(d *appsv1.Deployment) { app(d).ReadinessProbe = httpProbe("/", intstr.Parse(port)) }
}

func asksFor(path string) option {
	return func(d *appsv1.Deployment) { app(d).ReadinessProbe = httpProbe(path, intstr.FromInt32(8080)) }
}

// livesAt gives it a liveness probe instead of the other.
func livesAt(port int32) option {
	return func(d *appsv1.Deployment) {
		app(d).ReadinessProbe, app(d).LivenessProbe = nil, httpProbe("/", intstr.FromInt32(port))
		app(d).LivenessProbe.InitialDelaySeconds = 3
	}
}

func httpProbe(path string, port intstr.IntOrString) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: port}}, PeriodSeconds: 2, FailureThreshold: 2}
}

func named(port string) option { return func(d *appsv1.Deployment) { app(d).Ports[0].Name = port } }

// beside adds a container that will listen, later.
func beside(port string) option {
	return template(func(s *corev1.PodSpec) {
		s.Containers = append(s.Containers, corev1.Container{
			Name: "proxy", Image: "python:3.12-slim", Command: []string{"python3", "-c", listens},
			Env: []corev1.EnvVar{{Name: "PORT", Value: port}, {Name: "WAIT", Value: "120"}},
		})
	})
}

// probeRefused: a probe was refused at a port of a container that has run for a while.
func probeRefused(kind string, port int32) func(*snapshot) bool {
	at := intstr.FromInt32(port)
	return both(olderThan(20*time.Second), func(s *snapshot) bool {
		for _, e := range s.Events {
			if strings.HasPrefix(e.Message, kind) && strings.Contains(e.Message, ":"+at.String()) && strings.Contains(e.Message, "refused") {
				return true
			}
		}
		return false
	})
}
