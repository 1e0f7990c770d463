{{- define "gpuMcp.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The bridge and kubectl-mcp find the gateway by this name: it does not follow nameOverride. */}}
{{- define "gpuMcp.selectorLabels" -}}
app.kubernetes.io/name: k8s-gpu-mcp-server
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "gpuMcp.labels" -}}
{{ include "gpuMcp.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with merge dict (.further | default dict) .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gpuMcp.metadata" -}}
name: {{ include "gpuMcp.fullname" .root }}-{{ default .component .suffix }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "gpuMcp.labels" . | nindent 2 }}
{{- end -}}

{{- define "gpuMcp.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "gpuMcp.serviceAccountName" -}}
{{- $account := (get .root.Values .component).serviceAccount -}}
{{- $account.name | default (printf "%s-%s" (include "gpuMcp.fullname" .root) .component) -}}
{{- end -}}

{{/* Name of the Secret with a token, and its key: a given one, or ours. */}}
{{- define "gpuMcp.secretName" -}}
{{- (get .root.Values.auth .token).existingSecret | default (printf "%s-%s-token" (include "gpuMcp.fullname" .root) (kebabcase .token)) -}}
{{- end -}}
{{- define "gpuMcp.secretKey" -}}
{{- $auth := get .root.Values.auth .token -}}
{{- ternary $auth.key "token" (ne $auth.existingSecret "") -}}
{{- end -}}

{{/* A token is a file in a directory of its own, so that the kubelet can replace it. */}}
{{- define "gpuMcp.tokenVolume" -}}
- name: {{ kebabcase .token }}-token
  secret:
    secretName: {{ include "gpuMcp.secretName" . | quote }}
    items:
      - key: {{ include "gpuMcp.secretKey" . | quote }}
        path: token
{{- end -}}
{{- define "gpuMcp.tokenMount" -}}
- name: {{ kebabcase .token }}-token
  mountPath: /run/{{ kebabcase .token }}-token
  readOnly: true
{{- end -}}

{{/* What the PodSecurity profile "restricted" asks of a container; the image's own user is not root. */}}
{{- define "gpuMcp.restricted" -}}
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The image asks for all GPUs, and a node whose default runtime is NVIDIA's gives them to whoever asks. */}}
{{- define "gpuMcp.noGpus" -}}
- name: NVIDIA_VISIBLE_DEVICES
  value: void
{{- end -}}

{{- define "gpuMcp.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
  {{- if eq .port "https" }}
  scheme: HTTPS
  {{- end }}
{{- end -}}

{{- define "gpuMcp.agentServerName" -}}
{{ include "gpuMcp.fullname" . }}-agent.{{ .Release.Namespace }}.svc
{{- end -}}
{{- define "gpuMcp.gatewayServerName" -}}
{{ include "gpuMcp.fullname" . }}-gateway.{{ .Release.Namespace }}.svc
{{- end -}}
