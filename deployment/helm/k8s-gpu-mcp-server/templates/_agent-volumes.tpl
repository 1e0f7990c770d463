{{- define "gpuMcp.agentMounts" -}}
{{- $f := include "gpuMcp.facts" . | fromYaml -}}
{{- range $f.agentTokens }}
{{ include "gpuMcp.tokenMount" (dict "token" .) }}
{{- end }}
{{- if $f.hasAgentTls }}
- name: agent-tls
  mountPath: /run/agent-tls
  readOnly: true
{{- end }}
{{- if .Values.agent.healthThresholds }}
- name: health-thresholds
  mountPath: /etc/k8s-gpu-mcp-server
  readOnly: true
{{- end }}
{{- if .Values.podResources.enabled }}
- name: pod-resources
  mountPath: /var/lib/kubelet/pod-resources
  readOnly: true
{{- end }}
{{- if and $f.records (ne .Values.recorder.storage "memory") }}
- name: records
  mountPath: /var/lib/k8s-gpu-mcp-server
{{- end }}
{{- if $f.resets }}
- name: driver-root
  mountPath: {{ (include "gpuMcp.driverRoot" . | fromYaml).mountPath }}
  readOnly: true
  mountPropagation: HostToContainer
{{- end }}
{{- with .Values.agent.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "gpuMcp.agentVolumes" -}}
{{- $f := include "gpuMcp.facts" . | fromYaml -}}
{{- range $f.agentTokens }}
{{ include "gpuMcp.tokenVolume" (dict "root" $ "token" .) }}
{{- end }}
{{- if $f.hasAgentTls }}
- name: agent-tls
  secret:
    secretName: {{ .Values.tls.agent.secretName | quote }}
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}
{{- if .Values.agent.healthThresholds }}
- name: health-thresholds
  configMap:
    name: {{ include "gpuMcp.fullname" . }}-health-thresholds
{{- end }}
{{- if .Values.podResources.enabled }}
# The directory, not the socket in it: a kubelet that restarts makes a new socket.
- name: pod-resources
  hostPath:
    path: {{ .Values.podResources.directory | quote }}
    type: Directory
{{- end }}
{{- if and $f.records (eq .Values.recorder.storage "emptyDir") }}
- name: records
  emptyDir:
    sizeLimit: {{ .Values.recorder.sizeLimit | quote }}
{{- else if and $f.records (eq .Values.recorder.storage "hostPath") }}
- name: records
  hostPath:
    path: {{ .Values.recorder.hostPath | quote }}
    type: DirectoryOrCreate
{{- end }}
{{- if $f.resets }}
- name: driver-root
  hostPath:
    path: {{ (include "gpuMcp.driverRoot" . | fromYaml).hostPath | quote }}
    type: Directory
{{- end }}
{{- with .Values.agent.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the agent looks for nvidia-smi and its libraries. Of a host's own root it sees /usr only. */}}
{{- define "gpuMcp.driverRoot" -}}
{{- $root := .Values.operator.reset.driverRoot -}}
{{- if eq $root "/" -}}
hostPath: /usr
mountPath: /run/nvidia/driver/usr
{{- else if hasPrefix "/home/kubernetes/" $root -}}
hostPath: {{ $root | quote }}
mountPath: /home/kubernetes/bin/nvidia
{{- else -}}
hostPath: {{ $root | quote }}
mountPath: /run/nvidia/driver
{{- end -}}
{{- end -}}
