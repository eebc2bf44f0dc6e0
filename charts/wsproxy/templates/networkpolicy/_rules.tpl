{{/* wsproxy.ingress.metrics lets Prometheus in. */}}
{{- define "wsproxy.ingress.metrics" -}}
- ports:
  - protocol: TCP
    port: 8080
  {{- with .Values.networkPolicy.metricsFrom }}
  from:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* wsproxy.egress is where operator and apiserver go. */}}
{{- define "wsproxy.egress" -}}
# The control port of the data-plane pods.
- to:
  {{- with .Values.watchNamespaces }}
  {{- range . }}
  - namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {{ . | quote }}
    podSelector:
      matchLabels:
        {{- include "wsproxy.selector" (dict "component" "dataplane") | nindent 8 }}
  {{- end }}
  {{- else }}
  - namespaceSelector: {}
    podSelector:
      matchLabels:
        {{- include "wsproxy.selector" (dict "component" "dataplane") | nindent 8 }}
  {{- end }}
  ports:
  - protocol: TCP
    port: 8081
# The kube-apiserver, which is no pod that could be selected. Whether a network judges by its own port or by that of
# its Service, Kubernetes leaves open.
- ports:
  {{- range .Values.networkPolicy.kubeAPIServer.ports }}
  - protocol: TCP
    port: {{ . }}
  {{- end }}
  {{- with .Values.networkPolicy.kubeAPIServer.cidrs }}
  to:
  {{- range . }}
  - ipBlock:
      cidr: {{ . }}
  {{- end }}
  {{- end }}
# DNS. Where it runs, and under which labels, each cluster decides itself.
- ports:
  - protocol: UDP
    port: 53
  - protocol: TCP
    port: 53
{{- with .Values.tracing.endpoint }}
# The collector of traces.
- ports:
  - protocol: TCP
    port: {{ regexFind "[0-9]+$" . }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
