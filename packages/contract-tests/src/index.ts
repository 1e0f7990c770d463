export { type GpuProviderContractOptions, runGpuProviderContract } from './gpu-provider-contract.ts';
export { gpuSectionLeafKeys, type LeafKeys } from './leaf-kinds.ts';
export {
  findCoverageFaults,
  type GpuFault,
  gpuFaults,
  gpuProviderRequirements,
  type RequirementId,
} from './requirements.ts';
export { abortLimitMilliseconds, type ContractTest, type GpuProviderFixture } from './rig.ts';
