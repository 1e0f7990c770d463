import type { HostProcess } from '@k8s-gpu-mcp/core';

const nameLength = 15;
const commandLength = 512;

/** Columns whose values may hold blanks, with how many words they are. */
const wordsOf: Readonly<Record<string, number>> = { STARTED: 5, LSTART: 5 };

/** The rows of an output of `ps` that has a column STAT or S. The last column takes the rest of the line. */
export function parsePs(lines: readonly string[], maximumProcesses = 65_536): readonly HostProcess[] {
  const columns = lines[0]?.trim().split(/\s+/) ?? [];
  const processes: HostProcess[] = [];
  for (const line of lines.slice(1)) {
    if (processes.length >= maximumProcesses) break;
    const process = rowOf(columns, line.slice(0, 8192));
    if (process) processes.push(process);
  }
  return processes;
}

function rowOf(columns: readonly string[], line: string): HostProcess | undefined {
  const words = [...line.matchAll(/\S+/g)];
  const values = new Map<string, string>();
  let at = 0;
  for (const [position, column] of columns.entries()) {
    const word = words[at];
    if (!word) break;
    const isLast = position === columns.length - 1;
    values.set(column, isLast ? line.slice(word.index).trimEnd() : word[0]);
    at += isFullDate(column, word[0]) ? (wordsOf[column] ?? 1) : 1;
  }
  const pid = numberOf(values.get('PID'));
  const state = values.get('STAT') ?? values.get('S');
  if (pid === undefined || state === undefined || !/^[A-Za-z][A-Za-z<+]{0,7}$/.test(state)) return undefined;
  const command = values.get('COMMAND') ?? values.get('CMD') ?? values.get('ARGS') ?? '';
  const user = values.get('USER') ?? values.get('UID') ?? values.get('EUSER');
  const userId = numberOf(user);
  return {
    pid,
    // ps does not tell it; the pid alone names a process of the moment of the capture.
    startTicks: 0,
    startedAt: null,
    state: state.slice(0, 1),
    userId: userId ?? (user === 'root' ? 0 : null),
    userName: userId === undefined ? (user?.slice(0, 32) ?? null) : null,
    name: nameOf(command),
    command: command === '' ? null : command.slice(0, commandLength),
    parentPid: numberOf(values.get('PPID')) ?? 0,
    container: null,
    podUid: null,
    slurmJobId: null,
  };
}

const isFullDate = (column: string, word: string) =>
  column in wordsOf && /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)$/.test(word);

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** What the kernel would call the thread: the program's own name, without its path. `[python3] <defunct>` keeps its name. */
function nameOf(command: string): string {
  const first = /^\[([^\]]{1,64})\]/.exec(command)?.[1] ?? command.split(/\s/, 1)[0] ?? '';
  return (first.split('/').at(-1) ?? first).replace(/:$/, '').slice(0, nameLength);
}
