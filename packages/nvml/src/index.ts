export { createNvmlControl, type NvmlControlOptions, nvidiaSmiCandidates } from './control.ts';
export { createNvmlEventSource, type NvmlEventSource, type NvmlEventSourceOptions } from './event-source.ts';
export { nvmlLibraryCandidates } from './library.ts';
export { createNvmlProvider, type NvmlProvider, type NvmlProviderOptions } from './provider.ts';
