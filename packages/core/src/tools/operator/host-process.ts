import type { HostProcess, HostProcessesReading } from '../../ports/host-processes.ts';
import { describeProcesses as describeIfKnown, type Toolkit } from '../toolkit.ts';
import { quarantine } from '../untrusted-text.ts';

const maximumCommandLength = 200;
const maximumNameLength = 64;

/** Never rejects. Operator mode always has the port; without an answer nothing is known and nothing is done. */
export async function describeProcesses(
  toolkit: Toolkit,
  pids: readonly number[],
  signal: AbortSignal,
): Promise<HostProcessesReading> {
  return (
    (await describeIfKnown(toolkit, pids, signal)) ?? { processes: [], seesAllProcesses: null, gaps: [] }
  );
}

/** A process as a plan shows it. Names and command are the machine's text, made harmless. */
export function presentProcess(process: HostProcess) {
  const { pid, startTicks, startedAt, state, parentPid, userId, userName, name, command } = process;
  return {
    pid,
    startTicks,
    startedAt,
    state,
    parentPid,
    userId,
    userName: clean(userName, maximumNameLength),
    name: clean(name, maximumNameLength),
    command: clean(command, maximumCommandLength),
    container: process.container,
    podUid: process.podUid,
    slurmJobId: process.slurmJobId,
  };
}

/** For the person: who runs what. One line, and it says whose words they are. */
export function describeForPerson(process: HostProcess): string {
  const { pid, userName, userId, name, command, container, podUid, slurmJobId } = presentProcess(process);
  const about = [
    `user ${JSON.stringify(userName ?? userId)}`,
    ...(podUid ? [`pod ${podUid}`] : []),
    ...(container ? [`container ${container.id.slice(0, 12)}`] : []),
    ...(slurmJobId ? [`Slurm job ${slurmJobId}`] : []),
  ].join(', ');
  return `Process ${pid} (${about}) calls itself: ${JSON.stringify(command ?? name)}`;
}

const clean = (text: string | null, maximumLength: number) =>
  text === null ? null : quarantine(text, maximumLength);
