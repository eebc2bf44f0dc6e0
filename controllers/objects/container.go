// Copyright The wsproxy Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	dataplanev1alpha1 "github.com/wsproxy/wsproxy/api/dataplane/v1alpha1"
)

// hungGrace is how many seconds a container has to end once its probe says that it
// hangs. Without it that would be the hour that a pod has to drain: a process that
// hears nothing does not drain, and meanwhile its clients are held and nothing
// serves in its place.
const hungGrace = 10

// container returns the data-plane container. No hash of the configuration is
// in it: the pod is pushed what changes.
func container(image string, args []string) *corev1ac.ContainerApplyConfiguration {
	return corev1ac.Container().
		WithName(ContainerName).
		WithImage(image).
		WithImagePullPolicy(corev1.PullIfNotPresent).
		WithCommand("/dataplane").
		WithArgs(
			"--config="+path.Join(dataplanev1alpha1.ConfigDir, dataplanev1alpha1.SnapshotFile),
			"--secret-dir="+dataplanev1alpha1.SecretDir,
			"--state-dir="+dataplanev1alpha1.StateDir,
		).
		WithArgs(args...).
		WithEnv(
			fromField(dataplanev1alpha1.EnvPodUID, "metadata.uid"),
			fromField(dataplanev1alpha1.EnvPodName, "metadata.name"),
			fromField(dataplanev1alpha1.EnvPodNamespace, "metadata.namespace"),
		).
		WithPorts(
			port(portTraffic, dataplanev1alpha1.PortTraffic),
			port(portControl, dataplanev1alpha1.PortControl),
			port(portMetrics, dataplanev1alpha1.PortMetrics),
		).
		WithVolumeMounts(
			corev1ac.VolumeMount().WithName(volumeConfig).WithMountPath(dataplanev1alpha1.ConfigDir).WithReadOnly(true),
			corev1ac.VolumeMount().WithName(volumeSecret).WithMountPath(dataplanev1alpha1.SecretDir).WithReadOnly(true),
			corev1ac.VolumeMount().WithName(volumeState).WithMountPath(dataplanev1alpha1.StateDir),
		).
		// Asked every second for a minute, so that a rollout does not wait for
		// the slower readiness probe.
		WithStartupProbe(probe("/healthz").WithPeriodSeconds(1).WithTimeoutSeconds(2).WithFailureThreshold(60).WithTerminationGracePeriodSeconds(hungGrace)).
		WithReadinessProbe(probe("/readyz").WithPeriodSeconds(2).WithTimeoutSeconds(2).WithFailureThreshold(3)).
		// Being killed ends every connection of the pod, so only a minute of
		// silence is proof enough.
		WithLivenessProbe(probe("/healthz").WithPeriodSeconds(10).WithTimeoutSeconds(5).WithFailureThreshold(6).WithTerminationGracePeriodSeconds(hungGrace)).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithSecurityContext(corev1ac.SecurityContext().
			WithRunAsNonRoot(true).
			WithAllowPrivilegeEscalation(false).
			WithPrivileged(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL")).
			WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)))
}

func fromField(name, field string) *corev1ac.EnvVarApplyConfiguration {
	return corev1ac.EnvVar().WithName(name).WithValueFrom(corev1ac.EnvVarSource().
		WithFieldRef(corev1ac.ObjectFieldSelector().WithAPIVersion("v1").WithFieldPath(field)))
}

func port(name string, number int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(number).WithProtocol(corev1.ProtocolTCP)
}

func probe(path string) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().WithHTTPGet(corev1ac.HTTPGetAction().
		WithPath(path).
		WithPort(intstr.FromString(portMetrics)).
		WithScheme(corev1.URISchemeHTTP))
}

// resources returns what the spec says, else requests that let a scheduler
// count the pod: an idle one takes far less, a busy one is expected to be given
// its own. There is no limit of ours, because hitting one ends connections.
func resources(r corev1.ResourceRequirements) (*corev1ac.ResourceRequirementsApplyConfiguration, error) {
	if r.Requests != nil || r.Limits != nil || r.Claims != nil {
		return convert[corev1ac.ResourceRequirementsApplyConfiguration](r)
	}
	return corev1ac.ResourceRequirements().WithRequests(corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("50m"),
		corev1.ResourceMemory: resource.MustParse("64Mi"),
	}), nil
}
