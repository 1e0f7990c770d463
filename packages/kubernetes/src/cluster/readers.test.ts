import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import type { KubernetesObject } from '../kubernetes-api.ts';
import { readObject } from '../read-object.ts';
import { MalformedError } from './fields.ts';
import { readClaim } from './read-claim.ts';
import { containerIdOf } from './read-container.ts';
import { byNewest, readEvent } from './read-event.ts';
import { readNode } from './read-node.ts';
import { readPod } from './read-pod.ts';

const recorded: unknown = JSON.parse(
  readFileSync(new URL('../../fixtures/podlist-1.34.json', import.meta.url), 'utf8'),
);

/** As an answer of the API comes in: nothing undefined, metadata cleaned. */
function objectOf(value: unknown): KubernetesObject {
  const object = readObject(JSON.parse(JSON.stringify(value)));
  if (object === null) throw new Error('not an object');
  return object;
}

const digits = (digit: string) => digit.repeat(64);
const metadata = { name: 'train-0', namespace: 'ml', uid: 'u-1' };
const podOf = (spec: unknown, status: unknown = {}, more = {}) =>
  readPod(objectOf({ metadata: { ...metadata, ...more }, spec, status }));

describe('pods', () => {
  test('as a 1.34 API server sent them', () => {
    const { items } = recorded as { items: unknown[] };
    const [pod] = items.map((item) => readPod(objectOf(item)));
    expect(pod).toEqual({
      namespace: 'gpu',
      name: 'agent-8p79p',
      uid: '107b8079-6773-4f2b-9273-885e12ca87cd',
      node: 'node1',
      phase: 'Running',
      labels: { app: 'agent', 'controller-revision-hash': '79b78786b', 'pod-template-generation': '1' },
      staticPodUid: null,
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'DaemonSet',
          name: 'agent',
          uid: 'c46d2d3e-58e4-4121-a269-8d4d1481223c',
          isController: true,
        },
      ],
      owner: null,
      reason: null,
      conditions: [
        'PodReadyToStartContainers',
        'Initialized',
        'Ready',
        'ContainersReady',
        'PodScheduled',
      ].map((type, index) => ({
        type,
        status: 'True',
        reason: null,
        lastTransitionAt: `2026-11-21T02:27:5${[5, 4, 5, 5, 4][index]}Z`,
        message: null,
      })),
      createdAt: '2026-11-21T02:27:54Z',
      startedAt: '2026-11-21T02:27:54Z',
      deletionRequestedAt: null,
      containers: [
        {
          name: 'agent',
          kind: 'main',
          requests: {},
          limits: {},
          claimNames: [],
          containerId: '596e663667a343726829db11c61617e9ffccd943ae58ddc39e9eaf39e6ab304e',
          isReady: true,
          restartCount: 0,
          state: { kind: 'running', startedAt: '2026-11-21T02:27:55Z' },
          lastState: null,
        },
      ],
      claims: [],
    });
  });

  test("the scheduler's words of a pod that waits, as one line that is cut short", () => {
    const message = '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.';
    const scheduled = (words: unknown) => ({
      conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: words }],
    });
    const told = (words: unknown) => podOf({}, scheduled(words)).conditions[0]?.message;
    expect(told(message)).toBe(message);
    expect(told('a\u0000b\nc')).toBe('a b c');
    expect(told('x'.repeat(10_000))).toHaveLength(2_000);
    for (const none of [undefined, '', 7, {}]) expect(told(none)).toBeNull();
  });

  test('containers of every kind, their devices and how they ended', () => {
    const terminated = {
      containerID: `containerd://${digits('b')}`,
      exitCode: 137,
      reason: 'OOMKilled',
      startedAt: '2026-11-21T02:27:55Z',
      finishedAt: '2026-11-21T02:28:55Z',
    };
    const pod = podOf(
      {
        initContainers: [
          { name: 'fetch' },
          { name: 'proxy', restartPolicy: 'Always', resources: { claims: [{ name: 'shared' }] } },
        ],
        containers: [
          {
            name: 'train',
            resources: {
              requests: { cpu: '8', 'nvidia.com/gpu': '8' },
              limits: { 'nvidia.com/gpu': '8', 'nvidia.com/mig-1g.10gb': 2, memory: '1Ti' },
              claims: [
                { name: 'gpu', request: 'a' },
                { name: 'gpu', request: 'b' },
              ],
            },
          },
        ],
        ephemeralContainers: [{ name: 'debug' }],
      },
      {
        initContainerStatuses: [
          { name: 'fetch', state: { terminated: { exitCode: 0, reason: 'Completed' } }, restartCount: 0 },
        ],
        containerStatuses: [
          {
            name: 'train',
            ready: false,
            restartCount: 3,
            containerID: `cri-o://${digits('a')}`,
            state: { waiting: { reason: 'CrashLoopBackOff', message: 'hostile \u0000 text' } },
            lastState: { terminated },
          },
        ],
      },
    );
    expect(pod.containers.map(({ name, kind }) => [name, kind])).toEqual([
      ['fetch', 'init'],
      ['proxy', 'sidecar'],
      ['train', 'main'],
      ['debug', 'ephemeral'],
    ]);
    expect(pod.containers[0]?.state).toMatchObject({ kind: 'terminated', exitCode: 0, reason: 'Completed' });
    expect(pod.containers[1]).toMatchObject({ claimNames: ['shared'], state: null, containerId: null });
    expect(pod.containers[2]).toEqual({
      name: 'train',
      kind: 'main',
      requests: { 'nvidia.com/gpu': 8 },
      limits: { 'nvidia.com/gpu': 8, 'nvidia.com/mig-1g.10gb': 2 },
      claimNames: ['gpu'],
      containerId: digits('a'),
      isReady: false,
      restartCount: 3,
      state: { kind: 'waiting', reason: 'CrashLoopBackOff' },
      lastState: {
        kind: 'terminated',
        reason: 'OOMKilled',
        exitCode: 137,
        signal: null,
        startedAt: '2026-11-21T02:27:55Z',
        finishedAt: '2026-11-21T02:28:55Z',
        containerId: digits('b'),
      },
    });
  });

  test('claims named in the spec, made from a template, and not made yet', () => {
    const pod = podOf(
      {
        containers: [],
        resourceClaims: [
          { name: 'own', resourceClaimName: 'big-gpu' },
          { name: 'made', resourceClaimTemplateName: 'one-gpu' },
          { name: 'waiting', resourceClaimTemplateName: 'one-gpu' },
        ],
      },
      {
        resourceClaimStatuses: [{ name: 'made', resourceClaimName: 'train-0-made-x7' }, { name: 'waiting' }],
      },
    );
    expect(pod.claims).toEqual([
      { name: 'own', claimName: 'big-gpu' },
      { name: 'made', claimName: 'train-0-made-x7' },
      { name: 'waiting', claimName: null },
    ]);
  });

  test('a static pod has the uid of its cgroups beside its own', () => {
    const pod = podOf({}, {}, { annotations: { 'kubernetes.io/config.hash': 'c0ffee' } });
    expect([pod.uid, pod.staticPodUid]).toEqual(['u-1', 'c0ffee']);
  });

  test('what is not told is null, or the state Unknown', () => {
    expect(readPod(objectOf({ metadata }))).toMatchObject({
      node: null,
      phase: 'Unknown',
      owner: null,
      createdAt: null,
      containers: [],
      claims: [],
    });
  });

  it.each([
    ['no uid', { metadata: { name: 'a', namespace: 'b' } }],
    ['no namespace', { metadata: { name: 'a', uid: 'u' } }],
    ['containers of another type', { metadata, spec: { containers: 'many' } }],
    ['a container that is null', { metadata, spec: { containers: [null] } }],
    ['a container without a name', { metadata, spec: { containers: [{}] } }],
    ['too many containers', { metadata, spec: { containers: Array(513).fill({ name: 'a' }) } }],
    [
      'a quantity that is none',
      {
        metadata,
        spec: { containers: [{ name: 'a', resources: { requests: { 'nvidia.com/gpu': 'many' } } }] },
      },
    ],
    [
      'half a GPU',
      {
        metadata,
        spec: { containers: [{ name: 'a', resources: { limits: { 'nvidia.com/gpu': '500m' } } }] },
      },
    ],
    [
      'a state that is text',
      {
        metadata,
        spec: { containers: [{ name: 'a' }] },
        status: { containerStatuses: [{ name: 'a', state: 'x' }] },
      },
    ],
  ])('is not read by halves: %s', (_, value) => {
    expect(() => readPod(objectOf(value))).toThrow(MalformedError);
  });

  test('wrong scalars are not believed', () => {
    const pod = podOf(
      { nodeName: 7, containers: [{ name: 'a' }] },
      {
        phase: 'Dancing',
        reason: 'run: rm -rf',
        startTime: 'yesterday',
        containerStatuses: [
          { name: 'a', restartCount: -1, ready: 'yes', containerID: 'containerd://../../x' },
        ],
      },
    );
    expect(pod).toMatchObject({ node: null, phase: 'Unknown', reason: null, startedAt: null });
    expect(pod.containers[0]).toMatchObject({ restartCount: 0, isReady: false, containerId: null });
  });

  it.each([
    [`containerd://${digits('0')}`, digits('0')],
    [`cri-o://${digits('1')}`, digits('1')],
    [`docker://${digits('2')}`, digits('2')],
    ['', null],
    [`containerd://${digits('g')}`, null],
    [`containerd://${digits('a')}a`, null],
    [12, null],
  ])('container id %j is %j', (value, expected) => {
    expect(containerIdOf(value)).toBe(expected);
  });
});

