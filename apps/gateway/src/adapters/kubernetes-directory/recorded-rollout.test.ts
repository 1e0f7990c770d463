import { silentLogger } from '@k8s-gpu-mcp/core';
import { fixedClock } from '@k8s-gpu-mcp/core/testing';
import { describe, expect, it } from 'vitest';
import type { NodeDirectorySnapshot } from '../../ports/node-directory.ts';
import { openKubernetesDirectory } from './kubernetes-directory.ts';

/**
 * Watch events of a DaemonSet of two pods whose rollout was restarted, as a Kubernetes 1.34 API server sent them; fields that no reader here
 * looks at are left out, and bookmarks.
 */
const recordedEvents = `
{"type":"ADDED","object":{"metadata":{"name":"agent-88d56","namespace":"gpu","uid":"cef65491-2230-4173-b845-62073595d755","resourceVersion":"354","creationTimestamp":"2026-11-21T02:27:49Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.2.2","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:50Z"}},"lastState":{}}]}}}
{"type":"ADDED","object":{"metadata":{"name":"agent-nr5r6","namespace":"gpu","uid":"8d2da879-dd75-44fc-815f-c801c349d44e","resourceVersion":"345","creationTimestamp":"2026-11-21T02:27:49Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.1.2","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:50Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-88d56","namespace":"gpu","uid":"cef65491-2230-4173-b845-62073595d755","resourceVersion":"363","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:28:22Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.2.2","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:50Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-nr5r6","namespace":"gpu","uid":"8d2da879-dd75-44fc-815f-c801c349d44e","resourceVersion":"364","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:28:22Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.1.2","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:50Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-nr5r6","namespace":"gpu","uid":"8d2da879-dd75-44fc-815f-c801c349d44e","resourceVersion":"374","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:28:22Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.1.2","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:50Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-88d56","namespace":"gpu","uid":"cef65491-2230-4173-b845-62073595d755","resourceVersion":"376","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:28:22Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.2.2","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:50Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-88d56","namespace":"gpu","uid":"cef65491-2230-4173-b845-62073595d755","resourceVersion":"379","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:28:22Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Succeeded","podIP":"10.244.2.2","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-11-21T02:27:50Z","finishedAt":"2026-11-21T02:27:53Z","containerID":"containerd://e23ce987983b4a15316375b66deb6d371984120ba6687cb0f55535e8accd751c"}},"lastState":{}}]}}}
{"type":"ADDED","object":{"metadata":{"name":"agent-tl5vh","namespace":"gpu","uid":"11c5d179-6cc8-42cb-a9c4-29519679db19","resourceVersion":"381","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Pending"}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-tl5vh","namespace":"gpu","uid":"11c5d179-6cc8-42cb-a9c4-29519679db19","resourceVersion":"382","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True"}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-tl5vh","namespace":"gpu","uid":"11c5d179-6cc8-42cb-a9c4-29519679db19","resourceVersion":"386","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Pending","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"waiting":{"reason":"ContainerCreating"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-nr5r6","namespace":"gpu","uid":"8d2da879-dd75-44fc-815f-c801c349d44e","resourceVersion":"387","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:28:22Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Succeeded","podIP":"10.244.1.2","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-11-21T02:27:50Z","finishedAt":"2026-11-21T02:27:53Z","containerID":"containerd://f34b66c405a79204bcbfa5fdd55c0b266666e925676c76595d8d8d4253789c8c"}},"lastState":{}}]}}}
{"type":"ADDED","object":{"metadata":{"name":"agent-8p79p","namespace":"gpu","uid":"107b8079-6773-4f2b-9273-885e12ca87cd","resourceVersion":"389","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Pending"}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-8p79p","namespace":"gpu","uid":"107b8079-6773-4f2b-9273-885e12ca87cd","resourceVersion":"390","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True"}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-8p79p","namespace":"gpu","uid":"107b8079-6773-4f2b-9273-885e12ca87cd","resourceVersion":"394","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Pending","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"waiting":{"reason":"ContainerCreating"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-88d56","namespace":"gpu","uid":"cef65491-2230-4173-b845-62073595d755","resourceVersion":"397","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:27:55Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Succeeded","podIP":"10.244.2.2","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-11-21T02:27:50Z","finishedAt":"2026-11-21T02:27:53Z","containerID":"containerd://e23ce987983b4a15316375b66deb6d371984120ba6687cb0f55535e8accd751c"}},"lastState":{}}]}}}
{"type":"DELETED","object":{"metadata":{"name":"agent-88d56","namespace":"gpu","uid":"cef65491-2230-4173-b845-62073595d755","resourceVersion":"398","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:27:55Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Succeeded","podIP":"10.244.2.2","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-11-21T02:27:50Z","finishedAt":"2026-11-21T02:27:53Z","containerID":"containerd://e23ce987983b4a15316375b66deb6d371984120ba6687cb0f55535e8accd751c"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-nr5r6","namespace":"gpu","uid":"8d2da879-dd75-44fc-815f-c801c349d44e","resourceVersion":"399","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:27:55Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Succeeded","podIP":"10.244.1.2","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-11-21T02:27:50Z","finishedAt":"2026-11-21T02:27:53Z","containerID":"containerd://f34b66c405a79204bcbfa5fdd55c0b266666e925676c76595d8d8d4253789c8c"}},"lastState":{}}]}}}
{"type":"DELETED","object":{"metadata":{"name":"agent-nr5r6","namespace":"gpu","uid":"8d2da879-dd75-44fc-815f-c801c349d44e","resourceVersion":"400","creationTimestamp":"2026-11-21T02:27:49Z","deletionTimestamp":"2026-11-21T02:27:55Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Succeeded","podIP":"10.244.1.2","conditions":[{"type":"PodReadyToStartContainers","status":"False"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"terminated":{"exitCode":0,"reason":"Completed","startedAt":"2026-11-21T02:27:50Z","finishedAt":"2026-11-21T02:27:53Z","containerID":"containerd://f34b66c405a79204bcbfa5fdd55c0b266666e925676c76595d8d8d4253789c8c"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-8p79p","namespace":"gpu","uid":"107b8079-6773-4f2b-9273-885e12ca87cd","resourceVersion":"413","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.1.3","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"running":{"startedAt":"2026-11-21T02:27:55Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-8p79p","namespace":"gpu","uid":"107b8079-6773-4f2b-9273-885e12ca87cd","resourceVersion":"417","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node1","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.1.3","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:55Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-tl5vh","namespace":"gpu","uid":"11c5d179-6cc8-42cb-a9c4-29519679db19","resourceVersion":"425","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.2.3","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"False"},{"type":"ContainersReady","status":"False"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":false,"state":{"running":{"startedAt":"2026-11-21T02:27:55Z"}},"lastState":{}}]}}}
{"type":"MODIFIED","object":{"metadata":{"name":"agent-tl5vh","namespace":"gpu","uid":"11c5d179-6cc8-42cb-a9c4-29519679db19","resourceVersion":"429","creationTimestamp":"2026-11-21T02:27:54Z","ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"agent","uid":"c46d2d3e-58e4-4121-a269-8d4d1481223c","controller":true}]},"spec":{"nodeName":"node2","containers":[{"name":"agent","ports":[{"name":"http","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.2.3","conditions":[{"type":"PodReadyToStartContainers","status":"True"},{"type":"Initialized","status":"True"},{"type":"Ready","status":"True"},{"type":"ContainersReady","status":"True"},{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"name":"agent","ready":true,"state":{"running":{"startedAt":"2026-11-21T02:27:55Z"}},"lastState":{}}]}}}
`
  .trim()
  .split('\n')
  .map((line): RecordedEvent => JSON.parse(line));

