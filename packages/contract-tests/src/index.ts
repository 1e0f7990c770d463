export {
  type ContractOptions,
  type ContractTest,
  findCoverageFaults,
  type Requirement,
} from './contract-suite.ts';
export {
  type GpuControlContractOptions,
  type GpuControlFixture,
  type GpuControlRequirementId,
  type GpuControlStage,
  gpuControlRequirements,
  gpuControlStages,
  runGpuControlContract,
} from './gpu-control-contract.ts';
export {
  type GpuEventSourceContractOptions,
  type GpuEventSourceFixture,
  type GpuEventSourceRequirementId,
  type GpuEventSourceStage,
  gpuEventSourceRequirements,
  gpuEventSourceStages,
  runGpuEventSourceContract,
} from './gpu-event-source-contract.ts';
export { type GpuProviderContractOptions, runGpuProviderContract } from './gpu-provider-contract.ts';
export { gpuSectionLeafKeys, type LeafKeys } from './leaf-kinds.ts';
export { abortLimitMilliseconds } from './outcomes.ts';
export {
  type ProcessControlContractOptions,
  type ProcessControlFixture,
  type ProcessControlRequirementId,
  type ProcessControlStage,
  type ProcessManner,
  processControlRequirements,
  processControlStages,
  runProcessControlContract,
} from './process-control-contract.ts';
export {
  type GpuFault,
  gpuFaults,
  gpuProviderRequirements,
  type RequirementId,
} from './requirements.ts';
export type { GpuProviderFixture } from './rig.ts';
