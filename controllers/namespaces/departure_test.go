// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package namespaces

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

func TestJudge(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	// pod is one that was asked to end so long ago; a negative time is one that was
	// not.
	pod := func(phase corev1.PodPhase, ago time.Duration, window string) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"window": window}}, Status: corev1.PodStatus{Phase: phase}}
		if ago >= 0 {
			p.DeletionGracePeriodSeconds = new(int64(dataplanev1alpha1.GracePeriodSeconds))
			p.DeletionTimestamp = new(metav1.NewTime(now.Add(dataplanev1alpha1.GracePeriodSeconds*time.Second - ago)))
		}
		return p
	}
	window := func(p *corev1.Pod) (time.Duration, bool) {
		d, err := time.ParseDuration(p.Labels["window"])
		return d, err == nil
	}
	const not, s = -time.Second, time.Second
	for name, c := range map[string]struct {
		pods []corev1.Pod
		far  departure
		wait time.Duration
	}{
		"no pod":                    {nil, gone, 0},
		"not asked to end":          {[]corev1.Pod{pod(corev1.PodRunning, not, "30s")}, staying, 0},
		"one of two not asked":      {[]corev1.Pod{pod(corev1.PodRunning, 60*s, "30s"), pod(corev1.PodPending, not, "30s")}, staying, 0},
		"just asked":                {[]corev1.Pod{pod(corev1.PodRunning, 0, "30s")}, draining, 33 * s},
		"in the drain window":       {[]corev1.Pod{pod(corev1.PodRunning, 32*s, "30s")}, draining, 1 * s},
		"5 s before they are gone":  {[]corev1.Pod{pod(corev1.PodRunning, 33*s, "30s")}, leaving, 0},
		"the longest window counts": {[]corev1.Pod{pod(corev1.PodRunning, 33*s, "1m"), pod(corev1.PodRunning, 33*s, "30s")}, draining, 30 * s},
		"late":                      {[]corev1.Pod{pod(corev1.PodRunning, time.Hour, "30s")}, leaving, 0},
		"no window":                 {[]corev1.Pod{pod(corev1.PodRunning, 0, "0s")}, draining, 3 * s},
		"nobody knows the window":   {[]corev1.Pod{pod(corev1.PodRunning, time.Hour, "?"), pod(corev1.PodRunning, time.Hour, "30s")}, draining, 0},
		"the processes have ended":  {[]corev1.Pod{pod(corev1.PodSucceeded, 10*s, "30s"), pod(corev1.PodFailed, not, "?")}, gone, 0},
		"one process has ended":     {[]corev1.Pod{pod(corev1.PodSucceeded, 10*s, "1m"), pod(corev1.PodRunning, 10*s, "30s")}, draining, 23 * s},
	} {
		t.Run(name, func(t *testing.T) {
			far, wait := judge(c.pods, now, window)
			if far != c.far || wait != c.wait {
				t.Errorf("got %d, %v, want %d, %v", far, wait, c.far, c.wait)
			}
		})
	}
}

func TestAPodThatIsDeletedByForceWasAskedNow(t *testing.T) {
	now := metav1.Now()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}
	if got := asked(pod); !got.Equal(now.Time) {
		t.Errorf("got %v, want %v", got, now)
	}
}
