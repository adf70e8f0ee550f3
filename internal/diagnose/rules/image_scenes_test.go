//go:build record

package rules_test

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// imageScenes are images that can't be had, and what looks like it. The registry
// of localcluster answers 404 for what it does not have, and for a tag that ends
// in a status with that status.
var imageScenes = map[string]scene{
	"image-absent": {kind: "Deployment", name: "cart", play: bad(shell("cart", serves, replicas(2)), image("busybox:1.99")), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-absent-digest": {kind: "Deployment", name: "bell", play: bad(shell("bell", serves, recreate), image("busybox@sha256:"+strings.Repeat("0", 63)+"1")),
		moment: lacks("ImagePullBackOff", 31*time.Second)},
	"image-absent-statefulset": {kind: "StatefulSet", name: "shelf", play: badSet(statefulSet(shell("shelf", serves, replicas(2))), image("busybox:1.99")), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-absent-daemonset":   {kind: "DaemonSet", name: "probe", play: badSet(daemonSet(shell("probe", serves, replicas(2))), image("busybox:1.99")), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-absent-first":       {kind: "Deployment", name: "dawn", play: only(shell("dawn", serves, image("busybox:1.99"))), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-just-pushed":        {kind: "Deployment", name: "haste", play: bad(shell("haste", serves), image("busybox:1.99")), moment: both(waiting("ErrImagePull"), youngerThan(25*time.Second))},
	"image-absent-shared": {kind: "Deployment", name: "oak", moment: both(lacks("ErrImagePull", 31*time.Second), elsewhere(2)), play: func(p *player) {
		p.settled(shell("oak", serves), shell("elm", serves), shell("ash", serves))
		for _, name := range []string{"elm", "ash", "oak"} {
			p.release(name, image("busybox:1.99"))
		}
	}},
	"image-absent-registry-ill": {kind: "Deployment", name: "reed", moment: both(lacks("ErrImagePull", 31*time.Second), elsewhere(1)), play: func(p *player) {
		p.create(shell("rush", serves, image("busybox:1.36-503")))
		bad(shell("reed", serves), image("busybox:1.99"))(p)
	}},
	"image-rate-limited": {kind: "Deployment", name: "tide", play: bad(shell("tide", serves), image("busybox:1.36-429")), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-registry-ill": {kind: "Deployment", name: "fog", play: bad(shell("fog", serves, deadline(32)), image("busybox:1.36-503")),
		moment: both(lacks("ErrImagePull", 31*time.Second), rollout("ProgressDeadlineExceeded"))},
	"image-bad-name": {kind: "Deployment", name: "slip", play: bad(shell("slip", serves), image("busybox:1.36:latest")), moment: lacks("InvalidImageName", 31*time.Second)},

	"image-denied":        {kind: "Deployment", name: "pay", play: bad(shell("pay", serves, replicas(2)), image("private/busybox:1-401")), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-forbidden":     {kind: "StatefulSet", name: "safe", play: badSet(statefulSet(shell("safe", serves, replicas(2))), image("quay.io/private/busybox:1-403")), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-denied-secret": {kind: "Deployment", name: "mint", play: only(shell("mint", serves, image("private/busybox:1-401"), pullsWith("mint-login"))), moment: both(lacks("ErrImagePull", 31*time.Second), event("FailedToRetrieveImagePullSecret", ""))},
	"image-denied-same":   {kind: "Deployment", name: "coin", play: bad(shell("coin", serves), image("busybox:1.36-401")), moment: lacks("ErrImagePull", 31*time.Second)},
	"image-denied-shared": {kind: "Deployment", name: "purse", moment: both(lacks("ErrImagePull", 31*time.Second), elsewhere(2)), play: func(p *player) {
		p.create(shell("wallet", serves, image("private/other:1-401")), shell("till", serves, image("private/another:1-401")))
		bad(shell("purse", serves), image("private/busybox:1-401"))(p)
	}},
	"image-denied-moment": {kind: "Deployment", name: "token", play: bad(shell("token", serves), image("private/busybox:1-401")), moment: both(waiting("ErrImagePull"), youngerThan(25*time.Second))},
}

func pullsWith(secret string) option {
	return template(func(s *corev1.PodSpec) { s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: secret}} })
}
