{{/* What follows from the values, decided once: every template asks here. */}}
{{- define "gpuMcp.facts" -}}
{{- $v := .Values -}}
{{- $isHttp := eq $v.transport.mode "http" -}}
{{- $isOperator := eq $v.mode "operator" -}}
{{- $isMock := $v.gpu.mock.enabled -}}
{{- $hasGateway := and $isHttp $v.gateway.enabled -}}
{{- $kills := and $isOperator $v.operator.kill.enabled -}}
{{- $resets := and $isOperator $v.operator.reset.enabled -}}
{{- /* Simulated GPUs bring their own kernel log. */ -}}
{{- $kernelLog := ternary "none" $v.kernelLog.source $isMock -}}
{{- $records := and $isHttp $v.recorder.enabled -}}
{{- $onHost := and $records (eq $v.recorder.storage "hostPath") -}}
{{- $isPrivileged := or $resets (eq $kernelLog "kmsg") -}}
{{- $hostPID := or $v.hostPID $kills $resets -}}
{{- $rootFor := list -}}
{{- if ne $kernelLog "none" }}{{ $rootFor = append $rootFor (printf "kernelLog.source=%s" $kernelLog) }}{{ end -}}
{{- if $v.podResources.enabled }}{{ $rootFor = append $rootFor "podResources.enabled" }}{{ end -}}
{{- if $onHost }}{{ $rootFor = append $rootFor "recorder.storage=hostPath" }}{{ end -}}
{{- if $kills }}{{ $rootFor = append $rootFor "operator.kill.enabled" }}{{ end -}}
{{- if $resets }}{{ $rootFor = append $rootFor "operator.reset.enabled" }}{{ end -}}
{{- $user := ternary 0 65532 (gt (len $rootFor) 0) -}}
{{- if not (kindIs "invalid" $v.agent.runAsUser) }}{{ $user = int64 $v.agent.runAsUser }}{{ end -}}
{{- $capabilities := list -}}
{{- if ne $kernelLog "none" }}{{ $capabilities = append $capabilities "SYSLOG" }}{{ end -}}
{{- if $kills }}{{ $capabilities = append $capabilities "KILL" }}{{ end -}}
{{- /* Why no PodSecurity profile but "privileged" admits the agents. https://kubernetes.io/docs/concepts/security/pod-security-standards/ */ -}}
{{- $beyondBaseline := list -}}
{{- if $isPrivileged }}{{ $beyondBaseline = append $beyondBaseline "they are privileged" }}{{ end -}}
{{- if and (ne $kernelLog "none") (not $isPrivileged) }}{{ $beyondBaseline = append $beyondBaseline "they have the capability SYSLOG (kernelLog.source=syslog)" }}{{ end -}}
{{- if $hostPID }}{{ $beyondBaseline = append $beyondBaseline "they see the host's processes (hostPID)" }}{{ end -}}
{{- $hostPaths := or $v.podResources.enabled $onHost $resets -}}
{{- range $v.agent.extraVolumes }}{{ if hasKey . "hostPath" }}{{ $hostPaths = true }}{{ end }}{{ end -}}
{{- if $hostPaths }}{{ $beyondBaseline = append $beyondBaseline "they mount a directory of the host" }}{{ end -}}
{{- $profile := "restricted" -}}
{{- if $beyondBaseline }}{{ $profile = "privileged" }}{{ else if eq (int64 $user) 0 }}{{ $profile = "baseline" }}{{ end -}}
isHttp: {{ $isHttp }}
isOperator: {{ $isOperator }}
isMock: {{ $isMock }}
hasGateway: {{ $hasGateway }}
hasAgentTls: {{ and $isHttp (ne $v.tls.agent.secretName "") }}
hasGatewayTls: {{ and $hasGateway (ne $v.tls.gateway.secretName "") }}
isScraped: {{ and $isHttp (or $v.metrics.serviceMonitor.enabled $v.metrics.prometheusRule.enabled) }}
replicas: {{ $v.gateway.replicas | default (ternary 1 2 $isOperator) }}
kills: {{ $kills }}
resets: {{ $resets }}
kernelLog: {{ $kernelLog }}
records: {{ $records }}
isPrivileged: {{ $isPrivileged }}
hostPID: {{ $hostPID }}
rootFor: {{ toJson $rootFor }}
user: {{ $user }}
capabilities: {{ toJson $capabilities }}
beyondBaseline: {{ toJson $beyondBaseline }}
profile: {{ $profile }}
agentPort: {{ ternary "https" "http" (and $isHttp (ne $v.tls.agent.secretName "")) }}
gatewayPort: {{ ternary "https" "http" (and $hasGateway (ne $v.tls.gateway.secretName "")) }}
agentTokens: {{ toJson (ternary (ternary (list "agent" "agentOperator") (list "agent") $isOperator) list $isHttp) }}
gatewayTokens: {{ toJson (ternary (ternary (list "gateway" "agent" "operator" "agentOperator") (list "gateway" "agent") $isOperator) list $hasGateway) }}
tokens: {{ toJson (uniq (concat (ternary (ternary (list "agent" "agentOperator") (list "agent") $isOperator) list $isHttp) (ternary (ternary (list "gateway" "operator") (list "gateway") $isOperator) list $hasGateway))) }}
{{- end -}}

{{/* Labels by which clouds and NVIDIA's own parts mark nodes with NVIDIA GPUs: one is enough. */}}
{{- define "gpuMcp.gpuNodeTerms" -}}
# GPU Feature Discovery and the GPU Operator
- {key: nvidia.com/gpu.present, operator: In, values: ["true"]}
# Node Feature Discovery: PCI vendor, or class (3D, VGA) and vendor
- {key: feature.node.kubernetes.io/pci-10de.present, operator: In, values: ["true"]}
- {key: feature.node.kubernetes.io/pci-0302_10de.present, operator: In, values: ["true"]}
- {key: feature.node.kubernetes.io/pci-0300_10de.present, operator: In, values: ["true"]}
# GKE
- {key: cloud.google.com/gke-accelerator, operator: Exists}
# AKS
- {key: kubernetes.azure.com/accelerator, operator: In, values: [nvidia]}
# EKS: the cluster autoscaler's label, Karpenter's and that of Auto Mode
- {key: k8s.amazonaws.com/accelerator, operator: Exists}
- {key: karpenter.k8s.aws/instance-gpu-manufacturer, operator: In, values: [nvidia]}
- {key: eks.amazonaws.com/instance-gpu-manufacturer, operator: In, values: [nvidia]}
{{- end -}}