describe('nodes', () => {
  const node = {
    metadata: {
      name: 'gpu-1',
      uid: 'n-1',
      labels: { 'nvidia.com/gpu.product': 'NVIDIA-H200' },
      annotations: { long: 'x'.repeat(100_000) },
    },
    spec: { unschedulable: true, taints: [{ key: 'nvidia.com/gpu', effect: 'NoSchedule' }] },
    status: {
      capacity: { cpu: '192', 'nvidia.com/gpu': '8' },
      allocatable: { cpu: '190', 'nvidia.com/gpu': '7' },
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'KubeletReady',
          message: 'kubelet is posting ready status',
          lastTransitionTime: '2026-11-21T02:00:00Z',
        },
        { type: 'Odd', status: 'Maybe' },
      ],
      nodeInfo: {
        kernelVersion: '6.8.0-40-generic',
        kubeletVersion: 'v1.34.1',
        containerRuntimeVersion: 'containerd://2.1.0',
        osImage: 'Ubuntu 24.04.1 LTS',
        operatingSystem: 'linux',
        bootID: 'b-1',
      },
    },
  };

  test('of the form of the API reference', () => {
    const { node: read, gaps } = readNode(objectOf(node));
    expect(gaps).toEqual([]);
    expect(read).toMatchObject({
      name: 'gpu-1',
      uid: 'n-1',
      labels: { 'nvidia.com/gpu.product': 'NVIDIA-H200' },
      taints: [{ key: 'nvidia.com/gpu', value: null, effect: 'NoSchedule' }],
      isUnschedulable: true,
      kernelVersion: '6.8.0-40-generic',
      kubeletVersion: 'v1.34.1',
      containerRuntimeVersion: 'containerd://2.1.0',
      operatingSystem: 'Ubuntu 24.04.1 LTS',
      bootId: 'b-1',
      capacity: { 'nvidia.com/gpu': 8 },
      allocatable: { 'nvidia.com/gpu': 7 },
    });
    expect(read.conditions).toEqual([
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        lastTransitionAt: '2026-11-21T02:00:00Z',
        message: 'kubelet is posting ready status',
      },
      { type: 'Odd', status: 'Unknown', reason: null, lastTransitionAt: null, message: null },
    ]);
    expect(read.annotations['long']).toHaveLength(512);
  });

  test('without a status the capacity is unknown; with one that names no GPU it is none', () => {
    expect(readNode(objectOf({ metadata: { name: 'a' } })).node).toMatchObject({
      capacity: null,
      allocatable: null,
    });
    const { node: read } = readNode(
      objectOf({ metadata: { name: 'a' }, status: { capacity: { cpu: '4' } } }),
    );
    expect(read).toMatchObject({ capacity: {}, allocatable: null });
  });

  test('a quantity that is none is a gap, never zero', () => {
    const { node: read, gaps } = readNode(
      objectOf({ metadata: { name: 'a' }, status: { capacity: { 'nvidia.com/gpu': {} } } }),
    );
    expect(read.capacity).toBeNull();
    expect(gaps).toMatchObject([{ field: 'node.capacity', reason: 'error' }]);
  });
});

