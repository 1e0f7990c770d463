import type { Incident } from '../domain/incident.ts';
import type { HostProcess } from '../ports/host-processes.ts';
import { describeProcesses, type Toolkit } from './toolkit.ts';
import { quarantine } from './untrusted-text.ts';

/** The log's answer must not wait for processes that hang: a look into /proc takes a few milliseconds. */
const lookMilliseconds = 500;
const maximumPids = 64;
/** Times of the kernel log are reckoned from those since boot. */
const toleranceMilliseconds = 2_000;

export interface ProcessPlace {
  readonly startedAt: string;
  readonly container?: { readonly id: string; readonly runtime: string | null };
  readonly podUid?: string;
}

/**
 * Where a process of an incident runs, for those in containers that still run. Undefined where it has ended, or its pid may be used
 * again: a process that started after the incident's first line may be another one. Nothing for lines that a program may have written, which could
 * blame anybody, and nothing where this program may see another pid namespace
 * than the kernel, in which the same number is another process.
 */
export async function placesOfProcesses(
  toolkit: Toolkit,
  incidents: readonly Incident[],
  signal: AbortSignal,
): Promise<(incident: Incident, pid: number) => ProcessPlace | undefined> {
  const pids = incidents
    .filter(isTrusted)
    .flatMap(({ processes }) => processes.flatMap(({ pid }) => pid ?? []));
  const wanted = [...new Set(pids)].slice(0, maximumPids);
  if (wanted.length === 0) return () => undefined;
  const look = startLook(toolkit, signal);
  const host = await describeProcesses(toolkit, wanted, look.signal).finally(look.stop);
  if (host?.seesAllProcesses !== true) return () => undefined;
  const known = new Map(host.processes.map((process) => [process.pid, process]));
  return (incident, pid) => placeOf(incident, known.get(pid));
}

const isTrusted = ({ trusted }: Incident) => trusted !== false;

function startLook({ clock }: Toolkit, signal: AbortSignal) {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const cancel = clock.after(lookMilliseconds, abort);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  const stop = () => {
    cancel();
    signal.removeEventListener('abort', abort);
  };
  return { signal: controller.signal, stop };
}

function placeOf(incident: Incident, process: HostProcess | undefined): ProcessPlace | undefined {
  const { firstAt } = incident;
  if (!process || !isTrusted(incident) || firstAt === null || process.startedAt === null) return undefined;
  const { startedAt, container, podUid } = process;
  // Written so that a time that is none refuses.
  if (!(Date.parse(startedAt) <= Date.parse(firstAt) + toleranceMilliseconds)) return undefined;
  if (container === null && podUid === null) return undefined;
  return {
    startedAt,
    ...(container ? { container: { id: quarantine(container.id, 64), runtime: container.runtime } } : {}),
    ...(podUid === null ? {} : { podUid: quarantine(podUid, 64) }),
  };
}
