// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/apply"
	"github.com/wsproxy/wsproxy/controllers/push"
)

// work is one reconciliation: what was asked for and what the phases found.
type work struct {
	// proxy as it was read. It is not changed.
	proxy *wsproxyv1alpha1.WebSocketProxy
	key   types.NamespacedName
	now   time.Time

	// class that the proxy inherits from; nil where it inherits from none.
	class *wsproxyv1alpha1.WebSocketProxyClass
	// rejection is why the spec is not accepted; nil where it is.
	rejection *verdict
	// unresolved are the references that are not.
	unresolved []verdict
	// unusable says that a certificate that the spec names was never there, so
	// that what the spec says cannot be served.
	unusable bool
	// endpoints of the upstream's Service.
	endpoints []*dataplanev1alpha1.Endpoint
	// files of the pods' Secret that come from Secrets of the user.
	files map[string][]byte

	// snapshot that the pods should have, with its version; nil where there is
	// none yet.
	snapshot *dataplanev1alpha1.Snapshot
	// blocked is why objects could not be written though the spec is accepted.
	blocked *verdict

	// deployment as it was before this reconciliation, and the generation that it
	// has after it (0: not written).
	deployment *appsv1.Deployment
	generation int64
	// waiting is why pods are not replaced yet though they must be; nil where they
	// need not be.
	waiting *verdict
	pods    []observedPod
	// observed: the pods, and what they answered, are known.
	observed bool

	// failure ended the phases early.
	failure error
	// requeue is when to look again without being told; 0 is never.
	requeue time.Duration
}

// verdict is a condition that is not met: a reason of the API and a sentence.
type verdict struct {
	reason  string
	message string
}

// observedPod is a data-plane pod as Kubernetes and the pusher see it.
type observedPod struct {
	name  string
	uid   types.UID
	ready bool
	// leaving says that the pod drains, or is about to.
	leaving bool
	// cost is its deletion cost: what it had of connections when that was written.
	cost int64
	// target is where it is pushed to; its Address is empty while it has none.
	target push.Target
	pushed push.Pod
}

// held says that what the spec asks for is not put in force: the proxy goes on
// with what it had, and only certificates and endpoints are kept fresh.
func (w *work) held() bool { return w.rejection != nil || w.unusable }

// after asks for another look after d, or earlier if that was asked for already.
func (w *work) after(d time.Duration) {
	if w.requeue == 0 || d < w.requeue {
		w.requeue = d
	}
}

// settle records what went wrong with an object where that is something the user
// must put right, and returns what is left for a retry to heal.
func (w *work) settle(err error) error {
	var foreign *apply.ForeignError
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &foreign):
		w.blocked = &verdict{wsproxyv1alpha1.ReasonApplyFailed, foreign.Error()}
		w.after(foreignDelay)
		return nil
	case apierrors.IsInvalid(err) && errors.As(err, &status):
		w.rejection = &verdict{wsproxyv1alpha1.ReasonInvalidSpec, status.Status().Message}
		return nil
	}
	return err
}

// readyPods returns the pods that take clients.
func (w *work) readyPods() []observedPod {
	var ready []observedPod
	for _, p := range w.pods {
		if p.ready {
			ready = append(ready, p)
		}
	}
	return ready
}

// staying counts the pods that are not going away.
func (w *work) staying() int32 {
	n := int32(0)
	for _, p := range w.pods {
		if !p.leaving {
			n++
		}
	}
	return n
}

// isReady says whether a pod takes clients: one that is going away does not.
func isReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
