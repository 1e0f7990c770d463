import { describe, expect, test } from 'vitest';
import { clusterRig, event } from '../../test/cluster-events-rig.ts';
import { createClusterResourceChanges } from './cluster-resource-changes.ts';

function rig(names: readonly string[] = ['a', 'b']) {
  const { clock, agents, cluster } = clusterRig(names);
  const changes = createClusterResourceChanges({ clusterEvents: cluster, clock });
  const listen = (uris?: readonly string[]) => {
    const told: string[] = [];
    const end = changes.onChange((uri) => told.push(uri), uris);
    clock.advance(2_000);
    const first = () => {
      for (const name of agents.open()) agents.at(name).tell([]);
      clock.advance(2_000);
      told.length = 0;
    };
    return { told, end, first };
  };
  return { clock, agents, listen };
}

const hang = event(1, { kind: 'hung-task', gpu: null, xid: undefined, severity: 'warning' });

test('an event changes what is said of its node and of the cluster', () => {
  const { agents, listen } = rig();
  const { told, first } = listen();
  first();
  agents.at('a').tell([event(1)]);
  expect(told.sort()).toEqual([
    'gpu://a/events',
    'gpu://a/health',
    'gpu://a/xid',
    'gpu://cluster/events',
    'gpu://cluster/health',
  ]);
});

test('trouble of the machine changes the list of events alone', () => {
  const { agents, listen } = rig();
  const { told, first } = listen();
  first();
  agents.at('a').tell([hang]);
  expect(told.sort()).toEqual(['gpu://a/events', 'gpu://cluster/events']);
});

test('a node that is not heard any more changes the cluster', async () => {
  const { agents, listen } = rig();
  const { told, first } = listen();
  first();
  await agents.at('a').fail();
  expect(told).toEqual(['gpu://cluster/events', 'gpu://cluster/health']);
});

describe('only what is asked for', () => {
  test('and only the node that it is about is listened to', () => {
    const { agents, listen } = rig();
    const { told, first } = listen([
      'gpu://a/health',
      'gpu://nowhere/health',
      'gpu://catalog/xid/79',
      'junk',
    ]);
    first();
    expect(agents.open()).toEqual(['a']);
    agents.at('a').tell([hang]);
    expect(told).toEqual([]);
    agents.at('a').tell([hang, event(2)]);
    expect(told).toEqual(['gpu://a/health']);
  });

  test('nothing that changes: nobody is listened to', () => {
    const { agents, listen } = rig();
    listen(['gpu://a/inventory', 'gpu://cluster/inventory', 'gpu://catalog/xid/79']);
    expect(agents.open()).toEqual([]);
  });

  test('one GPU, by index, UUID or address, as it was spelt', () => {
    const { agents, listen } = rig();
    const uris = [
      'gpu://a/gpus/3',
      'gpu://a/gpus/gpu-3',
      'gpu://a/gpus/0000:1B:00.0',
      'gpu://a/gpus/4',
      'gpu://a/gpus/%',
    ];
    const { told, first } = listen(uris);
    first();
    agents.at('a').tell([event(1, { pciAddress: '0000:1b:00' })]);
    expect(told.sort()).toEqual([...uris.slice(0, 3)].sort());
  });

  test('a node with the name of a reserved word, escaped', () => {
    const { agents, listen } = rig(['cluster']);
    const { told, first } = listen(['gpu://%63luster/events']);
    first();
    agents.at('cluster').tell([event(1)]);
    expect(told).toEqual(['gpu://%63luster/events']);
  });
});

test('at most once a second for a URI, and the last change is told', () => {
  const { agents, clock, listen } = rig();
  const { told, first } = listen(['gpu://a/events']);
  first();
  for (let id = 1; id <= 30; id += 1) {
    agents.at('a').tell([event(id)], { lost: id - 1 });
    clock.advance(100);
  }
  // At 0, 1, 2 and 3 s; the last event came at 2.9 s.
  expect(told.length).toBe(4);
  clock.advance(10_000);
  expect(told.length).toBe(4);
});

test('ends for one who ends it, with a minute for the agents; a listener that throws is alone with it', () => {
  const { agents, clock, listen } = rig(['a']);
  const other = listen(['gpu://a/events']);
  const bad = listen(['gpu://a/events']);
  bad.told.push = () => {
    throw new Error('no');
  };
  other.first();
  agents.at('a').tell([event(1)]);
  expect(other.told).toEqual(['gpu://a/events']);
  bad.end();
  other.end();
  other.end();
  clock.advance(60_000);
  expect(agents.open()).toEqual([]);
});

test('planted fault: without coalescing a flood would be told event by event', () => {
  const { agents, listen } = rig();
  const { told, first } = listen(['gpu://a/events']);
  first();
  for (let id = 1; id <= 30; id += 1) agents.at('a').tell([event(id)], { lost: id - 1 });
  expect(told.length).not.toBe(30);
});