interface RecordedEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: {
    readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
    readonly spec: { readonly nodeName?: string };
    readonly status: {
      readonly phase: string;
      readonly podIP?: string;
      readonly conditions?: readonly Condition[];
    };
  };
}
interface Condition {
  readonly type: string;
  readonly status: string;
}

/** One snapshot after each event, beside the pods that the server had then. */
function replay(events: readonly RecordedEvent[]) {
  const pods = new Map<string, RecordedEvent['object']>();
  let listener = () => {};
  const collection = {
    get items() {
      return [...pods.values()];
    },
    staleSince: null,
    currentAt: '2026-11-21T02:27:50.000Z',
    problem: null,
    settled: async () => {},
    onChange(given: () => void) {
      listener = given;
      return () => {};
    },
    close() {},
  };
  const directory = openKubernetesDirectory(collection, null, {
    clock: fixedClock(),
    logger: silentLogger,
    port: 9999,
    scheme: 'http',
    daemonSetName: 'agent',
  });
  return events.map(({ type, object }) => {
    if (type === 'DELETED') pods.delete(object.metadata.name);
    else pods.set(object.metadata.name, object);
    listener();
    return { snapshot: directory.snapshot(), pods: [...pods.values()] };
  });
}

type Moment = ReturnType<typeof replay>[number];

