import protobuf from 'protobufjs/light.js';

/**
 * The part of `v1.PodResourcesLister` that we read; a decoder skips the fields it does not know.
 * Source: Kubernetes, k8s.io/kubelet/pkg/apis/podresources/v1/api.proto (1.34).
 */
const root = protobuf.Root.fromJSON({
  nested: {
    Empty: { fields: {} },
    ListPodResourcesResponse: {
      fields: { podResources: { rule: 'repeated', type: 'PodResources', id: 1 } },
    },
    AllocatableResourcesResponse: {
      fields: { devices: { rule: 'repeated', type: 'ContainerDevices', id: 1 } },
    },
    PodResources: {
      fields: {
        name: { type: 'string', id: 1 },
        namespace: { type: 'string', id: 2 },
        containers: { rule: 'repeated', type: 'ContainerResources', id: 3 },
      },
    },
    ContainerResources: {
      fields: {
        name: { type: 'string', id: 1 },
        devices: { rule: 'repeated', type: 'ContainerDevices', id: 2 },
        dynamicResources: { rule: 'repeated', type: 'DynamicResource', id: 5 },
      },
    },
    ContainerDevices: {
      fields: {
        resourceName: { type: 'string', id: 1 },
        deviceIds: { rule: 'repeated', type: 'string', id: 2 },
      },
    },
    DynamicResource: {
      fields: {
        claimName: { type: 'string', id: 2 },
        claimNamespace: { type: 'string', id: 3 },
        claimResources: { rule: 'repeated', type: 'ClaimResource', id: 4 },
      },
    },
    ClaimResource: { fields: { cdiDevices: { rule: 'repeated', type: 'CdiDevice', id: 1 } } },
    CdiDevice: { fields: { name: { type: 'string', id: 1 } } },
  },
});

export interface WireDevices {
  readonly resourceName: string;
  readonly deviceIds: readonly string[];
}

export interface WirePodResources {
  readonly name: string;
  readonly namespace: string;
  readonly containers: readonly {
    readonly name: string;
    readonly devices: readonly WireDevices[];
    readonly dynamicResources: readonly {
      readonly claimName: string;
      readonly claimNamespace: string;
      readonly claimResources: readonly { readonly cdiDevices: readonly { readonly name: string }[] }[];
    }[];
  }[];
}

export interface ListResponse {
  readonly podResources: readonly WirePodResources[];
}
export interface AllocatableResponse {
  readonly devices: readonly WireDevices[];
}

/** A gRPC method without arguments. `decode` throws when the bytes are no such message. */
export interface Method<Response> {
  readonly path: string;
  decode(bytes: Uint8Array): Response;
  encode(response: Response): Buffer;
}

function method<Response extends object>(name: string, response: string): Method<Response> {
  const type = root.lookupType(response);
  return {
    path: `/v1.PodResourcesLister/${name}`,
    // Fields that were not sent become empty: in proto3 they are the same thing.
    decode: (bytes) => type.toObject(type.decode(bytes), { arrays: true, defaults: true }) as Response,
    encode: (message) => Buffer.from(type.encode(type.fromObject(message)).finish()),
  };
}

export const listMethod = method<ListResponse>('List', 'ListPodResourcesResponse');
export const allocatableMethod = method<AllocatableResponse>(
  'GetAllocatableResources',
  'AllocatableResourcesResponse',
);
