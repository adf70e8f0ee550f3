// Command storage-provisioner makes the volumes of a cluster whose nodes' disks are directories of this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "storage-provisioner:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	kubeconfig := flag.String("kubeconfig", "", "the cluster")
	name := flag.String("name", "", "what storage classes call this provisioner")
	dir := flag.String("nodes", "", "directory that holds one of each node")
	flag.Parse()
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	nodes, err := os.OpenRoot(*dir)
	if err != nil {
		return err
	}
	defer nodes.Close()
	controller.NewProvisionController(ctx, clients, *name, disks{nodes}, controller.LeaderElection(false)).Run(ctx)
	return nil
}

// disks are directories below those of the nodes. What the API says never leads out of them: os.Root refuses.
type disks struct{ nodes *os.Root }

// place is where a node keeps a volume.
func place(node, volume string) string { return filepath.Join(node, "volumes", volume) }

// Provision makes a directory on the node that the scheduler chose, open to every user, as nobody knows the pod's.
func (d disks) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if err := d.check(o); err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	dir := place(o.SelectedNodeName, o.PVName)
	if err := errors.Join(d.nodes.MkdirAll(dir, 0o777), d.nodes.Chmod(dir, 0o777)); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("making volume %s: %w", o.PVName, err)
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   o.PVC.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: filepath.Join(d.nodes.Name(), dir), Type: new(corev1.HostPathDirectory)},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				// By the label: the scheduler compares volumes with a node's labels only, and takes fields for matched.
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{o.SelectedNodeName},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// check refuses what a directory of one node can not be.
func (d disks) check(o controller.ProvisionOptions) error {
	if slices.ContainsFunc(o.PVC.Spec.AccessModes, func(m corev1.PersistentVolumeAccessMode) bool {
		return m != corev1.ReadWriteOnce && m != corev1.ReadWriteOncePod
	}) {
		return fmt.Errorf("access modes %v: a volume of a node's disk is for the pods of one node", o.PVC.Spec.AccessModes)
	}
	if o.PVC.Spec.Selector != nil {
		return errors.New("a claim with a selector wants a volume that is there already")
	}
	if o.SelectedNodeName == "" {
		return errors.New("no node is chosen: the storage class must wait for the first consumer")
	}
	if filepath.Base(o.SelectedNodeName) != o.SelectedNodeName {
		return fmt.Errorf("node %q: no name of a node", o.SelectedNodeName)
	}
	if _, err := d.nodes.Stat(o.SelectedNodeName); err != nil {
		return fmt.Errorf("node %s: %w", o.SelectedNodeName, err)
	}
	return nil
}

// Delete removes a directory that Provision made, and none that a volume merely names.
func (d disks) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.HostPath == nil {
		return &controller.IgnoredError{Reason: "it is no directory"}
	}
	dir, err := filepath.Rel(d.nodes.Name(), volume.Spec.HostPath.Path)
	if err != nil {
		return fmt.Errorf("deleting volume %s: %w", volume.Name, err)
	}
	node := filepath.Dir(filepath.Dir(dir))
	if filepath.Base(node) != node || dir != place(node, volume.Name) {
		return &controller.IgnoredError{Reason: "its directory is not ours"}
	}
	if err := d.nodes.RemoveAll(dir); err != nil {
		return fmt.Errorf("deleting volume %s: %w", volume.Name, err)
	}
	return nil
}
