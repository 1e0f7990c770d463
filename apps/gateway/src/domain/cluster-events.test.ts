import { describe, expect, test } from 'vitest';
import { clusterRig, event, nodeNamed, turn } from '../../test/cluster-events-rig.ts';

const idsOf = (events: readonly { node: string; nodeEventId: number }[]) =>
  events.map(({ node, nodeEventId }) => `${node}/${nodeEventId}`);

describe('who is listened to', () => {
  test('nobody, until somebody wants it; and a minute longer', () => {
    const { clock, agents, cluster, directory } = clusterRig(['a', 'b']);
    clock.advance(10_000);
    expect(agents.open()).toEqual([]);
    const release = cluster.hold();
    clock.advance(2_000);
    expect(agents.open()).toEqual(['a', 'b']);
    release();
    release();
    clock.advance(59_999);
    expect(agents.open()).toEqual(['a', 'b']);
    clock.advance(1);
    expect(agents.open()).toEqual([]);
    expect(directory.followers()).toBe(0);
    expect(cluster.snapshot().listeningSince).toBeNull();
  });

  test('one of two who want it is enough', () => {
    const { clock, agents, cluster } = clusterRig(['a']);
    const first = cluster.hold();
    const second = cluster.hold();
    first();
    clock.advance(120_000);
    expect(agents.open()).toEqual(['a']);
    second();
    clock.advance(60_000);
    expect(agents.open()).toEqual([]);
  });

  test('one node, when only one is wanted', () => {
    const { clock, agents, cluster } = clusterRig(['a', 'b', 'c']);
    const release = cluster.hold('b');
    clock.advance(2_000);
    expect(agents.open()).toEqual(['b']);
    const all = cluster.hold();
    clock.advance(2_000);
    expect(agents.open()).toEqual(['a', 'b', 'c']);
    all();
    clock.advance(60_000);
    expect(agents.open()).toEqual(['b']);
    release();
    clock.advance(60_000);
    expect(agents.open()).toEqual([]);
  });

  test('again within the minute: nothing is interrupted', () => {
    const { clock, agents, cluster } = clusterRig(['a']);
    cluster.touch();
    clock.advance(59_000);
    cluster.touch();
    clock.advance(59_000);
    expect(agents.open()).toEqual(['a']);
    expect(agents.attempts).toEqual(['a']);
  });

  test('at most so many; who is left out is named', () => {
    const { clock, agents, cluster } = clusterRig(['a', 'b', 'c', 'd'], { maximumListeners: 2 });
    cluster.hold();
    clock.advance(2_000);
    expect(agents.open()).toEqual(['a', 'b']);
    expect(cluster.snapshot().notHeard.slice(2)).toEqual([
      { node: 'c', since: null, reason: expect.stringContaining('more nodes than the 2') },
      { node: 'd', since: null, reason: expect.any(String) },
    ]);
  });

  test('closed: never again', () => {
    const { clock, agents, cluster } = clusterRig(['a']);
    const release = cluster.hold();
    clock.advance(2_000);
    cluster.close();
    expect(agents.open()).toEqual([]);
    release();
    cluster.hold();
    clock.advance(120_000);
    expect(agents.open()).toEqual([]);
  });
});

describe('the directory', () => {
  test('nodes come and go', () => {
    const { clock, agents, cluster, directory } = clusterRig(['a']);
    cluster.hold();
    clock.advance(2_000);
    directory.set([nodeNamed('b')]);
    clock.advance(2_000);
    expect(agents.open()).toEqual(['b']);
  });

  test('another agent of the same node is listened to instead, and counts from 1', async () => {
    const { clock, agents, cluster, directory } = clusterRig(['a']);
    cluster.hold();
    clock.advance(2_000);
    agents.at('a').tell([event(1)]);
    agents.at('a').tell([event(1), event(2)]);
    directory.set([nodeNamed('a', { instance: 'another' })]);
    await turn();
    clock.advance(2_000);
    expect(agents.at('a').node.instance).toBe('another');
    agents.at('a').tell([event(1)]);
    expect(idsOf(cluster.snapshot().events)).toEqual(['a/1', 'a/2', 'a/1']);
    expect(cluster.snapshot().lost).toBe(0);
  });

  test('the same set again changes nothing', () => {
    const { clock, agents, cluster, directory } = clusterRig(['a']);
    cluster.hold();
    clock.advance(2_000);
    directory.set([nodeNamed('a', { labels: { zone: 'x' } })]);
    clock.advance(2_000);
    expect(agents.attempts).toEqual(['a']);
  });

  test('a node that is not ready is named, and listened to once it is', () => {
    const { clock, agents, cluster, directory } = clusterRig([]);
    directory.set([nodeNamed('a', { url: null, notReadyBecause: 'the pod is not Ready' })]);
    cluster.hold();
    clock.advance(2_000);
    expect(cluster.snapshot()).toMatchObject({
      nodeCount: 1,
      heardCount: 0,
      notHeard: [{ node: 'a', since: null, reason: 'the pod is not Ready' }],
    });
    directory.set([nodeNamed('a')]);
    clock.advance(2_000);
    expect(agents.open()).toEqual(['a']);
  });

  test('flapping nodes leave no listener, no record and no timer behind', async () => {
    const { clock, agents, cluster, directory } = clusterRig([]);
    cluster.hold();
    for (let round = 0; round < 200; round += 1) {
      directory.set([nodeNamed('a', { instance: `uid ${round}` })]);
      clock.advance(50);
      await turn();
      directory.set([]);
      clock.advance(50);
      await turn();
    }
    expect(agents.open()).toEqual([]);
    expect(cluster.snapshot()).toMatchObject({ nodeCount: 0, heardCount: 0, notHeard: [] });
    const before = agents.attempts.length;
    clock.advance(600_000);
    expect(agents.attempts.length).toBe(before);
  });
});