/** What is wrong at one moment of the rollout. */
function faultsOf({ snapshot, pods }: { snapshot: NodeDirectorySnapshot; pods: Moment['pods'] }): string[] {
  const names = snapshot.nodes.map(({ name }) => name);
  const faults: string[] = [];
  for (const name of ['node1', 'node2']) {
    const times = names.filter((other) => other === name).length;
    if (times !== 1) faults.push(`${name} is named ${times} times`);
  }
  for (const node of snapshot.nodes) {
    if ((node.url === null) !== (node.notReadyBecause !== null)) faults.push(`${node.name} is half ready`);
    const asked = pods.find(({ metadata }) => metadata.uid === node.instance);
    if (asked?.metadata.deletionTimestamp !== undefined) faults.push(`${node.name} is a terminating pod`);
    if (node.url === null) continue;
    if (asked === undefined || asked.spec.nodeName !== node.name)
      faults.push(`${node.name} asks another pod`);
    if (node.url !== `http://${asked?.status.podIP}:8080/mcp`) faults.push(`${node.name} has a wrong URL`);
    const isReady = asked?.status.conditions?.some(
      ({ type, status }) => type === 'Ready' && status === 'True',
    );
    if (!isReady) faults.push(`${node.name} is asked before it is ready`);
  }
  return faults;
}

describe('a recorded rollout', () => {
  it('names each node once at every moment and never asks a terminating or starting pod', () => {
    // The first event alone knows one node.
    const moments = replay(recordedEvents).slice(1);
    expect(moments.length).toBe(21);
    expect(moments.map(faultsOf)).toEqual(moments.map(() => []));
  });

  it('goes from the old pods over the stopping and starting ones to the new pods', () => {
    const story = replay(recordedEvents).map(({ snapshot }) => {
      const node = snapshot.nodes.find(({ name }) => name === 'node2');
      return node?.url ?? node?.notReadyBecause;
    });
    expect(story.filter((state, index) => state !== story[index - 1])).toEqual([
      'http://10.244.2.2:8080/mcp',
      'the agent pod is stopping, and no other runs on this node yet',
      'the agent pod is pending',
      'the agent pod is starting',
      'the agent pod is not ready',
      'http://10.244.2.3:8080/mcp',
    ]);
  });

  it('the token goes to the pods of the DaemonSet, old and new', () => {
    const asked = replay(recordedEvents).flatMap(({ snapshot }) => snapshot.nodes.filter(({ url }) => url));
    expect(new Set(asked.map(({ url }) => url)).size).toBe(4);
    expect(asked.every(({ mayReceiveToken }) => mayReceiveToken)).toBe(true);
  });

  it('planted fault: a server that lost deletionTimestamp, a node twice and a node missing are seen', () => {
    const moments = replay(recordedEvents);
    const last = moments.at(-1);
    if (!last) throw new Error('no moments');
    const { snapshot, pods } = last;
    const deleted = pods.map((pod) => ({
      ...pod,
      metadata: { ...pod.metadata, deletionTimestamp: '2026-11-21T02:28:22Z' },
    }));
    expect(faultsOf({ snapshot, pods: deleted })).toContain('node1 is a terminating pod');
    const twice = { ...snapshot, nodes: [...snapshot.nodes, ...snapshot.nodes.slice(0, 1)] };
    expect(faultsOf({ snapshot: twice, pods })).toEqual(['node1 is named 2 times']);
    const missing = { ...snapshot, nodes: snapshot.nodes.slice(1) };
    expect(faultsOf({ snapshot: missing, pods })).toEqual(['node1 is named 0 times']);
    // Without deletionTimestamp the old pods would still be asked after the rollout began.
    const blind = recordedEvents.map(({ type, object }) => {
      const { deletionTimestamp: _, ...metadata } = object.metadata;
      return { type, object: { ...object, metadata } };
    });
    const seen = replay(blind).map(({ snapshot }, index) => ({ snapshot, pods: moments[index]?.pods ?? [] }));
    expect(seen.flatMap(faultsOf)).toContain('node2 is a terminating pod');
  });
});
