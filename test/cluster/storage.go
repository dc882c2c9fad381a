package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const (
	storageClass   = "local"
	volumeCapacity = "10Gi" // what claims are matched against; the machine's disk is the real limit
	// volumeCount bounds how many claims are bound at a time. Nothing makes further volumes on demand.
	volumeCount = 64
)

const (
	storageClasses    = "/apis/storage.k8s.io/v1/storageclasses"
	persistentVolumes = "/api/v1/persistentvolumes"
)

// storageClassObject is the class of claims that name none. Nothing provisions for it: claims bind to volumes that are
// there, once a pod wants them.
func storageClassObject() object {
	return object{
		"apiVersion": "storage.k8s.io/v1",
		"kind":       "StorageClass",
		"metadata": object{
			"name":        storageClass,
			"annotations": object{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		"provisioner":       "kubernetes.io/no-provisioner",
		"volumeBindingMode": "WaitForFirstConsumer",
		"reclaimPolicy":     "Retain",
	}
}

// volumeName names the volumes, from 0 on, and their folders.
func volumeName(i int) string { return fmt.Sprintf("local-%02d", i) }

// volumeObject is a volume that keeps its data in a folder of the machine.
func volumeObject(name, folder string) object {
	return object{
		"apiVersion": "v1",
		"kind":       "PersistentVolume",
		"metadata":   object{"name": name},
		"spec": object{
			"capacity":                      object{"storage": volumeCapacity},
			"accessModes":                   []string{"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"},
			"persistentVolumeReclaimPolicy": "Retain",
			"storageClassName":              storageClass,
			"hostPath":                      object{"path": folder, "type": "Directory"},
		},
	}
}

// createStorage makes the storage class and the volumes.
func (c cluster) createStorage(ctx context.Context, api apiClient) error {
	if err := api.create(ctx, storageClasses, storageClassObject()); err != nil {
		return err
	}
	for i := range volumeCount {
		if err := c.createVolume(ctx, api, volumeName(i)); err != nil {
			return err
		}
	}
	return nil
}

func (c cluster) createVolume(ctx context.Context, api apiClient, name string) error {
	folder := c.path("volumes", name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	// Any user of any pod may write, whatever umask this process has.
	if err := os.Chmod(folder, 0o777); err != nil {
		return err
	}
	return api.create(ctx, persistentVolumes, volumeObject(name, folder))
}

// recycleVolumes empties the volumes whose claims are gone and offers them again. It returns how many.
func (c cluster) recycleVolumes(ctx context.Context, api apiClient) (int, error) {
	var volumes struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct {
				HostPath struct{ Path string }
			}
			Status struct{ Phase string }
		}
	}
	if err := api.get(ctx, persistentVolumes, &volumes); err != nil {
		return 0, err
	}
	recycled := 0
	for _, v := range volumes.Items {
		ours := v.Spec.HostPath.Path == c.path("volumes", v.Metadata.Name)
		if !ours || v.Status.Phase != "Released" {
			continue
		}
		if err := emptyFolder(v.Spec.HostPath.Path); err != nil {
			return recycled, err
		}
		forget := object{"spec": object{"claimRef": nil}}
		if err := api.mergePatch(ctx, persistentVolumes+"/"+v.Metadata.Name, forget); err != nil {
			return recycled, err
		}
		recycled++
	}
	return recycled, nil
}

func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
