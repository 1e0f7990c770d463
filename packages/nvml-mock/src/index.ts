export { mockEventSource } from './mock-event-source.ts';
export { mockHostDevices, mockHostProcesses } from './mock-host.ts';
export { createMockKernelLog } from './mock-kernel-log.ts';
export { createMockProvider } from './mock-provider.ts';
export type { GpuModel } from './models/gpu-model.ts';
export { type GpuModelName, gpuModels } from './models/gpu-models.ts';
export { isMockScenario, type MockScenarioName, mockScenarios } from './scenarios/scenarios.ts';
export type { SimulationOptions } from './simulated-node.ts';