describe('an agent that fails', () => {
  test('is tried again with waits that grow to a minute, and is named meanwhile', async () => {
    const { clock, agents, cluster } = clusterRig(['a'], {}, () => 0.999);
    cluster.hold();
    const waits: number[] = [];
    clock.advance(2_000);
    for (let attempt = 1; attempt <= 9; attempt += 1) {
      await agents.at('a').fail();
      const from = clock.now();
      while (agents.attempts.length === attempt) clock.advance(100);
      waits.push((clock.now() - from) / 1_000);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
    expect(cluster.snapshot().notHeard).toEqual([
      { node: 'a', since: '2026-01-01T00:00:02.000Z', reason: 'it is unreachable' },
    ]);
  });

  test('waits differ from node to node', async () => {
    const random = [0, 0, 0, 0.9];
    const { clock, agents, cluster } = clusterRig(['a', 'b'], {}, () => random.shift() ?? 0);
    cluster.hold();
    clock.advance(0);
    await agents.at('a').fail();
    await agents.at('b').fail();
    clock.advance(500);
    expect(agents.open()).toEqual(['a']);
    clock.advance(450);
    expect(agents.open()).toEqual(['a', 'b']);
  });

  test('one without live events is left alone for minutes', async () => {
    const { clock, agents, cluster } = clusterRig(['a'], {}, () => 0);
    cluster.hold();
    clock.advance(0);
    await agents.at('a').fail('incompatible');
    clock.advance(149_999);
    expect(agents.attempts.length).toBe(1);
    clock.advance(1);
    expect(agents.attempts.length).toBe(2);
  });

  test('was it heard for a minute, the waits begin anew; did it flap, they do not', async () => {
    const { clock, agents, cluster } = clusterRig(['a'], {}, () => 0.999);
    cluster.hold();
    clock.advance(2_000);
    for (const wait of [1_000, 2_000, 4_000]) {
      agents.at('a').tell([]);
      expect(cluster.snapshot().heardCount).toBe(1);
      await agents.at('a').fail();
      clock.advance(wait);
    }
    agents.at('a').tell([]);
    clock.advance(60_000);
    await agents.at('a').fail();
    clock.advance(1_000);
    expect(agents.open()).toEqual(['a']);
  });

  test('goes on where it was: nothing twice, and what it dropped meanwhile is lost', async () => {
    const { clock, agents, cluster } = clusterRig(['a']);
    cluster.hold();
    clock.advance(2_000);
    agents.at('a').tell([event(1), event(2)]);
    await agents.at('a').fail();
    clock.advance(1_000);
    agents.at('a').tell([event(2), event(6)], { lost: 4 });
    expect(idsOf(cluster.snapshot().events)).toEqual(['a/1', 'a/2', 'a/6']);
    expect(cluster.snapshot()).toMatchObject({ lost: 3, lostByNode: [{ node: 'a', lost: 3 }] });
  });

  test('says nothing any more once it is stopped', async () => {
    const { clock, agents, cluster, directory } = clusterRig(['a']);
    cluster.hold();
    clock.advance(2_000);
    const old = agents.at('a');
    directory.set([]);
    old.tell([event(1)]);
    await turn();
    expect(cluster.snapshot().events).toEqual([]);
  });
});

describe('a flood', () => {
  test('of one node: 50 a second are taken, the rest is counted, and the others keep theirs', () => {
    const { clock, agents, cluster } = clusterRig(['calm', 'flood']);
    cluster.hold();
    clock.advance(2_000);
    agents.at('calm').tell([]);
    agents.at('calm').tell([event(1)]);
    agents.at('flood').tell([]);
    let id = 0;
    for (let second = 0; second < 60; second += 1) {
      const more = Array.from({ length: 200 }, (_, index) => event(id + index + 1));
      id += more.length;
      agents.at('flood').tell(more, { lost: id - more.length });
      clock.advance(1_000);
    }
    const { events, lost, lostByNode, evicted } = cluster.snapshot();
    expect(events.filter(({ node }) => node === 'calm').length).toBe(1);
    expect(events.filter(({ node }) => node === 'flood').length).toBe(256);
    expect(lost).toBe(60 * 150);
    expect(lostByNode).toEqual([{ node: 'flood', lost: 60 * 150 }]);
    expect(evicted).toBe(60 * 50 - 256);
  });

  test('of all nodes: the ring keeps 1,024, each node its part, in order of arrival', () => {
    const names = Array.from({ length: 100 }, (_, index) => `n${String(index).padStart(3, '0')}`);
    const { clock, agents, cluster } = clusterRig(names);
    cluster.hold();
    clock.advance(2_000);
    for (const name of names) agents.at(name).tell([]);
    for (const name of names)
      agents.at(name).tell(Array.from({ length: 50 }, (_, index) => event(index + 1)));
    const { events } = cluster.snapshot();
    expect(events.length).toBe(1_024);
    const shares = names.map((name) => events.filter(({ node }) => node === name).length);
    expect(Math.min(...shares)).toBeGreaterThanOrEqual(10);
    expect(events.map(({ id }) => id)).toEqual(events.map(({ id }) => id).sort((a, b) => a - b));
  });

  test('when not all can be taken, the worst are; of history nothing counts as lost', () => {
    const { clock, agents, cluster } = clusterRig(['a']);
    cluster.hold();
    clock.advance(2_000);
    const noise = Array.from({ length: 100 }, (_, index) => event(index + 1, { severity: 'info' }));
    agents.at('a').tell([...noise, event(101)]);
    const { events, lost } = cluster.snapshot();
    expect(events.length).toBe(50);
    expect(events.at(-1)).toMatchObject({ nodeEventId: 101, severity: 'fatal' });
    expect(lost).toBe(0);
  });

  test('planted fault: a ring that drops the oldest of all would have dropped the calm one', () => {
    const { clock, agents, cluster } = clusterRig(['calm', 'flood'], { size: 50, perSecond: 1_000 });
    cluster.hold();
    clock.advance(2_000);
    agents.at('calm').tell([event(1)]);
    agents.at('flood').tell(Array.from({ length: 500 }, (_, index) => event(index + 1)));
    const { events } = cluster.snapshot();
    const [first] = events;
    expect(first).toMatchObject({ id: 1, node: 'calm' });
    expect(first?.id).toBeLessThan((events.at(-1)?.id ?? 0) - 50);
  });
});

test('a revision takes the place of what it revises, at the end', () => {
  const { clock, agents, cluster } = clusterRig(['a']);
  cluster.hold();
  clock.advance(2_000);
  agents.at('a').tell([event(1), event(2)]);
  agents.at('a').tell([event(1, { revision: 1, repeatCount: 7 }), event(2)]);
  expect(cluster.snapshot().events).toMatchObject([
    { id: 2, nodeEventId: 2 },
    { id: 3, nodeEventId: 1, revision: 1, repeatCount: 7 },
  ]);
});

describe('whoever reads first', () => {
  test('waits until each agent has answered or failed once', async () => {
    const { clock, agents, cluster } = clusterRig(['a', 'b']);
    cluster.touch();
    let isDone = false;
    const done = cluster.settled(3_000).then(() => {
      isDone = true;
    });
    clock.advance(1_000);
    agents.at('a').tell([event(1)]);
    await turn();
    expect(isDone).toBe(false);
    await agents.at('b').fail();
    await done;
  });

  test('does not wait for ever, nor when it is called off, nor for nobody', async () => {
    const { clock, cluster } = clusterRig(['a']);
    await cluster.settled(3_000);
    cluster.touch();
    const late = cluster.settled(3_000);
    clock.advance(3_000);
    await late;
    await cluster.settled(3_000, AbortSignal.abort());
  });
});