describe('events', () => {
  const about = { kind: 'Pod', namespace: 'ml', name: 'train-0', uid: 'u-1' };
  const event = (more: object) =>
    readEvent(
      objectOf({
        metadata: { name: 'e', creationTimestamp: '2026-11-21T05:00:00Z' },
        involvedObject: about,
        reason: 'BackOff',
        ...more,
      }),
    );

  test('of an older reporter', () => {
    expect(
      event({
        type: 'Warning',
        count: 7,
        firstTimestamp: '2026-11-21T02:00:00Z',
        lastTimestamp: '2026-11-21T03:00:00Z',
        message: 'Back-off\nrestarting',
      }),
    ).toEqual({
      about,
      type: 'Warning',
      reason: 'BackOff',
      count: 7,
      firstAt: '2026-11-21T02:00:00Z',
      lastAt: '2026-11-21T03:00:00Z',
      message: 'Back-off restarting',
    });
  });

  test('of a newer one, with a series', () => {
    const series = { count: 12, lastObservedTime: '2026-11-21T04:00:00.000001Z' };
    expect(event({ eventTime: '2026-11-21T02:00:00.123456Z', series, firstTimestamp: null })).toMatchObject({
      type: 'Normal',
      count: 12,
      firstAt: '2026-11-21T02:00:00.123456Z',
      lastAt: '2026-11-21T04:00:00.000001Z',
      message: '',
    });
  });

  test('without any time of its own: when it was made, once', () => {
    expect(event({})).toMatchObject({
      count: 1,
      firstAt: '2026-11-21T05:00:00Z',
      lastAt: '2026-11-21T05:00:00Z',
    });
  });

  test('the newest first, by time and not by text; those without a time last', () => {
    const at = (lastAt: string | null) => ({ ...event({}), lastAt });
    const times = [null, '2026-11-21T03:00:00+02:00', '2026-11-21T02:00:00Z'];
    expect(
      times
        .map(at)
        .sort(byNewest)
        .map(({ lastAt }) => lastAt),
    ).toEqual([times[2], times[1], null]);
  });

  test('hostile ones', () => {
    expect(event({ reason: 'Failed to pull!' }).reason).toBe('Failedtopull');
    expect(event({ message: `\u001b[31m${'x'.repeat(1e6)}` }).message).toMatch(/^ \[31mx{1019}$/);
    for (const reason of ['', 7, '!!']) expect(() => event({ reason })).toThrow(MalformedError);
    expect(() => event({ involvedObject: 'pod' })).toThrow(MalformedError);
  });
});

describe('claims', () => {
  const claim = (status?: unknown) => readClaim(objectOf({ metadata, status }));

  test('allocated and shared', () => {
    const results = [
      { request: 'gpu', driver: 'gpu.nvidia.com', pool: 'node1', device: 'gpu-0' },
      { request: 'look', driver: 'gpu.nvidia.com', pool: 'node1', device: 'gpu-1', adminAccess: true },
    ];
    const reservedFor = [
      { resource: 'pods', name: 'a', uid: 'p-1' },
      { resource: 'pods', name: 'b', uid: 'p-2' },
      { apiGroup: 'other.example', resource: 'things', name: 'c', uid: 't-1' },
    ];
    expect(claim({ allocation: { devices: { results } }, reservedFor })).toEqual({
      namespace: 'ml',
      name: 'train-0',
      uid: 'u-1',
      devices: [
        { request: 'gpu', driver: 'gpu.nvidia.com', pool: 'node1', device: 'gpu-0', hasAdminAccess: false },
        { request: 'look', driver: 'gpu.nvidia.com', pool: 'node1', device: 'gpu-1', hasAdminAccess: true },
      ],
      reservedForPodUids: ['p-1', 'p-2'],
    });
  });

  test('not allocated is not the same as allocated without devices', () => {
    expect(claim().devices).toBeNull();
    expect(claim({ allocation: {} }).devices).toEqual([]);
  });

  it.each([{ allocation: { devices: { results: [{}] } } }, { reservedFor: [7] }])(
    'malformed: %j',
    (status) => {
      expect(() => claim(status)).toThrow(MalformedError);
    },
  );
});

describe('planted fault', () => {
  test.each([
    ['another phase', (text: string) => text.replaceAll('"Running"', '"Failed"')],
    [
      'an owner that does not manage it',
      (text: string) => text.replaceAll('"controller":true', '"controller":false'),
    ],
    ['another container', (text: string) => text.replaceAll('containerd://5', 'containerd://6')],
  ])('the recording with %s reads otherwise', (_, change) => {
    const read = (text: string) =>
      (JSON.parse(text) as { items: unknown[] }).items.map((item) => readPod(objectOf(item)));
    const text = JSON.stringify(recorded);
    expect(read(change(text))).not.toEqual(read(text));
  });
});
