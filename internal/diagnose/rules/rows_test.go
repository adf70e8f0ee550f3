package rules_test

import "github.com/kubernaut/kubernaut/api/v1alpha1"

const (
	imageNotFound = v1alpha1.CauseImageNotFound
	imageDenied   = v1alpha1.CauseImagePullDenied
	badConfig     = v1alpha1.CauseCrashBadConfig
	wrongPort     = v1alpha1.CauseProbeWrongPort
	tainted       = v1alpha1.CauseUntoleratedTaint
	noCPU         = v1alpha1.CauseInsufficientCPU
	noMemory      = v1alpha1.CauseInsufficientMemory
)

// recordedCauses are the scenes of the causes that are not of a crash alone.
var recordedCauses = map[string]row{
	"an old revision that never became ready, and was recreated, is not gone back to": {file: "recreated-never-ready", cause: unknown, remedies: "Escalate"},
	"nor is one that never did, of a kind that may lose all its pods":                 {file: "replaced-never-ready", cause: unknown, remedies: "Escalate"},
	"a rollout that a missing claim holds up is not the program's fault":              {file: "stuck-no-claim", cause: stuck, remedies: "Escalate", target: "Deployment/shaft"},

	"an image that came with the release and is not there is gone back from":       {file: "image-absent", cause: imageNotFound, remedies: "RolloutUndo SetImage", target: "Deployment/cart"},
	"so is a digest, where the old pods are gone":                                  {file: "image-absent-digest", cause: imageNotFound, remedies: "RolloutUndo SetImage", target: "Deployment/bell"},
	"so is one of a StatefulSet":                                                   {file: "image-absent-statefulset", cause: imageNotFound, remedies: "RolloutUndo SetImage", target: "StatefulSet/shelf"},
	"so is one of a DaemonSet":                                                     {file: "image-absent-daemonset", cause: imageNotFound, remedies: "RolloutUndo SetImage", target: "DaemonSet/probe"},
	"an image that is not there in a first revision is a person's":                 {file: "image-absent-first", cause: imageNotFound, remedies: "Escalate", target: "Deployment/dawn"},
	"an image may be pushed a moment after its release":                            {file: "image-just-pushed", cause: unknown, remedies: "Escalate", early: true},
	"images that several workloads lack at once speak against the registry":        {file: "image-absent-shared", cause: imageNotFound, remedies: "Escalate", target: "Deployment/oak"},
	"an image is not called absent by a registry that tells a neighbour it is ill": {file: "image-absent-registry-ill", cause: imageNotFound, remedies: "Escalate", target: "Deployment/reed"},
	"a registry that counts is no absent image":                                    {file: "image-rate-limited", cause: unknown, remedies: "Escalate", early: true},
	"a rollout that an ill registry holds up is not gone back from":                {file: "image-registry-ill", cause: stuck, remedies: "Escalate", target: "Deployment/fog"},
	"an image whose name is none was never asked for":                              {file: "image-bad-name", cause: unknown, remedies: "Escalate", early: true},
	"another repository that denies is gone back from":                             {file: "image-denied", cause: imageDenied, remedies: "RolloutUndo", target: "Deployment/pay"},
	"so is one that forbids, of a StatefulSet":                                     {file: "image-forbidden", cause: imageDenied, remedies: "RolloutUndo", target: "StatefulSet/safe"},
	"a denial is told with the secret that is missing":                             {file: "image-denied-secret", cause: imageDenied, remedies: "Escalate", target: "Deployment/mint"},
	"the same repository that denies lacks credentials, which are a person's":      {file: "image-denied-same", cause: imageDenied, remedies: "Escalate", target: "Deployment/coin"},
	"a registry that denies everybody at once lost something":                      {file: "image-denied-shared", cause: imageDenied, remedies: "Escalate", target: "Deployment/purse"},
	"a denial of a moment may have been one":                                       {file: "image-denied-moment", cause: unknown, remedies: "Escalate", early: true},

	"a variable that changed and is named in the log":                   {file: "config-variable", cause: badConfig, remedies: "RolloutUndo", target: "Deployment/books", symptoms: "CrashBadRelease"},
	"a ConfigMap that does not exist, which the kubelet names":          {file: "config-map-absent", cause: badConfig, remedies: "RolloutUndo", target: "Deployment/pages"},
	"another ConfigMap, whose path is named in the log":                 {file: "config-map-renamed", cause: badConfig, remedies: "RolloutUndo", target: "Deployment/notes", symptoms: "CrashBadRelease"},
	"a key that the ConfigMap does not have":                            {file: "config-key-absent", cause: badConfig, remedies: "RolloutUndo", target: "Deployment/lines"},
	"a Secret that does not exist, of a StatefulSet":                    {file: "config-secret-absent", cause: badConfig, remedies: "RolloutUndo", target: "StatefulSet/vault"},
	"content that changed under the same reference is its owner's":      {file: "config-content", cause: badConfig, remedies: "Escalate", target: "Deployment/menu"},
	"so it is when a restart brought it in":                             {file: "config-content-restarted", cause: badConfig, remedies: "Escalate", target: "Deployment/recipe"},
	"image and configuration changed in one revision: a bad release":    {file: "config-and-image", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/index"},
	"a variable that changed and that nothing names":                    {file: "config-unnamed", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/quill"},
	"a variable whose name is part of the one in the log":               {file: "config-longer-name", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/paper"},
	"a variable named in a line that speaks of no error":                {file: "config-only-said", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/ink"},
	"a ConfigMap may be applied a moment after what mounts it":          {file: "config-map-late", cause: unknown, remedies: "Escalate", early: true},
	"a ConfigMap that was missed and came is no fault of a slow start":  {file: "config-map-arrived", cause: unknown, remedies: "Escalate", early: true},
	"a ConfigMap that a first revision lacks has nothing to go back to": {file: "config-first-absent", cause: unknown, remedies: "Escalate", early: true},
	"content that somebody edited while it crashed did not begin it":    {file: "config-edited-later", cause: unknown, remedies: "Escalate"},

	"a probe that the release led to another port":                        {file: "probe-moved", cause: wrongPort, remedies: "RolloutUndo", target: "Deployment/door"},
	"a probe by name, of a port that the release renumbered":              {file: "probe-renumbered", cause: wrongPort, remedies: "RolloutUndo", target: "Deployment/gate"},
	"a liveness probe at another port, which kills":                       {file: "probe-kills", cause: wrongPort, remedies: "RolloutUndo", target: "Deployment/hatch", symptoms: "CrashBadRelease"},
	"a probe of a StatefulSet":                                            {file: "probe-statefulset", cause: wrongPort, remedies: "RolloutUndo", target: "StatefulSet/lock"},
	"a first revision whose probe asks where it does not listen":          {file: "probe-first", cause: wrongPort, remedies: "Escalate", target: "Deployment/latch"},
	"a program that does not listen yet at the right port":                {file: "probe-slow", cause: unknown, remedies: "Escalate", early: true},
	"a probe that is answered, with an error":                             {file: "probe-other-path", cause: unknown, remedies: "Escalate", early: true},
	"a program that listens elsewhere by a variable, and is slow":         {file: "probe-with-port", cause: unknown, remedies: "Escalate", early: true},
	"a probe of a container that is new beside it, and slow":              {file: "probe-of-new-sidecar", cause: wrongPort, remedies: "Escalate", target: "Deployment/porch"},
	"a program that listens elsewhere by what its ConfigMap says, slowly": {file: "probe-port-rewritten", cause: unknown, remedies: "Escalate", early: true},
	"a program that crashes listens nowhere":                              {file: "probe-crashing", cause: badRelease, remedies: "RolloutUndo", target: "Deployment/cellar"},

	"a toleration that the release lost":                                 {file: "taint-toleration-lost", cause: tainted, remedies: "RolloutUndo", target: "Deployment/dye"},
	"a taint that a first revision does not tolerate":                    {file: "taint-not-tolerated", cause: tainted, remedies: "Escalate", target: "Deployment/rust"},
	"a taint, while an autoscaler may still bring a node":                {file: "taint-not-yet", cause: tainted, remedies: "Escalate", target: "Deployment/blush", early: true},
	"a taint of nodes that the pod does not ask for":                     {file: "taint-elsewhere", cause: unknown, remedies: "Escalate", early: true},
	"a taint by which a node has a role":                                 {file: "taint-of-a-role", cause: unknown, remedies: "Escalate", early: true},
	"a node that is cordoned":                                            {file: "taint-of-a-cordon", cause: unknown, remedies: "Escalate", early: true},
	"nodes that may not be read":                                         {file: "taint-nodes-forbidden", cause: unknown, remedies: "Escalate", early: true},
	"a release that limits, and so requests, more CPU than there is":     {file: "cpu-release", cause: noCPU, remedies: "RolloutUndo", target: "Deployment/mill"},
	"more replicas than there is CPU for":                                {file: "cpu-crowded", cause: noCPU, remedies: "Escalate", target: "Deployment/barn"},
	"a lack of CPU, while an autoscaler may still bring a node":          {file: "cpu-not-yet", cause: noCPU, remedies: "Escalate", target: "Deployment/plough", early: true},
	"a lack of CPU is not known of nodes that nobody asks for":           {file: "cpu-elsewhere", cause: unknown, remedies: "Escalate", early: true},
	"a resource that is named like CPU":                                  {file: "cpu-cards", cause: unknown, remedies: "Escalate", early: true},
	"a quota of CPU is no lack of it":                                    {file: "cpu-quota", cause: stuck, remedies: "Escalate", target: "Deployment/crop"},
	"a release of a StatefulSet that requests more memory than there is": {file: "room-release", cause: noMemory, remedies: "RolloutUndo", target: "StatefulSet/hall"},
	"a first revision that requests more memory than there is":           {file: "room-first", cause: noMemory, remedies: "Escalate", target: "Deployment/attic"},
	"a lack of memory, while an autoscaler may still bring a node":       {file: "room-not-yet", cause: noMemory, remedies: "Escalate", target: "Deployment/loft", early: true},
	"a lack of memory is not known of nodes that nobody asks for":        {file: "room-elsewhere", cause: unknown, remedies: "Escalate", early: true},
	"huge pages are another memory":                                      {file: "room-pages", cause: unknown, remedies: "Escalate", early: true},
	"a quota of memory is no lack of it":                                 {file: "room-quota", cause: stuck, remedies: "Escalate", target: "Deployment/den"},
}
