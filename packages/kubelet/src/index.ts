export { createPodResources, defaultPodResourcesSocket, type PodResourcesOptions } from './pod-resources.ts';
