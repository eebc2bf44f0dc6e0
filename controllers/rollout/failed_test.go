// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// givenUp is a Deployment that Kubernetes has given up on.
func givenUp(d appsv1.Deployment) appsv1.Deployment {
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Message: "timed out"}}
	return d
}

func ready(d appsv1.Deployment) appsv1.Deployment {
	d.Status.ReadyReplicas = d.Status.Replicas
	return d
}

func TestWhatFailsForMostHasFailed(t *testing.T) {
	failed, done := givenUp(deployment("a", 2, 2, 3, 1)), ready(deployment("b", 2, 2, 2, 2))
	stranger, other := failed, failed
	stranger.OwnerReferences = nil
	other.Labels = map[string]string{"other": "template"}
	for name, c := range map[string]struct {
		all  []appsv1.Deployment
		want int
	}{
		"none":                                  {nil, 0},
		"the first one":                         {[]appsv1.Deployment{failed}, 1},
		"more than are done":                    {[]appsv1.Deployment{failed, done, failed}, 2},
		"as many as are done":                   {[]appsv1.Deployment{failed, done}, 0},
		"one, while others go on":               {[]appsv1.Deployment{failed, deployment("c", 2, 2, 3, 1)}, 1},
		"one, beside one without pods":          {[]appsv1.Deployment{failed, deployment("c", 2, 2, 0, 0)}, 1},
		"one, beside one whose pods start":      {[]appsv1.Deployment{failed, deployment("c", 2, 2, 2, 2)}, 1},
		"one, beside one that nobody looked at": {[]appsv1.Deployment{failed, ready(deployment("c", 3, 2, 2, 2))}, 1},
		"one that was changed since":            {[]appsv1.Deployment{givenUp(deployment("a", 3, 2, 3, 1))}, 0},
		"one that somebody has paused":          {[]appsv1.Deployment{paused(failed)}, 0},
		"a stranger's":                          {[]appsv1.Deployment{stranger}, 0},
		"one with another template":             {[]appsv1.Deployment{other}, 0},
	} {
		if got := Failed(c.all, func(d *appsv1.Deployment) bool { return d.Labels == nil }); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
