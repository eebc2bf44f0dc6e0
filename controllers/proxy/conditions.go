// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	wsproxyv1alpha1 "github.com/wsproxy/wsproxy/api/v1alpha1"
	"github.com/wsproxy/wsproxy/controllers/rollout"
)

// maxNamed is how many lagging pods a message names.
const maxNamed = 3

// conditions returns the conditions that follow from a work. Stalled is among
// them only where it is True.
func conditions(w *work) []metav1.Condition {
	accepted, resolved, programmed := acceptedCondition(w), resolvedCondition(w), programmedCondition(w)
	all := []metav1.Condition{accepted, resolved, programmed, readyCondition(w, accepted, resolved, programmed)}
	if w.rejection != nil && terminal(w.rejection.reason) {
		all = append(all, condition(wsproxyv1alpha1.ConditionStalled, true, w.rejection.reason, w.rejection.message))
	}
	return all
}

// terminal says whether only a change of the spec helps. A class that is missing
// may be on its way: with GitOps, things are applied in any order.
func terminal(reason string) bool {
	return reason == wsproxyv1alpha1.ReasonInvalidSpec || reason == wsproxyv1alpha1.ReasonOverrideNotAllowed
}

func condition(kind string, met bool, reason, message string) metav1.Condition {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
	if met {
		c.Status = metav1.ConditionTrue
	}
	return c
}

func acceptedCondition(w *work) metav1.Condition {
	if w.rejection != nil {
		return condition(wsproxyv1alpha1.ConditionAccepted, false, w.rejection.reason, w.rejection.message)
	}
	return condition(wsproxyv1alpha1.ConditionAccepted, true, wsproxyv1alpha1.ReasonAccepted, "the spec is accepted")
}

func resolvedCondition(w *work) metav1.Condition {
	if len(w.unresolved) == 0 {
		return condition(wsproxyv1alpha1.ConditionResolvedRefs, true, wsproxyv1alpha1.ReasonResolved, "every reference is resolved")
	}
	var messages []string
	for _, v := range w.unresolved {
		messages = append(messages, v.message)
	}
	return condition(wsproxyv1alpha1.ConditionResolvedRefs, false, w.unresolved[0].reason, strings.Join(messages, "; "))
}

// programmedCondition says whether every pod that takes clients has the
// configuration of this generation of the spec.
func programmedCondition(w *work) metav1.Condition {
	not := func(reason, message string) metav1.Condition {
		return condition(wsproxyv1alpha1.ConditionProgrammed, false, reason, message)
	}
	ready := w.readyPods()
	switch {
	case w.failure != nil:
		return not(wsproxyv1alpha1.ReasonApplyFailed, w.failure.Error())
	case w.blocked != nil:
		return not(w.blocked.reason, w.blocked.message)
	case w.rejection != nil:
		return not(wsproxyv1alpha1.ReasonNotAttempted, "the spec is not accepted; the pods go on with the configuration they had")
	case w.unusable:
		return not(wsproxyv1alpha1.ReasonNotAttempted, "a certificate is missing; the pods go on with the configuration they had")
	case w.snapshot == nil:
		return not(wsproxyv1alpha1.ReasonNotAttempted, "the certificate authority is not ready yet")
	case len(ready) == 0:
		return not(wsproxyv1alpha1.ReasonNoReadyPods, "no pod is ready")
	}
	var lagging []string
	for _, p := range ready {
		if !p.pushed.Acknowledged {
			lagging = append(lagging, lag(p, w.snapshot.GetVersion()))
		}
	}
	if len(lagging) > 0 {
		rest := ""
		if more := len(lagging) - maxNamed; more > 0 {
			lagging, rest = lagging[:maxNamed], fmt.Sprintf(" and %d more", more)
		}
		return not(wsproxyv1alpha1.ReasonPodsLagging, strings.Join(lagging, "; ")+rest)
	}
	return condition(wsproxyv1alpha1.ConditionProgrammed, true, wsproxyv1alpha1.ReasonProgrammed, "every ready pod has the current configuration")
}

