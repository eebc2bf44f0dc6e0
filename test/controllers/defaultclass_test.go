// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"reflect"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers"
	"github.com/wsproxy/wsproxy/controllers/defaultclass"
)

// startWithClass starts an operator that brings a default class.
func (r *room) startWithClass(text string) *operator {
	r.Helper()
	spec, err := defaultclass.Parse(text)
	if err != nil {
		r.Fatal(err)
	}
	return startOperator(r.T, r.namespace, func(o *controllers.Options) { o.DefaultClass = spec })
}

// defaultClass waits until the class is as wanted.
func (r *room) defaultClass(what string, wanted func(*wsproxyv1alpha1.WebSocketProxyClass) bool) *wsproxyv1alpha1.WebSocketProxyClass {
	r.Helper()
	class := &wsproxyv1alpha1.WebSocketProxyClass{}
	r.eventually(func() error {
		if err := r.api.Get(r.Context(), types.NamespacedName{Name: defaultclass.Name}, class); err != nil {
			return err
		}
		if !wanted(class) {
			return fmt.Errorf("class is %+v, want %s", class.Spec, what)
		}
		return nil
	})
	return class
}

func retriesOf(n *int32) func(*wsproxyv1alpha1.WebSocketProxyClass) bool {
	return func(c *wsproxyv1alpha1.WebSocketProxyClass) bool {
		got := c.Spec.Settings.MaxRetries
		return c.Annotations[wsproxyv1alpha1.DefaultClassAnnotation] == "true" && (got == nil) == (n == nil) && (n == nil || *got == *n)
	}
}

// written is what the API server has noted of the writes of an installation.
func written(class *wsproxyv1alpha1.WebSocketProxyClass) []metav1.ManagedFieldsEntry {
	var all []metav1.ManagedFieldsEntry
	for _, e := range class.ManagedFields {
		if e.Manager == defaultclass.FieldOwner {
			all = append(all, e)
		}
	}
	return all
}

func TestTheInstallationsDefaultClassIsKept(t *testing.T) {
	r := newRoom(t)
	o := r.startWithClass(`{"settings":{"maxRetries":0}}`)
	class := r.defaultClass("maxRetries 0", retriesOf(new(int32(0))))
	r.proxy("echo")
	r.maxRetries("echo", 0, "Class/default")

	// What others change of it is put back, what they add stays.
	r.patch(class, `{"spec":{"settings":{"maxRetries":8,"connectTimeout":7}}}`)
	class = r.defaultClass("maxRetries 0 again", retriesOf(new(int32(0))))
	if got := class.Spec.Settings.ConnectTimeout; got == nil || *got != 7 {
		t.Errorf("connectTimeout is %v, want what a user added", got)
	}
	if err := r.api.Delete(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	r.defaultClass("made again", retriesOf(new(int32(0))))

	// The next version of the installation no longer sets it.
	o.stop()
	o = r.startWithClass(`{}`)
	class = r.defaultClass("no maxRetries", retriesOf(nil))
	r.maxRetries("echo", wsproxyv1alpha1.DefaultMaxRetries, wsproxyv1alpha1.SourceBuiltIn)

	// An operator that finds everything in place writes nothing. (Its second proxy
	// is accepted under the class, so it has looked.)
	o.stop()
	r.startWithClass(`{}`)
	r.proxy("second")
	r.condition("second", wsproxyv1alpha1.ConditionAccepted, metav1.ConditionTrue, wsproxyv1alpha1.ReasonAccepted)
	if was, is := written(class), written(r.defaultClass("as before", retriesOf(nil))); len(was) != 1 || !reflect.DeepEqual(was, is) {
		t.Errorf("written from %v to %v, though nothing had changed", was, is)
	}
}

func TestWithoutAFlagTheDefaultClassIsTheUsers(t *testing.T) {
	r := newRoom(t)
	startOperator(t, r.namespace)
	r.class(defaultclass.Name, func(c *wsproxyv1alpha1.WebSocketProxyClass) {
		c.Annotations = map[string]string{wsproxyv1alpha1.DefaultClassAnnotation: "true"}
		c.Spec.Settings.MaxRetries = new(int32(4))
	})
	r.proxy("echo")
	r.maxRetries("echo", 4, "Class/default")
	if got := written(r.defaultClass("as it was made", retriesOf(new(int32(4))))); got != nil {
		t.Errorf("the operator wrote a class that it was not told of: %v", got)
	}
}
