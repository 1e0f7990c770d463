// The public API, grouped. Nothing else is importable from outside.

// Domain
export * from './domain/event.ts';
export * from './domain/gap.ts';
export * from './domain/gpu.ts';
export * from './domain/incident.ts';
export * from './domain/pci-address.ts';
export * from './domain/verdict.ts';
export * from './errors.ts';
// Ports
export type * from './ports/gpu-provider.ts';
export type * from './ports/kernel-log.ts';
export * from './ports/runtime.ts';
