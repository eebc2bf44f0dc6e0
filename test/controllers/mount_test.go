// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// mount keeps a directory as the kubelet keeps a mounted Secret: the files are
// links into a directory that is replaced as a whole. It waits until the Secret is
// there and ends with the test.
func (r *room) mount(secret string) string {
	r.Helper()
	dir := r.TempDir()
	object := exists[corev1.Secret](r, secret)
	if err := place(dir, object); err != nil {
		r.Fatal(err)
	}
	for file := range object.Data {
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file)); err != nil {
			r.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.follow(ctx, dir, object) }()
	r.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && ctx.Err() == nil {
			r.Error(err)
		}
	})
	return dir
}

// follow brings the Secret into the directory every time it has changed.
func (r *room) follow(ctx context.Context, dir string, last *corev1.Secret) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		secret := &corev1.Secret{}
		if err := r.api.Get(ctx, types.NamespacedName{Namespace: r.namespace, Name: last.Name}, secret); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read Secret %s: %w", last.Name, err)
		}
		if secret.ResourceVersion == last.ResourceVersion {
			continue
		}
		if err := place(dir, secret); err != nil {
			return err
		}
		last = secret
	}
}

// place makes a directory with the content of the Secret and turns the link
// "..data" to it. What was there before stays for who reads it right now.
func place(dir string, secret *corev1.Secret) error {
	version := "..v" + secret.ResourceVersion
	if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
		return err
	}
	for file, content := range secret.Data {
		if err := os.WriteFile(filepath.Join(dir, version, file), content, 0o600); err != nil {
			return err
		}
	}
	link := filepath.Join(dir, "..next")
	if err := os.Symlink(version, link); err != nil {
		return err
	}
	return os.Rename(link, filepath.Join(dir, "..data"))
}
