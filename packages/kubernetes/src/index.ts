export {
  createKubernetesCluster,
  type KubernetesClusterLimits,
  type KubernetesClusterOptions,
} from './cluster/create-kubernetes-cluster.ts';
export type { OwnerResolverLimits } from './cluster/owner-resolver.ts';
export { type ConnectOptions, connectKubernetes } from './connect.ts';
export { createHttpApi, type HttpApiLimits, type HttpApiOptions } from './http-api.ts';
export type { Authorize } from './http-request.ts';
export { type KubeConfigOptions, type LoadedKubeConfig, loadKubeConfig } from './kube-config.ts';
export {
  type KubernetesApi,
  KubernetesError,
  type KubernetesErrorReason,
  type KubernetesObject,
  type ObjectMetadata,
  type ObjectPage,
  type ObjectQuery,
  type OwnerReference,
  type WatchEvent,
} from './kubernetes-api.ts';
export { type WatchCollectionOptions, watchCollection } from './watch-collection.ts';
export type { WatchedCollection } from './watched-collection.ts';
