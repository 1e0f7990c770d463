import { expect, test } from 'vitest';
import { turn } from '../../test/rig.ts';
import { createGpuResources } from './gpu-resources.ts';
import { registerResourceSubscriptions } from './subscriptions.ts';

type Handler = (request: { params: { uri: string } }) => Promise<object>;

/** A server object and changes made of plain data. */
function rig(options: { gone?: boolean; template?: string } = {}) {
  const handlers = new Map<unknown, Handler>();
  const capabilities: unknown[] = [];
  const told: string[] = [];
  const listeners = new Map<string, (uri: string) => void>();
  const server = {
    registerCapabilities: (each: unknown) => void capabilities.push(each),
    setRequestHandler: (method: unknown, handler: Handler) => handlers.set(method, handler),
    async sendResourceUpdated({ uri }: { uri: string }) {
      if (options.gone) throw new Error('not connected');
      told.push(uri);
    },
    onclose: undefined as (() => void) | undefined,
  };
  const changes = {
    onChange(listener: (uri: string) => void, uris: readonly string[] = []) {
      for (const uri of uris) listeners.set(uri, listener);
      return () => uris.forEach((uri) => void listeners.delete(uri));
    },
  };
  const feed = { read: () => ({ listeningSince: null, events: [], lost: 0, notices: [] }) };
  const { template } = options;
  const resources = [
    ...createGpuResources({ nodeName: 'node-a', tools: [], feed }),
    ...(template === undefined ? [] : [{ uri: template, isTemplate: true }]),
  ];
  const notFound = (uri: string, message: string) => Object.assign(new Error(message), { uri });
  registerResourceSubscriptions(server, resources, changes, { notFound });
  const ask = (verb: string) => async (uri: string) =>
    handlers.get(`resources/${verb}`)?.({ params: { uri } }) ?? expect.fail(`no handler of ${verb}`);
  return {
    server,
    capabilities,
    told,
    listened: () => [...listeners.keys()],
    change: (uri: string) => listeners.get(uri)?.(uri),
    subscribe: ask('subscribe'),
    unsubscribe: ask('unsubscribe'),
  };
}

const events = 'gpu://node-a/events';

test('offers the capability, and listens only to what is subscribed', async () => {
  const { capabilities, listened, subscribe, unsubscribe, change, told } = rig();
  expect(capabilities).toEqual([{ resources: { subscribe: true } }]);
  expect(listened()).toEqual([]);
  expect(await subscribe(events)).toEqual({});
  expect(await subscribe(events)).toEqual({});
  change(events);
  expect(told).toEqual([events]);
  expect(await unsubscribe(events)).toEqual({});
  expect(await unsubscribe(events)).toEqual({});
  expect(listened()).toEqual([]);
});

test.each([
  events,
  'gpu://node-a/inventory',
  'gpu://node-a/gpus/0',
  'gpu://node-a/gpus/0000:3b:00.0',
  'gpu://catalog/xid/79',
])('%s is a resource', async (uri) => {
  await expect(rig().subscribe(uri)).resolves.toEqual({});
});

test.each([
  'gpu://node-b/events',
  'gpu://node-a/gpus/',
  'gpu://node-a/gpus/0/1',
  'gpu://node-a/gpus/%',
  `gpu://node-a/gpus/${'0'.repeat(1_000)}`,
  'x'.repeat(100_000),
  '',
])('%j is none, and the error says where to look', async (uri) => {
  const { subscribe, listened } = rig();
  const error = await subscribe(uri).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ uri, message: expect.stringMatching(/^There is no resource .{0,250}$/) });
  expect(listened()).toEqual([]);
});

test('at most 64 at once', async () => {
  const { subscribe, unsubscribe, listened } = rig();
  for (let index = 0; index < 64; index += 1) await subscribe(`gpu://node-a/gpus/${index}`);
  await expect(subscribe(events)).rejects.toThrow(/64 subscriptions.*unsubscribe/);
  expect(listened()).toHaveLength(64);
  await unsubscribe('gpu://node-a/gpus/0');
  await subscribe(events);
});

test('end with the session, and what ended with it before still does', async () => {
  const { server, subscribe, listened } = rig();
  let closedCount = 0;
  server.onclose = () => {
    closedCount += 1;
  };
  await subscribe(events);
  await subscribe('gpu://node-a/health');
  server.onclose();
  expect([listened(), closedCount]).toEqual([[], 1]);
});

test('a client that is gone is no error of the one who tells', async () => {
  const { subscribe, change } = rig({ gone: true });
  await subscribe(events);
  expect(() => change(events)).not.toThrow();
  await turn();
});

test('planted fault: a subscription that outlives its session would be seen', async () => {
  const { server, subscribe, listened } = rig();
  await subscribe(events);
  server.onclose = undefined;
  expect(listened()).toEqual([events]);
});

test.each([
  ['gpu://n-1/health', true],
  ['gpu://a%2Fb/health', true],
  ['gpu:///health', false],
  ['gpu://n-1/other', false],
  ['gpu://n-1/x/health', false],
  ['gpu://n-1/health/', false],
  ['gpu://%zz/health', false],
])('a variable is a whole segment wherever it stands: %s', async (uri, isThere) => {
  const { subscribe } = rig({ template: 'gpu://{node}/health' });
  if (isThere) expect(await subscribe(uri)).toEqual({});
  else await expect(subscribe(uri)).rejects.toThrow('There is no resource');
});
