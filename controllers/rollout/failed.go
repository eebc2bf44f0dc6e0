// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Failed returns how many of the Deployments that have the same as the one that is
// asked for do not get their pods ready, if these are more than those that have; 0 if
// they are not, for then it is not what they have in common that is wrong: a proxy
// whose own podTemplate no node can satisfy must not hold up all others.
func Failed(all []appsv1.Deployment, same func(*appsv1.Deployment) bool) int {
	failed, done := 0, 0
	for i := range all {
		d := &all[i]
		if proxyOf(d).Name == "" || !same(d) || d.Spec.Paused {
			continue
		}
		if _, up := GivenUp(d); up {
			failed++
		} else if isDone(d) {
			done++
		}
	}
	if failed > done {
		return failed
	}
	return 0
}

// GivenUp says whether Kubernetes has given up on a Deployment, and what it says: its
// pods have not become ready within the progress deadline, ten minutes. d may be nil.
func GivenUp(d *appsv1.Deployment) (string, bool) {
	if d == nil || d.Status.ObservedGeneration < d.Generation {
		return "", false
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse {
			return c.Message, true
		}
	}
	return "", false
}

// isDone says whether a Deployment has pods, and all of them are of its template and
// ready.
func isDone(d *appsv1.Deployment) bool {
	s := &d.Status
	return s.ObservedGeneration >= d.Generation && s.Replicas > 0 && s.UpdatedReplicas == s.Replicas && s.ReadyReplicas == s.Replicas
}
