// The public API, grouped. Nothing else is importable from outside.

// Cluster
export { type AgentInventory, type AgentXid, marksUnhealthy } from './cluster/agent-inventory.ts';
export {
  type AllocatableExplanation,
  allocatableLayers,
  explainAllocatable,
} from './cluster/allocatable.ts';
export type { AllocatableInput } from './cluster/allocatable-facts.ts';
export { clusterRules } from './cluster/allocatable-rules.ts';
export { type Allocation, allocationOf, type DeviceShare, type PodAllocation } from './cluster/allocation.ts';
export { deviceOfId, kindOfResource } from './cluster/device-names.ts';
export { type DevicePluginFacts, devicePluginFacts } from './cluster/device-plugin.ts';
export { type OwnerLookup, ownerOf } from './cluster/owner.ts';
export { hasEnded, podDemand } from './cluster/pod-demand.ts';
export {
  normalizedId as normalizedContainerId,
  normalizedUid as normalizedPodUid,
  type PodOfProcess,
  podOfProcess,
} from './cluster/process-pod.ts';
export { type TerminationCause, type TerminationFact, terminationCause } from './cluster/termination.ts';
export {
  explainWorkload,
  type WorkloadExplanation,
  type WorkloadHypothesis,
} from './cluster/workload-failure.ts';
export type {
  AgentDiagnosis,
  PodEnd,
  WorkloadFacts,
  WorkloadNodeFacts,
} from './cluster/workload-failure-facts.ts';
export { type WorkloadCause, workloadCauses, workloadRules } from './cluster/workload-failure-rules.ts';
// Diagnosis
export { type CapabilityTier, capabilityTiers } from './diagnosis/capability-tier.ts';
export { type ComparisonMetric, comparisonMetrics } from './diagnosis/comparison-metrics.ts';
export { crossCheckRules } from './diagnosis/cross-check.ts';
export { type Drift, type DriftSubject, driftRules, findDrift } from './diagnosis/drift.ts';
export type { DiagnosticEvidence } from './diagnosis/evidence.ts';
export { explainFailure } from './diagnosis/explain/explain.ts';
export {
  type Cohort,
  type Comparison,
  compareGpus,
  type GpuSeries,
  type NotCompared,
  type Outlier,
} from './diagnosis/outliers.ts';
// Domain
export * from './domain/citation.ts';
export * from './domain/cluster.ts';
export * from './domain/diagnosis.ts';
export * from './domain/event.ts';
export * from './domain/gap.ts';
export * from './domain/gpu.ts';
export * from './domain/incident.ts';
export * from './domain/pci-address.ts';
export * from './domain/readings/clocks.ts';
export * from './domain/readings/ecc.ts';
export * from './domain/readings/events.ts';
export * from './domain/readings/identity.ts';
export * from './domain/readings/memory.ts';
export * from './domain/readings/mig.ts';
export * from './domain/readings/nvlink.ts';
export * from './domain/readings/pcie.ts';
export * from './domain/readings/power.ts';
export * from './domain/readings/process.ts';
export * from './domain/readings/recovery.ts';
export * from './domain/readings/thermal.ts';
export * from './domain/readings/topology.ts';
export * from './domain/readings/utilization.ts';
export * from './domain/verdict.ts';
export * from './errors.ts';
// Live events
export { type FeedSnapshot, NodeEventFeed, type NodeEventFeedOptions } from './events/event-feed.ts';
export {
  type GpuEventSources,
  type MergeOptions,
  mergeGpuEvents,
} from './events/merge-gpu-events.ts';
export {
  type GpuNaming,
  type GpuNodeEvent,
  gpuResolver,
  type NodeEventSource,
  nodeEventSources,
  type ResolveGpuNaming,
} from './events/node-event.ts';
export { GpuReader } from './gpu-reader.ts';
// Reading and judging
export { assessGpu, type GpuAssessment, scoreOf } from './health/assess.ts';
export { publishedRules } from './health/published.ts';
export type { HealthRule, RuleFinding, RuleOutcome } from './health/rule.ts';
export { healthRules } from './health/rules.ts';
export {
  type OverrideInForce,
  overridesInForce,
  parseThresholds,
  type ThresholdOverrides,
} from './health/thresholds.ts';
// Ports
export type * from './ports/audit-log.ts';
export type * from './ports/cluster.ts';
export type * from './ports/gpu-control.ts';
export type * from './ports/gpu-event-source.ts';
export type * from './ports/gpu-provider.ts';
export type * from './ports/host-devices.ts';
export type * from './ports/host-processes.ts';
export type * from './ports/kernel-log.ts';
export * from './ports/process-control.ts';
export type * from './ports/recorded-evidence.ts';
export type * from './ports/recorder-store.ts';
export * from './ports/runtime.ts';
export { gpuPrompts, type McpPromptServer, registerGpuPrompts } from './prompts/gpu-prompts.ts';
export { call as promptCall, type GpuPrompt, script as promptScript } from './prompts/prompt.ts';
// Flight recorder
export { FlightRecorder, type RecorderStatus } from './recorder/flight-recorder.ts';
export { type RecorderOptions, recorderBytes, recorderOptions } from './recorder/options.ts';
export { type RecordedSeries, type RecordedSeriesId, recordedSeries } from './recorder/series.ts';
export {
  type GpuServerParts,
  type McpGpuServer,
  type RegisterServerOptions,
  registerGpuServer,
} from './register-gpu-server.ts';
export { ChangeThrottle, type ChangeThrottleOptions } from './resources/change-throttle.ts';
export { asked as resourceAnswer, gpuIds, readGpu } from './resources/gpu-resource.ts';
export {
  type CompletionContext,
  createGpuResources,
  type GpuResource,
  type GpuResourceOptions,
} from './resources/gpu-resources.ts';
export { type McpResourceServer, type ResourceHost, registerGpuResources } from './resources/register.ts';
export {
  createResourceChanges,
  isAboutGpus,
  type ResourceChanges,
  type ResourceChangesOptions,
} from './resources/resource-changes.ts';
export {
  type McpSubscriptionServer,
  registerResourceSubscriptions,
  type SubscriptionHost,
} from './resources/subscriptions.ts';
// Writing an adapter
export { gpuSectionLeaves, makeSample, type PartialReadings } from './sample.ts';
export { type GpuSelector, parseGpuSelector, resolveGpu } from './selector.ts';
// Serving
export {
  type ListedPrompt,
  type ListedResource,
  type ListedResourceTemplate,
  type ListedTool,
  listingOf,
  type ServerListing,
} from './serving/listing.ts';
export { type McpLowLevelServer, type ServedParts, serveGpuParts } from './serving/serve-gpu-parts.ts';
export type { AgentSaid, AskAgent } from './tools/cluster/cluster-toolkit.ts';
export {
  type ClusterToolOptions,
  type ClusterToolPorts,
  createClusterTools,
  createWorkloadTools,
  workloadToolNames,
} from './tools/cluster/create-cluster-tools.ts';
export {
  type AgentAnswers,
  type GatherOptions,
  gatherWorkload,
  type WorkloadEvidence,
  type WorkloadNodeEvidence,
} from './tools/cluster/gather-workload.ts';
export {
  createNodeAllocationTool,
  type NodeAllocationOptions,
  type NodeAllocationPorts,
} from './tools/cluster/node-device-allocation.ts';
export {
  findWorkload,
  parseWorkload,
  type WorkloadQuestion,
  type WorkloadSubject,
  workloadArguments,
} from './tools/cluster/workload-subject.ts';
// Tools, resources and prompts
export { createGpuTools, type GpuToolOptions, type GpuToolPorts } from './tools/create-gpu-tools.ts';
export {
  describeGpuTools,
  describeOperatorTools,
  type GpuToolDescription,
} from './tools/describe-gpu-tools.ts';
export {
  createOperatorTools,
  type OperatorActions,
  type OperatorOptions,
  type OperatorPorts,
} from './tools/operator/create-operator-tools.ts';
export { presentNodeEvent } from './tools/present-node-event.ts';
export { type McpToolServer, type RegisterOptions, registerGpuTools } from './tools/register.ts';
export { makeTool, type RunOptions } from './tools/run-tool.ts';
export {
  type Confirmation,
  type ConfirmationRequest,
  callMetaKeys,
  type GpuTool,
  type StructuredContent,
  type ToolAnnotations,
  type ToolContext,
  type ToolDefinition,
  type ToolResult,
} from './tools/tool.ts';
export { quarantine } from './tools/untrusted-text.ts';
// Kernel log
export { parseApplicationError } from './xid/application-errors.ts';
export { findSxid, findXid, sxidCatalogue, xidCatalogue } from './xid/catalogue.ts';
export { type ConformanceRow, conformanceRows } from './xid/conformance.ts';
export {
  createKernelLogLineReader,
  type KernelLogFormat,
  type KernelLogLineReader,
  type LineReaderOptions,
  sniffKernelLogFormat,
} from './xid/container.ts';
export type { SxidEntry, XidEntry } from './xid/entries.ts';
export { type GroupIncidentsOptions, groupIncidents, isContext, verdictOfEvent } from './xid/incidents.ts';
export { parseJournalEntry } from './xid/journal.ts';
export { type BootOptions, parseKmsgRecord, parsePrintkLine } from './xid/kmsg.ts';
export { isKernelLogCandidate, kernelLogNeedles } from './xid/needles.ts';
export { parseKernelEvent } from './xid/parse.ts';
export { bucketActions, type VendorBucket } from './xid/vendor-buckets.ts';
