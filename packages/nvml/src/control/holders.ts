import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { GpuRef, ResetReadiness } from '@k8s-gpu-mcp/core';

/** Past this many open files the search ends, and who holds the GPU counts as unknown. */
const maximumFiles = 500_000;
const filesAtOnce = 256;

/** Device files of the driver as a whole. A process has them open whichever GPU it uses. */
const driverDevice =
  /(?:^|\/)(nvidiactl|nvidia-uvm|nvidia-uvm-tools|nvidia-modeset|nvidia-nvswitch(?:ctl|\d+))$/;
const gpuDevice = /(?:^|\/)nvidia(\d+)$/;

export interface HolderSearch {
  readonly procRoot: string;
  readonly gpus: readonly GpuRef[];
  readonly maximumFiles?: number;
}

export interface HolderReading {
  readonly holders: ResetReadiness['holders'];
  /** Why `holders` is null. */
  readonly blindSpot: string | undefined;
}

const blind = (blindSpot: string): HolderReading => ({ holders: null, blindSpot });

/**
 * The processes, other than this one and its children, that have a device file of these GPUs or of the driver open. Null when some
 * process may not be looked into: then nobody can be said not to hold it. Changes nothing and opens no device.
 */
export async function findHolders(search: HolderSearch, signal: AbortSignal): Promise<HolderReading> {
  const { procRoot } = search;
  const pids = await listPids(procRoot);
  const own = pids && (await ownProcesses(procRoot, pids));
  if (!pids) return blind(`${procRoot} could not be read`);
  if (!own) return blind(`${procRoot} does not show this process`);
  const minors = await minorNumbers(procRoot, search.gpus);
  const concerns = (target: string) => {
    if (driverDevice.test(target)) return true;
    const minor = gpuDevice.exec(target)?.[1];
    // Without the number of each GPU every one of them counts.
    return minor !== undefined && (minors === null || minors.has(Number(minor)));
  };
  const holders: { pid: number; path: string }[] = [];
  let budget = search.maximumFiles ?? maximumFiles;
  for (const pid of pids) {
    signal.throwIfAborted();
    if (own.has(pid)) continue;
    const paths = await openFiles(procRoot, pid, budget);
    if (!Array.isArray(paths)) return blind(`the open files of process ${pid} could not be read: ${paths}`);
    budget -= paths.length;
    for (const path of new Set(paths.filter(concerns))) holders.push({ pid, path });
  }
  return { holders, blindSpot: undefined };
}

async function listPids(procRoot: string): Promise<readonly number[] | null> {
  try {
    const names = await readdir(procRoot);
    return names
      .filter((name) => /^\d{1,10}$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return null;
  }
}

/** Where each open file of the process leads, or why that could not be read. A process that ended meanwhile has none. */
async function openFiles(procRoot: string, pid: number, budget: number): Promise<readonly string[] | string> {
  const directory = join(procRoot, String(pid), 'fd');
  try {
    const names = await readdir(directory);
    if (names.length > budget) return 'too many';
    const targets: string[] = [];
    for (let from = 0; from < names.length; from += filesAtOnce) {
      const some = names.slice(from, from + filesAtOnce);
      const read = some.map((name) => readlink(join(directory, name)).catch(closedMeanwhile));
      targets.push(...(await Promise.all(read)).flatMap((target) => target ?? []));
    }
    return targets;
  } catch (error) {
    return isGone(error) ? [] : ((error as NodeJS.ErrnoException).code ?? 'unknown');
  }
}

function closedMeanwhile(error: unknown): undefined {
  if (!isGone(error)) throw error;
}

const isGone = (error: unknown) => ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '');

/** This process and everything it started. Its own pid is that of `self`, whatever pid namespace this /proc shows. */
async function ownProcesses(procRoot: string, pids: readonly number[]): Promise<ReadonlySet<number> | null> {
  const self = Number(await readlink(join(procRoot, 'self')).catch(() => ''));
  if (!Number.isInteger(self) || self <= 0) return null;
  const children = new Map<number, number[]>();
  for (const pid of pids) {
    const parent = await parentOf(procRoot, pid);
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const own = new Set([self]);
  // The set grows while it is walked.
  for (const pid of own) for (const child of children.get(pid) ?? []) own.add(child);
  return own;
}

/** Fourth field of stat; the second, in brackets, may hold anything, brackets and spaces included. */
async function parentOf(procRoot: string, pid: number): Promise<number | undefined> {
  const stat = await readFile(join(procRoot, String(pid), 'stat'), 'latin1').catch(() => '');
  const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return parent === undefined ? undefined : Number(parent);
}

/** N of /dev/nvidiaN for each GPU, or null when one is unknown. Source: /proc/driver/nvidia/gpus/ADDRESS/information. */
async function minorNumbers(procRoot: string, gpus: readonly GpuRef[]): Promise<ReadonlySet<number> | null> {
  const minors = new Set<number>();
  for (const { pciAddress } of gpus) {
    const file = join(procRoot, 'driver/nvidia/gpus', pciAddress ?? 'unknown', 'information');
    const minor = /^Device Minor:\s*(\d{1,5})\s*$/m.exec(await readFile(file, 'latin1').catch(() => ''))?.[1];
    if (minor === undefined) return null;
    minors.add(Number(minor));
  }
  return minors;
}
