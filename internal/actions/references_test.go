package actions

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubernaut/kubernaut/pkg/action"
)

// named is a reference by name.
func named(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

// mounting is a pod whose one container mounts these volumes.
func mounting(volumes ...corev1.Volume) corev1.PodSpec {
	spec := corev1.PodSpec{Volumes: volumes, Containers: []corev1.Container{{Name: "web"}}}
	for _, v := range volumes {
		spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: "/" + v.Name})
	}
	return spec
}

func fromEnv(source corev1.EnvVarSource) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Env: []corev1.EnvVar{{Name: "X", ValueFrom: &source}}}}}
}

func TestReferencesOf(t *testing.T) {
	optional := new(true)
	rows := map[string]struct {
		spec corev1.PodSpec
		want string
	}{
		"nothing": {},
		"a mounted ConfigMap": {
			spec: mounting(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("settings")}}}),
			want: "ConfigMap/settings",
		},
		"two keys of a mounted ConfigMap": {
			spec: mounting(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("settings"), Items: []corev1.KeyToPath{{Key: "b"}, {Key: "a"}}}}}),
			want: "key a of ConfigMap/settings, key b of ConfigMap/settings",
		},
		"an optional ConfigMap": {
			spec: mounting(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("settings"), Optional: optional}}}),
		},
		"a volume that no container mounts": {
			spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("settings")}}}}, Containers: []corev1.Container{{}}},
		},
		"a claim, mounted or not: the scheduler wants it": {
			spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}},
			want: "PersistentVolumeClaim/data",
		},
		"a projected volume": {
			spec: mounting(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("settings"), Items: []corev1.KeyToPath{{Key: "ca.crt"}}}},
				{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("extra"), Optional: optional}},
				{Secret: &corev1.SecretProjection{LocalObjectReference: named("tls")}},
				{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}},
			}}}}),
			want: "key ca.crt of ConfigMap/settings, Secret/tls",
		},
		"all of a ConfigMap and a Secret as variables": {
			spec: corev1.PodSpec{InitContainers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{
				{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("env")}},
				{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("env")}},
				{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("more"), Optional: optional}},
			}}}},
			want: "ConfigMap/env, Secret/env",
		},
		"one key of a ConfigMap":          {spec: fromEnv(corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: named("env"), Key: "URL"}}), want: "key URL of ConfigMap/env"},
		"one optional key of a ConfigMap": {spec: fromEnv(corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: named("env"), Key: "URL", Optional: optional}})},
		"one key of a Secret":             {spec: fromEnv(corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: named("db"), Key: "password"}}), want: "key password of Secret/db"},
		"a field of the pod":              {spec: fromEnv(corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}})},
		"a ServiceAccount, a PriorityClass and a RuntimeClass": {
			spec: corev1.PodSpec{ServiceAccountName: "web", PriorityClassName: "front", RuntimeClassName: new("gvisor")},
			want: "PriorityClass/front, RuntimeClass/gvisor, ServiceAccount/web",
		},
		"the default ServiceAccount, which Kubernetes makes again": {spec: corev1.PodSpec{ServiceAccountName: "default"}},
		"an image pull Secret, without which a node may have the image": {
			spec: corev1.PodSpec{ImagePullSecrets: []corev1.LocalObjectReference{named("registry")}},
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range referencesOf(row.spec) {
				got = append(got, r.String())
			}
			if text := strings.Join(got, ", "); text != row.want {
				t.Errorf("it needs %q, want %q", text, row.want)
			}
		})
	}
}

func TestUnusable(t *testing.T) {
	settings := &corev1.ConfigMap{Data: map[string]string{"text": ""}, BinaryData: map[string][]byte{"image": nil}}
	rows := map[string]struct {
		obj  client.Object
		need reference
		bad  bool
	}{
		"a key that is there, though empty":                     {obj: settings, need: reference{key: "text"}},
		"a key that is not there":                               {obj: settings, need: reference{key: "texts"}, bad: true},
		"binary data, mounted":                                  {obj: settings, need: reference{key: "image", volume: "v"}},
		"binary data, as a variable":                            {obj: settings, need: reference{key: "image"}, bad: true},
		"a claim that is bound":                                 {obj: &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}},
		"a claim that waits for its first pod":                  {obj: &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}}},
		"a claim whose volume is gone":                          {obj: &corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimLost}}, bad: true},
		"a claim that is being deleted: no new pod may use it":  {obj: &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(ago(0))}}, bad: true},
		"of the other kinds it is enough that they are there":   {obj: &metav1.PartialObjectMetadata{}, need: reference{kind: serviceAccounts}},
		"a ConfigMap of which no key is needed is not asked it": {obj: &metav1.PartialObjectMetadata{}, need: reference{kind: configMaps}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if why := unusable(row.obj, row.need); (why != "") != row.bad {
				t.Errorf("it says %q, want something: %t", why, row.bad)
			}
		})
	}
}

