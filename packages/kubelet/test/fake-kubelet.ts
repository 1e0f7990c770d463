import { join } from 'node:path';
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type StatusObject,
  type status,
} from '@grpc/grpc-js';
import {
  type AllocatableResponse,
  allocatableMethod,
  type ListResponse,
  listMethod,
} from '../src/messages.ts';

type Reply<T> = T | { readonly code: status } | 'silence';
export interface FakeKubelet {
  readonly list?: Reply<ListResponse | Buffer>;
  readonly allocatable?: Reply<AllocatableResponse>;
}

const empty = { podResources: [] };

/** A gRPC server on a socket in `folder`, as the kubelet is one; answers as it is told, bytes as they are. */
export async function startFakeKubelet(
  folder: string,
  { list = empty, allocatable = { devices: [] } }: FakeKubelet = {},
): Promise<{ readonly socket: string; close(): void }> {
  const server = new Server();
  const service = (name: string, encode: (value: never) => Buffer, path: string): ServiceDefinition => ({
    [name]: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: () => Buffer.alloc(0),
      requestDeserialize: () => ({}),
      responseSerialize: (value) => (Buffer.isBuffer(value) ? value : encode(value as never)),
      responseDeserialize: (bytes) => bytes,
    },
  });
  const replying =
    (reply: Reply<unknown>): handleUnaryCall<unknown, unknown> =>
    (_call, done) => {
      if (reply === 'silence') return;
      if (typeof reply === 'object' && reply !== null && 'code' in reply)
        done(reply as Partial<StatusObject>);
      else done(null, reply);
    };
  server.addService(service('List', listMethod.encode, listMethod.path), { List: replying(list) });
  server.addService(service('Allocatable', allocatableMethod.encode, allocatableMethod.path), {
    Allocatable: replying(allocatable),
  });
  const socket = join(folder, 'kubelet.sock');
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return { socket, close: () => server.forceShutdown() };
}
