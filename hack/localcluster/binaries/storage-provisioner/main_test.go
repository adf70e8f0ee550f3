package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// house is a directory with one node's in it, which leads out through a link.
func house(t *testing.T) disks {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "nodes", "node1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "nodes", "out")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(dir, "nodes"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return disks{root}
}

func claim(node string, modes ...corev1.PersistentVolumeAccessMode) controller.ProvisionOptions {
	return controller.ProvisionOptions{
		StorageClass: &storagev1.StorageClass{ReclaimPolicy: new(corev1.PersistentVolumeReclaimDelete)},
		PVName:       "pvc-1", SelectedNodeName: node,
		PVC: &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{AccessModes: modes}},
	}
}

func TestAVolumeIsMadeForEveryUserAndDeleted(t *testing.T) {
	d := house(t)
	volume, _, err := d.Provision(t.Context(), claim("node1", corev1.ReadWriteOnce))
	if err != nil {
		t.Fatal(err)
	}
	dir := volume.Spec.HostPath.Path
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Fatalf("%s: %v, %v", dir, info, err)
	}
	if err := d.Delete(t.Context(), volume); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestProvisionRefuses(t *testing.T) {
	rows := map[string]struct {
		options controller.ProvisionOptions
		want    string
	}{
		"what pods of several nodes would share": {claim("node1", corev1.ReadWriteMany), "access modes"},
		"before a node is chosen":                {claim("", corev1.ReadWriteOnce), "no node is chosen"},
		"a node that is not there":               {claim("node9", corev1.ReadWriteOnce), "node9"},
		"a path instead of a node":               {claim("../nodes", corev1.ReadWriteOnce), "no name of a node"},
		"the directory above":                    {claim("..", corev1.ReadWriteOnce), "escapes"},
		"a link that leads out":                  {claim("out", corev1.ReadWriteOnce), "escapes"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if _, _, err := house(t).Provision(t.Context(), row.options); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDeleteLeavesWhatProvisionDidNotMake(t *testing.T) {
	d := house(t)
	for name, path := range map[string]string{
		"the root":             "/",
		"a node":               filepath.Join(d.nodes.Name(), "node1"),
		"another's volume":     filepath.Join(d.nodes.Name(), "node1", "volumes", "pvc-2"),
		"one in another house": filepath.Join(d.nodes.Name(), "..", "volumes", "pvc-1"),
		"one behind a link":    filepath.Join(d.nodes.Name(), "out", "volumes", "pvc-1"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			err := d.Delete(t.Context(), &corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: "pvc-1"},
				Spec:       corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}},
			})
			if err == nil {
				t.Error("it was deleted")
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		})
	}
}
