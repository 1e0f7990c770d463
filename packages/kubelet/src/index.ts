export { defaultPodResourcesSocket } from './default-socket.ts';
export { createPodResources, type PodResourcesOptions } from './pod-resources.ts';
