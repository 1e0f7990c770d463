export { createNvmlControl, type NvmlControlOptions, nvidiaSmiCandidates } from './control/control.ts';
export {
  createNvmlEventSource,
  type NvmlEventSource,
  type NvmlEventSourceOptions,
} from './events/event-source.ts';
export { nvmlLibraryCandidates } from './helper/library.ts';
export { createNvmlProvider, type NvmlProvider, type NvmlProviderOptions } from './provider.ts';
