import type { ClusterEvent } from '@k8s-gpu-mcp/core';
import type { KubernetesObject } from '../kubernetes-api.ts';
import { MalformedError, nameOf, recordOf, requiredName, textOf, timeOf, wholeNumberOf } from './fields.ts';

const MAXIMUM_MESSAGE_CHARACTERS = 1_024;
const MAXIMUM_REASON_CHARACTERS = 128;

/**
 * An event of core/v1. Older reporters count in `count`, `firstTimestamp` and `lastTimestamp`, newer ones in `eventTime` and `series`.
 * Source: Kubernetes API reference, Event v1 core.
 *
 * @throws MalformedError when it is no event.
 */
export function readEvent(object: KubernetesObject): ClusterEvent {
  const about = recordOf(object['involvedObject']);
  const series = recordOf(object['series']);
  const { metadata } = object;
  const times = [
    object['firstTimestamp'],
    object['eventTime'],
    series['lastObservedTime'],
    object['lastTimestamp'],
  ]
    .map(timeOf)
    .filter((time) => time !== null);
  if (times.length === 0) times.push(...[timeOf(metadata.creationTimestamp)].filter((time) => time !== null));
  times.sort((a, b) => Date.parse(a) - Date.parse(b));
  const count = Math.max(wholeNumberOf(series['count']) ?? 1, wholeNumberOf(object['count']) ?? 1, 1);
  return {
    about: {
      kind: requiredName(about['kind'], 'involvedObject.kind'),
      namespace: nameOf(about['namespace']),
      name: requiredName(about['name'], 'involvedObject.name'),
      uid: nameOf(about['uid']),
    },
    type: object['type'] === 'Warning' ? 'Warning' : 'Normal',
    reason: reasonOf(object['reason']),
    count,
    firstAt: times[0] ?? null,
    lastAt: times.at(-1) ?? null,
    message: textOf(object['message'], MAXIMUM_MESSAGE_CHARACTERS) ?? '',
  };
}

/** The server takes any text for a reason; only what makes a word of it is kept. */
function reasonOf(value: unknown): string {
  const word = typeof value === 'string' ? value.slice(0, 4 * MAXIMUM_REASON_CHARACTERS) : '';
  const clean = word.replace(/[^A-Za-z0-9]/g, '').slice(0, MAXIMUM_REASON_CHARACTERS);
  if (clean === '') throw new MalformedError('an event has no reason');
  return clean;
}

/** The newest first; those without a time last. */
export function byNewest(a: ClusterEvent, b: ClusterEvent): number {
  const time = ({ lastAt }: ClusterEvent) =>
    lastAt === null ? Number.NEGATIVE_INFINITY : Date.parse(lastAt);
  const [timeA, timeB] = [time(a), time(b)];
  return timeA === timeB ? 0 : timeB - timeA;
}
