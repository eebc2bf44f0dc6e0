// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
)

// accept finds the class and asks whether the spec can be served under it.
func (r *Reconciler) accept(ctx context.Context, w *work) error {
	var err error
	if name := w.proxy.Spec.ClassName; name != "" {
		err = r.namedClass(ctx, w, name)
	} else {
		err = r.defaultClass(ctx, w)
	}
	if err != nil || w.rejection != nil {
		return err
	}
	// The API server has judged the spec by the rules that it knew when it was
	// written, which may have been an older version's.
	if invalid := w.proxy.Validate(); len(invalid) > 0 {
		w.rejection = &verdict{wsproxyv1alpha1.ReasonInvalidSpec, invalid.ToAggregate().Error()}
		return nil
	}
	w.rejection = overrides(&w.proxy.Spec.PodTemplate, w.class)
	return nil
}

// get reads what a proxy refers to from the cache and, where it is not there, from
// the API server: what was applied together with the proxy may come to the cache a
// moment after it, and would be reported missing.
func (r *Reconciler) get(ctx context.Context, key client.ObjectKey, o client.Object) error {
	err := r.Client.Get(ctx, key, o)
	if apierrors.IsNotFound(err) {
		return r.Live.Get(ctx, key, o)
	}
	return err
}

func (r *Reconciler) namedClass(ctx context.Context, w *work, name string) error {
	class := &wsproxyv1alpha1.WebSocketProxyClass{}
	err := r.get(ctx, client.ObjectKey{Name: name}, class)
	if apierrors.IsNotFound(err) {
		w.rejection = &verdict{wsproxyv1alpha1.ReasonClassNotFound, fmt.Sprintf("spec.className: WebSocketProxyClass %q does not exist", name)}
		// It is a reference like those to Services and Secrets, too.
		w.unresolved = append(w.unresolved, *w.rejection)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read WebSocketProxyClass %s: %w", name, err)
	}
	w.class = class
	return nil
}

// defaultClass takes the class that is marked as the default. More than one is
// refused, as for IngressClasses: which of them was meant cannot be known.
func (r *Reconciler) defaultClass(ctx context.Context, w *work) error {
	var classes wsproxyv1alpha1.WebSocketProxyClassList
	if err := r.Client.List(ctx, &classes); err != nil {
		return fmt.Errorf("list WebSocketProxyClasses: %w", err)
	}
	var defaults []string
	for i := range classes.Items {
		class := &classes.Items[i]
		if class.IsDefault() {
			defaults = append(defaults, class.Name)
			w.class = class
		}
	}
	if len(defaults) > 1 {
		slices.Sort(defaults)
		w.class = nil
		w.rejection = &verdict{wsproxyv1alpha1.ReasonMultipleDefaults,
			fmt.Sprintf("spec.className is empty and more than one WebSocketProxyClass is marked as the default: %s", strings.Join(defaults, ", "))}
	}
	return nil
}

// overrides judges the pod template of a proxy by what its class lets a proxy
// say.
func overrides(t *wsproxyv1alpha1.PodTemplate, class *wsproxyv1alpha1.WebSocketProxyClass) *verdict {
	if class == nil {
		return nil
	}
	forbidden := func(allowed *bool, said bool, field string) *verdict {
		if !said || allowed == nil || *allowed {
			return nil
		}
		return &verdict{wsproxyv1alpha1.ReasonOverrideNotAllowed,
			fmt.Sprintf("spec.podTemplate.%s: WebSocketProxyClass %q does not let its proxies set it", field, class.Name)}
	}
	allowed := class.Spec.AllowedOverrides
	if v := forbidden(allowed.NodeSelector, len(t.NodeSelector) > 0, "nodeSelector"); v != nil {
		return v
	}
	if v := forbidden(allowed.NodeSelector, t.Affinity != nil, "affinity"); v != nil {
		return v
	}
	return forbidden(allowed.Tolerations, len(t.Tolerations) > 0, "tolerations")
}