func TestJudgeSecrets(t *testing.T) {
	whole := reference{kind: secrets, name: "db"}
	key := reference{kind: secrets, name: "db", key: "password"}
	mounted := reference{kind: secrets, name: "tls", key: "tls.key", volume: "cert"}
	rows := map[string]struct {
		need reference
		said string
		bad  bool
	}{
		"nothing was said":               {need: whole},
		"it is not found":                {need: whole, said: `secret "db" not found`, bad: true},
		"it is not found for a volume":   {need: whole, said: `MountVolume.SetUp failed for volume "db" : secret "db" not found`, bad: true},
		"another is not found":           {need: whole, said: `secret "db-admin" not found`},
		"a ConfigMap of its name is not": {need: whole, said: `configmap "db" not found`},
		"its key is not found":           {need: key, said: `couldn't find key password in Secret shop/db`, bad: true},
		"another key of it is not":       {need: key, said: `couldn't find key password2 in Secret shop/db`},
		"a key that is not needed":       {need: whole, said: `couldn't find key password in Secret shop/db`},
		"the key of a longer name":       {need: key, said: `couldn't find key password in Secret shop/db-admin`},
		"the key in another namespace":   {need: key, said: `couldn't find key password in Secret bank/db`},
		"a mounted key is not found":     {need: mounted, said: `MountVolume.SetUp failed for volume "cert" : references non-existent secret key: tls.key`, bad: true},
		"a key of another volume is not": {need: mounted, said: `MountVolume.SetUp failed for volume "other" : references non-existent secret key: tls.key`},
		"an image is not found":          {need: whole, said: `Back-off pulling image "db"`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			unchecked, err := judgeSecrets(aim("Deployment", "web"), action.Revision{Number: 3}, []reference{row.need}, []statement{{text: row.said}})
			if row.bad {
				wantRefusal(t, err)
				if err != nil && !strings.Contains(err.Error(), "revision 3") {
					t.Errorf("it says %q, want the revision in it", err)
				}
				return
			}
			if err != nil || len(unchecked) != 1 || !strings.Contains(unchecked[0], "Secret/"+row.need.name) {
				t.Errorf("not checked %q, %v, want the Secret there", unchecked, err)
			}
		})
	}
}

func TestFailedMounts(t *testing.T) {
	owned := func(p corev1.Pod, set string) corev1.Pod {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: set, Controller: new(true)}}
		return p
	}
	waiting, serving := owned(readyPod("web-new-a", time.Hour, unready), "web-new"), owned(readyPod("web-old-b", 10*time.Minute), "web-old")
	waiting.UID, serving.UID = "waiting", "serving"
	said := func(pod string, uid types.UID, before time.Duration) corev1.Event {
		return corev1.Event{Message: pod, LastTimestamp: ago(before), InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: pod, UID: uid}}
	}
	events := []corev1.Event{
		said("web-new-a", "waiting", 40*time.Minute),
		said("web-old-b", "serving", 20*time.Minute), // it started since
		said("web-old-gone", "gone", 30*time.Minute),
		said("web-old-late", "late", time.Minute),
		said("api-1", "elsewhere", time.Minute),
	}
	texts := func(pods ...corev1.Pod) []string {
		var got []string
		for _, s := range failedMounts(events, pods, action.Revision{Name: "web-old"}) {
			got = append(got, s.text)
		}
		return got
	}
	if got := texts(waiting, serving); !slices.Equal(got, []string{"web-new-a", "web-old-late"}) {
		t.Errorf("beside a ready pod of the revision %v counts, want what waits now and what was said since", got)
	}
	if got := texts(waiting); !slices.Equal(got, []string{"web-new-a", "web-old-b", "web-old-gone", "web-old-late"}) {
		t.Errorf("without one %v counts, want all that was said about pods of the workload", got)
	}
}
