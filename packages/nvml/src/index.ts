export { nvmlLibraryCandidates } from './library.ts';
export { createNvmlProvider, type NvmlProviderOptions } from './provider.ts';
