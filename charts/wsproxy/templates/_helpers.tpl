{{/*
Names are not derived from the release: an installation is one per cluster, since its CRDs and its APIService are, and
the operator finds its own objects by name.
*/}}

{{/* wsproxy.labels takes {root, component} and, if there are any, more: the labels of an object, never those of a pod or
a selector. With the chart's version among them, a new version of the chart alone would replace every pod. */}}
{{- define "wsproxy.labels" -}}
{{- $own := fromYaml (include "wsproxy.selector" .) }}
{{- $_ := set $own "app.kubernetes.io/instance" .root.Release.Name }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $own "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- toYaml (merge $own (.more | default dict) (.root.Values.commonLabels | default dict)) }}
{{- end }}

{{/* wsproxy.selector takes {root, component}; without a component it is for what users are given. A Deployment's selector can never be changed. */}}
{{- define "wsproxy.selector" -}}
app.kubernetes.io/name: wsproxy
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* wsproxy.image takes {root, image}, where image is the repository of one component. */}}
{{- define "wsproxy.image" -}}
{{- with .root.Values.image.registry }}{{ . }}/{{ end }}
{{- .image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* wsproxy.podMetadata takes {root, component}: what a pod template starts with. */}}
{{- define "wsproxy.podMetadata" -}}
{{- with .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
labels:
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- include "wsproxy.selector" . | nindent 2 }}
{{- end }}

{{/* wsproxy.placement takes {root, component}: where pods of operator and apiserver run. Two of a kind are kept apart
where that is possible. */}}
{{- define "wsproxy.placement" -}}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $selector := dict "labelSelector" (dict "matchLabels" (include "wsproxy.selector" . | fromYaml)) }}
topologySpreadConstraints:
{{- range .root.Values.topologySpreadConstraints | default (list (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway")) }}
{{- /* A copy: the values are those of the other component, too. */}}
{{- $constraint := deepCopy . }}
{{- if not $constraint.labelSelector }}
{{- $constraint = merge $constraint $selector }}
{{- end }}
- {{ toYaml $constraint | nindent 2 | trim }}
{{- end }}
{{- end }}

{{/* wsproxy.pullSecrets is for the pods of operator and apiserver. */}}
{{- define "wsproxy.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* wsproxy.namespaces is for the flags of operator and apiserver. */}}
{{- define "wsproxy.namespaces" -}}
{{- with .Values.watchNamespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
{{- end }}

{{/* wsproxy.tracing is for the flags of operator and apiserver. The operator hands it to the data planes. */}}
{{- define "wsproxy.tracing" -}}
{{- if .Values.tracing.endpoint }}
- --tracing-endpoint={{ .Values.tracing.endpoint }}
- --tracing-sampling-ratio={{ .Values.tracing.samplingRatio }}
{{- end }}
{{- end }}

{{/* wsproxy.authoritySecret is the Secret with the authority that the operator follows; empty: it makes its own. */}}
{{- define "wsproxy.authoritySecret" -}}
{{- if eq .Values.certs.mode "cert-manager" }}wsproxy-authority
{{- else if eq .Values.certs.mode "existingSecret" }}{{ .Values.certs.existingSecret.name }}
{{- end }}
{{- end }}

{{/* wsproxy.defaultClass is the spec of the default class: what the values set of it, and nothing else. */}}
{{- define "wsproxy.defaultClass" -}}
{{- $spec := dict }}
{{- range $field := list "settings" "limits" "drain" "podTemplate" "allowedOverrides" }}
{{- with get $.Values.defaultClass $field }}
{{- $_ := set $spec $field . }}
{{- end }}
{{- end }}
{{- toJson $spec }}
{{- end }}