// lag says why a pod has not the current configuration, whose version is wanted.
func lag(p observedPod, wanted uint64) string {
	switch {
	case p.pushed.Newer && !believable(p.pushed.Version, wanted):
		return fmt.Sprintf("pod %s: version %d is in force, which no cluster can have given; delete the pod", p.name, p.pushed.Version)
	case p.pushed.Problem != nil:
		return fmt.Sprintf("pod %s: %s", p.name, p.pushed.Problem)
	}
	return fmt.Sprintf("pod %s has not answered yet", p.name)
}

// readyCondition sums up. Its message is that of the first thing that is wrong.
func readyCondition(w *work, accepted, resolved, programmed metav1.Condition) metav1.Condition {
	not := func(reason, message string) metav1.Condition {
		return condition(wsproxyv1alpha1.ConditionReady, false, reason, message)
	}
	switch {
	case accepted.Status != metav1.ConditionTrue:
		return not(wsproxyv1alpha1.ReasonNotAccepted, accepted.Message)
	case resolved.Status != metav1.ConditionTrue:
		return not(wsproxyv1alpha1.ReasonRefsPending, resolved.Message)
	case programmed.Reason == wsproxyv1alpha1.ReasonApplyFailed:
		return not(wsproxyv1alpha1.ReasonApplyFailed, programmed.Message)
	}
	if missing := unfinished(w); missing != nil {
		return not(missing.reason, missing.message)
	}
	if w.proxy.Spec.EffectiveReplicas() == 0 {
		// This is what was asked for, so there is nothing to wait for.
		return condition(wsproxyv1alpha1.ConditionReady, true, wsproxyv1alpha1.ReasonScaledToZero, "scaled to zero: there is no pod, on purpose")
	}
	if programmed.Status != metav1.ConditionTrue {
		return not(wsproxyv1alpha1.ReasonProgressing, programmed.Message)
	}
	message := "the proxy serves what its spec says"
	if ref := w.proxy.Spec.Upstream.ServiceRef; ref != nil && len(w.endpoints) == 0 {
		message += fmt.Sprintf("; but Service %q has no ready endpoint, so clients are answered 502", ref.Name)
	}
	return condition(wsproxyv1alpha1.ConditionReady, true, wsproxyv1alpha1.ReasonReady, message)
}

// unfinished says what is missing until every pod that is wanted runs as the
// Deployment says; nil where nothing is.
func unfinished(w *work) *verdict {
	wanted := w.proxy.Spec.EffectiveReplicas()
	progressing := func(format string, arguments ...any) *verdict {
		message := fmt.Sprintf(format, arguments...)
		if given, up := rollout.GivenUp(w.deployment); up {
			message += "; Kubernetes does not expect more: " + given
		}
		return &verdict{wsproxyv1alpha1.ReasonProgressing, message}
	}
	d := w.deployment
	switch {
	case d == nil:
		return progressing("the Deployment is not there yet")
	case d.Spec.Replicas == nil || *d.Spec.Replicas != wanted || d.Status.ObservedGeneration < max(d.Generation, w.generation):
		return progressing("the Deployment is being changed")
	case w.waiting != nil:
		return w.waiting
	case d.Status.UpdatedReplicas < wanted:
		return progressing("%d of %d pods are of the current template", d.Status.UpdatedReplicas, wanted)
	case d.Status.Replicas > wanted:
		return progressing("%d pods more than wanted are still there", d.Status.Replicas-wanted)
	case d.Status.ReadyReplicas < wanted:
		return progressing("%d of %d pods are ready", d.Status.ReadyReplicas, wanted)
	case len(w.readyPods()) < int(wanted):
		// The Deployment says a moment later what the pods say.
		return progressing("%d of %d pods are ready", len(w.readyPods()), wanted)
	}
	return nil
}
