// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// confirmTimeout is how long it may take to learn which pods there are now.
	confirmTimeout = 2 * time.Second
	// confirmEvery is how often that is made sure of when nobody asks.
	confirmEvery = 10 * time.Second
	// staleAfter is how long it may not have been. With the time until that is found,
	// and with what clocks may be ahead, it is below the minute for which pods are young
	// to those who resume.
	staleAfter = 30 * time.Second
)

var (
	errNotSaid = errors.New("the kube-apiserver does not say which data-plane pods there are")
	errBehind  = errors.New("the watch of data-plane pods is behind")
)

// Confirm makes sure that the pods of a namespace, or of all where it is empty,
// are known as they are at this moment: it lists them, together with all who want
// that at the same time, and waits until the watch has come that far. The error
// says that pods may be missing.
//
// The resourceVersion of the list itself is of no use: it moves on with
// everything in the cluster, and the watch does so only with the pods.
func (f *Fleet) Confirm(ctx context.Context, namespace string) error {
	limited, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	switch {
	case !f.Covers(namespace):
		return nil
	case namespace != "":
		return f.confirm(limited, namespace)
	}
	namespaces := f.watches()
	problems := make([]error, len(namespaces))
	var confirming sync.WaitGroup
	for i, each := range namespaces {
		confirming.Go(func() { problems[i] = f.confirm(limited, each) })
	}
	confirming.Wait()
	if err := cmp.Or(problems...); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.confirmed = time.Now()
	return nil
}

// confirm makes sure of the pods of one namespace, or of one watch.
func (f *Fleet) confirm(ctx context.Context, namespace string) error {
	now, err := f.look(ctx, namespace)
	if err != nil {
		return err
	}
	for {
		f.mu.Lock()
		seen, changed := f.seen[f.watchOf(namespace)], f.changed
		f.mu.Unlock()
		if seen >= now.version {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			f.options.Logger.Info("Watch of pods is behind", "namespace", namespace, "listed", now.version, "watched", seen)
			return errBehind
		}
	}
}

// look is a list of the pods as they are now.
func (f *Fleet) look(ctx context.Context, namespace string) (view, error) {
	now, err := f.looks.look(ctx, namespace)
	if err != nil && ctx.Err() == nil {
		f.options.Logger.Info("Pods cannot be listed", "namespace", namespace, "cause", err.Error())
	}
	if err != nil {
		return view{}, errNotSaid
	}
	return now, nil
}

// Fresh returns nil where the pods are known as they were less than half a minute
// ago, else an error: then others can answer better.
func (f *Fleet) Fresh() error {
	if err := f.Ready(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// In the first moment after they were listed nothing needs to be confirmed.
	if age := time.Since(f.confirmed); !f.confirmed.IsZero() && age > staleAfter {
		return fmt.Errorf("what is known of the data-plane pods is %v old", age.Truncate(time.Second))
	}
	return nil
}

// stayFresh confirms regularly until ctx ends.
func (f *Fleet) stayFresh(ctx context.Context) {
	if !cache.WaitForCacheSync(ctx.Done(), f.synced...) {
		return
	}
	f.mu.Lock()
	f.confirmed = time.Now()
	f.mu.Unlock()
	regularly := time.NewTicker(confirmEvery)
	defer regularly.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-regularly.C:
			f.refresh(ctx)
		}
	}
}

// refresh confirms. Where that has not been possible for too long, those who watch are
// told no versions any more: others would believe that they know the pods that have
// started since.
func (f *Fleet) refresh(ctx context.Context) {
	// It has been logged, and Fresh tells.
	_ = f.Confirm(ctx, "")
	if f.Fresh() != nil {
		f.hub.outdated()
	}
}

// seeLocked notes how far the watch that told of a pod has come.
func (f *Fleet) seeLocked(pod *corev1.Pod) {
	watch := f.watchOf(pod.Namespace)
	if version := versionOf(pod.ResourceVersion); version > f.seen[watch] {
		f.seen[watch] = version
		f.noteLocked()
	}
}

// versionOf is a resourceVersion as a number; they can be compared.
func versionOf(resourceVersion string) uint64 {
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return version
}
