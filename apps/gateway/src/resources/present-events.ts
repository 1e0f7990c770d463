import type { StructuredContent } from '@k8s-gpu-mcp/core';
import type { ClusterEventsSnapshot } from '../domain/cluster-events.ts';
import type { AgentEvent, AgentEventsReading } from '../ports/agent-events.ts';

/** Nodes that are named; the counts are of all. */
const maximumNodes = 50;

const counted = (count: number, noun: string) =>
  `${count === 0 ? 'no' : count} ${noun}${count === 1 ? '' : 's'}`;
const capital = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** The document at `gpu://cluster/events`. Its summary holds counts and times only: nothing that an agent said. */
export function presentClusterEvents(snapshot: ClusterEventsSnapshot, now: number): StructuredContent {
  const { listeningSince, nodeCount, heardCount, notHeard, events, evicted, lost, lostByNode } = snapshot;
  const last = events.at(-1);
  const sentences = [
    `${capital(counted(events.length, 'event'))} kept from ${counted(new Set(events.map(({ node }) => node)).size, 'node')}${last ? `, the newest of ${last.at}` : ''}.`,
    nodeCount === 0
      ? 'No GPU node is known.'
      : `${heardCount} of ${counted(nodeCount, 'node')} ${heardCount === 1 ? 'is' : 'are'} heard${heardCount < nodeCount ? ': of the others nothing is known' : ''}.`,
    ...(lost > 0 ? [`${lost} or more events were lost.`] : []),
    ...(listeningSince === null ? ['Nobody is listened to now.'] : []),
  ];
  return {
    apiVersion: 'v1',
    observedAt: new Date(now).toISOString(),
    summary: sentences.join(' '),
    listeningSince,
    nodes: { total: nodeCount, heard: heardCount, notHeard: Math.max(0, nodeCount - heardCount) },
    notHeard: notHeard.slice(0, maximumNodes),
    ...(notHeard.length > maximumNodes ? { notHeardTruncated: true } : {}),
    events,
    evicted,
    lost,
    lostByNode: lostByNode.slice(0, maximumNodes),
  };
}

/** The document at `gpu://{node}/events`: what the agent keeps, under the name that the directory gives the node. */
export function presentNodeEvents(node: string, reading: AgentEventsReading): StructuredContent {
  const { observedAt, listeningSince, events, lost, unreadable, notices } = reading;
  const last: AgentEvent | undefined = events.at(-1);
  const sentences = [
    `${capital(counted(events.length, 'event'))} heard${last ? `, the newest of ${last.at}` : ' yet'}.`,
    listeningSince === null ? 'Nothing is listened to now.' : `Listening since ${listeningSince}.`,
    ...(lost > 0 ? [`${lost} more are not shown.`] : []),
    ...(unreadable > 0 ? [`${counted(unreadable, 'event')} of the agent cannot be understood.`] : []),
    ...(notices.length > 0 ? ['Something could not be seen: see notices.'] : []),
  ];
  return {
    apiVersion: 'v1',
    node,
    observedAt,
    summary: capital(sentences.join(' ')),
    listeningSince,
    events,
    lost,
    ...(unreadable > 0 ? { unreadable } : {}),
    notices: notices.map((detail) => ({ detail })),
  };
}
