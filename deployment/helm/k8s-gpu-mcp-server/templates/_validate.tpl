{{/* Values that contradict each other, one sentence a line. What a single value may be stands in values.schema.json. */}}
{{- define "gpuMcp.problems" -}}
{{- $v := .Values -}}
{{- $f := include "gpuMcp.facts" . | fromYaml -}}
{{- $gpu := $v.gpu -}}
{{- if $gpu.mock.enabled }}
{{- if $gpu.resourceRequest.enabled }}
gpu.mock simulates GPUs and takes none: set gpu.resourceRequest.enabled=false, or gpu.mock.enabled=false.
{{- end }}
{{- if $gpu.dra.enabled }}
gpu.mock simulates GPUs and claims none: set gpu.dra.enabled=false, or gpu.mock.enabled=false.
{{- end }}
{{- if $f.isOperator }}
mode=operator acts on real GPUs and processes: it does not go with gpu.mock.enabled=true.
{{- end }}
{{- if $v.gpuOperator.deployClient }}
gpuOperator.deployClient follows real GPUs: it does not go with gpu.mock.enabled=true.
{{- end }}
{{- else }}
{{- $ways := list }}
{{- range $way := list "runtimeClass" "resourceRequest" "dra" }}
{{- if (get $gpu $way).enabled }}{{ $ways = append $ways (printf "gpu.%s.enabled" $way) }}{{ end }}
{{- end }}
{{- if not $ways }}
The agents have no way to the GPUs: set exactly one of gpu.runtimeClass.enabled, gpu.resourceRequest.enabled and gpu.dra.enabled to true, or gpu.mock.enabled for a trial without GPUs.
{{- else if gt (len $ways) 1 }}
The agents reach the GPUs in exactly one way, and {{ join " and " $ways }} are true: set all but one to false.
{{- end }}
{{- end }}
{{- if $gpu.dra.enabled }}
{{- if not (.Capabilities.APIVersions.Has "resource.k8s.io/v1") }}
gpu.dra needs the API resource.k8s.io/v1 (Kubernetes 1.34 and later), which this cluster does not serve: use gpu.runtimeClass or gpu.resourceRequest. With helm template, name it: --api-versions resource.k8s.io/v1.
{{- end }}
{{- end }}
{{- if not $f.isOperator }}
{{- if $v.operator.reset.enabled }}
operator.reset.enabled has no effect without mode=operator: set mode=operator, or leave it out.
{{- end }}
{{- if $v.operator.confirmWithoutElicitation }}
operator.confirmWithoutElicitation has no effect without mode=operator: set mode=operator, or leave it out.
{{- end }}
{{- else if not (or $v.operator.kill.enabled $v.operator.reset.enabled) }}
mode=operator with neither operator.kill.enabled nor operator.reset.enabled could do nothing: set one of them, or mode=read-only.
{{- end }}
{{- if and $f.isOperator $f.hasGateway (gt (int $f.replicas) 1) }}
gateway.replicas is {{ $f.replicas }}, and mode=operator runs one: a question to a person and its answer must meet in one process. Leave gateway.replicas out.
{{- end }}
{{- if and $f.rootFor (ne (int64 $f.user) 0) }}
agent.runAsUser is {{ int64 $f.user }}, and {{ join ", " $f.rootFor }} only {{ ternary "work" "works" (gt (len $f.rootFor) 1) }} as root: leave agent.runAsUser out, or that.
{{- end }}
{{- if not $f.isHttp }}
{{- if $v.recorder.enabled }}
recorder.enabled needs an agent that runs all the time: it does not go with transport.mode=stdio.
{{- end }}
{{- if or $v.tls.agent.secretName $v.tls.gateway.secretName }}
tls.agent and tls.gateway have no effect with transport.mode=stdio, where nothing listens: leave them out.
{{- end }}
{{- if or $v.metrics.serviceMonitor.enabled $v.metrics.prometheusRule.enabled }}
metrics.serviceMonitor and metrics.prometheusRule need something to scrape: they do not go with transport.mode=stdio, where nothing listens.
{{- end }}
{{- if $v.agent.extraArgs }}
agent.extraArgs have no effect with transport.mode=stdio: give them with the command, kubectl exec -i POD -- /agent ARGUMENTS.
{{- end }}
{{- if $v.operator.confirmWithoutElicitation }}
operator.confirmWithoutElicitation has no effect with transport.mode=stdio: give it with the command, kubectl exec -i POD -- /agent --mode=operator --confirm-without-elicitation.
{{- end }}
{{- else if not $v.gateway.enabled }}
{{- if $v.tls.gateway.secretName }}
tls.gateway has no effect with gateway.enabled=false: leave it out.
{{- end }}
{{- if $v.metrics.prometheusRule.enabled }}
metrics.prometheusRule alerts on what the gateway measures: it does not go with gateway.enabled=false.
{{- end }}
{{- end }}
{{- $secrets := dict }}
{{- range $token := $f.tokens }}
{{- $about := dict "root" $ "token" $token }}
{{- $secret := printf "%s/%s" (include "gpuMcp.secretName" $about) (include "gpuMcp.secretKey" $about) }}
{{- with get $secrets $secret }}
auth.{{ . }} and auth.{{ $token }} take their token from the same Secret and key ({{ $secret }}): no token may open two doors, so give two.
{{- end }}
{{- $_ := set $secrets $secret $token }}
{{- end }}
{{- /* RBAC knows Secrets, not their keys. */ -}}
{{- if and $f.hasGateway $v.rbac.create $v.rbac.client.create }}
{{- $readable := include "gpuMcp.secretName" (dict "root" $ "token" "gateway") }}
{{- $others := dict "tls.agent" $v.tls.agent.secretName "tls.gateway" $v.tls.gateway.secretName }}
{{- range $token := without $f.tokens "gateway" }}
{{- $_ := set $others (printf "auth.%s" $token) (include "gpuMcp.secretName" (dict "root" $ "token" $token)) }}
{{- end }}
{{- range $other, $secret := $others }}
{{- if eq $secret $readable }}
auth.gateway and {{ $other }} are in one Secret ({{ $secret }}), all of which the Role for clients lets people read: give auth.gateway a Secret of its own, or set rbac.client.create=false.
{{- end }}
{{- end }}
{{- end }}
{{- if and $f.hasGateway (eq (include "gpuMcp.serviceAccountName" (dict "root" $ "component" "agent")) (include "gpuMcp.serviceAccountName" (dict "root" $ "component" "gateway"))) }}
agent.serviceAccount.name and gateway.serviceAccount.name are the same: the agents would have the rights of the gateway. Give two.
{{- end }}
{{- range $component := list "agent" "gateway" }}
{{- $account := (get $v $component).serviceAccount }}
{{- if and (not $account.create) (eq $account.name "") }}
{{ $component }}.serviceAccount.create is false and no name is given: the pods would share the namespace's default account. Set {{ $component }}.serviceAccount.name.
{{- end }}
{{- $managed := get (include "gpuMcp.managedFlags" $ | fromYaml) $component }}
{{- range $argument := (get $v $component).extraArgs }}
{{- $flag := splitList "=" $argument | first | trimPrefix "--" }}
{{- if has $flag $managed }}
{{ $component }}.extraArgs must not set --{{ $flag }}: the chart sets it from its own values.
{{- end }}
{{- end }}
{{- range $variable := (get $v $component).extraEnv }}
{{- if has (trimPrefix "K8S_GPU_MCP_" $variable.name | lower | replace "_" "-") $managed }}
{{- if hasPrefix "K8S_GPU_MCP_" $variable.name }}
{{ $component }}.extraEnv must not set {{ $variable.name }}: the chart sets it from its own values.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- /* Only an installation sees the cluster, and a namespace that it makes itself it does not see yet: NOTES.txt tells then. */ -}}
{{- /* Who may make a ClusterRole may look at a namespace; who may not must not fail at it. */ -}}
{{- $namespace := dict }}
{{- if and $v.rbac.create $v.rbac.clusterWide }}{{ $namespace = lookup "v1" "Namespace" "" .Release.Namespace }}{{ end }}
{{- if $namespace }}
{{- $labels := dig "metadata" "labels" dict $namespace | default dict }}
{{- $enforced := get $labels "pod-security.kubernetes.io/enforce" | default "privileged" }}
{{- if or (and (eq $enforced "baseline") (eq $f.profile "privileged")) (and (eq $enforced "restricted") (ne $f.profile "restricted")) }}
The namespace {{ .Release.Namespace }} admits pods of the PodSecurity profile {{ $enforced }} only, and the agents need {{ $f.profile }}, because {{ join " and " ($f.beyondBaseline | default (list "they run as root")) }}. Either: kubectl label --overwrite namespace {{ .Release.Namespace }} pod-security.kubernetes.io/enforce={{ $f.profile }}. Or leave out what asks for it; kernelLog.source=none with nothing else passes restricted.
{{- end }}
{{- if and $gpu.dra.enabled (ne (get $labels "resource.kubernetes.io/admin-access") "true") }}
gpu.dra claims every GPU without taking it from anybody (adminAccess), which Kubernetes allows in labelled namespaces only: kubectl label namespace {{ .Release.Namespace }} resource.kubernetes.io/admin-access=true.
{{- end }}
{{- end }}
{{- end -}}

{{/* Flags that the chart's own values set, or that would undo them. */}}
{{- define "gpuMcp.managedFlags" -}}
agent: [port, addr, mode, auth-token-file, operator-token-file, allow-unauthenticated, tls-cert, tls-key, backend, nvml-mode, scenario, kernel-log, pod-resources, node-name, record, record-directory, record-interval, record-retention, health-thresholds, operator-actions, log-level, confirm-without-elicitation, oneshot]
gateway: [port, addr, mode, auth-token-file, agent-token-file, operator-token-file, agent-operator-token-file, allow-unauthenticated, tls-cert, tls-key, directory, agents, agents-file, namespace, selector, agent-daemonset, agent-port, agent-tls, agent-ca, agent-tls-name, allowed-host, allowed-origin, deadline, log-level]
{{- end -}}
