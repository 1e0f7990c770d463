import {
  type AccountedProcess,
  type GpuProcess,
  type GpuProcessKind,
  gpuProcessKinds,
  type MigDevice,
} from '@k8s-gpu-mcp/core';
import { type Form, findNode, limits, pathOf, type SmiNode, type UnreadParts } from './document.ts';
import type { GpuCollector } from './gpu-collector.ts';
import * as values from './values.ts';
import { absenceOf, type Decoder, isMissing, missing } from './values.ts';

/** MIG devices and processes: the parts of the output that repeat. */

const notPrinted = missing('not-observable', 'nvidia-smi does not print it');

/** A member of a list: its value, or null and a gap for the list. */
export type MemberTaker = (
  member: string,
  text: string | null | undefined,
  decode: Decoder<number>,
) => number | null;

export function memberTaker(collector: GpuCollector, list: string): MemberTaker {
  return (member, text, decode) => {
    const reading =
      text === null || text === undefined
        ? missing('not-observable', 'this output does not have it')
        : collector.read(text, decode);
    if (isMissing(reading)) collector.missMember(`${list}.${member}`, reading);
    return reading.value;
  };
}

const typeLetters: Readonly<Record<string, GpuProcessKind>> = { C: 'compute', G: 'graphics', M: 'mps' };

/** `C+G`, `M+C`. Empty for letters that this version does not know. */
export function processKinds(text: string | null | undefined): readonly GpuProcessKind[] {
  const letters = (text ?? '').slice(0, 16).split('+');
  const kinds = new Set(letters.map((letter) => typeLetters[letter.trim()]));
  return gpuProcessKinds.filter((kind) => kinds.has(kind));
}

/** What nvidia-smi never prints of a process. */
export const unprintedOfProcess = {
  smPercent: null,
  memoryPercent: null,
  encoderPercent: null,
  decoderPercent: null,
} as const;

interface PrintedProcess {
  readonly pid: SmiNode | undefined;
  readonly type: SmiNode | undefined;
  readonly memory: SmiNode | undefined;
  readonly gpuInstance: SmiNode | undefined;
  readonly computeInstance: SmiNode | undefined;
}

const child = (node: SmiNode, name: string) => node.children.find((candidate) => candidate.name === name);

function processesOfXml(group: SmiNode): readonly PrintedProcess[] {
  return group.children
    .filter(({ name }) => name === 'process_info')
    .map((node) => ({
      pid: child(node, 'pid'),
      type: child(node, 'type'),
      memory: child(node, 'used_memory'),
      gpuInstance: child(node, 'gpu_instance_id'),
      computeInstance: child(node, 'compute_instance_id'),
    }));
}

/** In the text the instances stand before the process they belong to, on its level. */
function processesOfText(group: SmiNode): readonly PrintedProcess[] {
  const found: PrintedProcess[] = [];
  let gpuInstance: SmiNode | undefined;
  let computeInstance: SmiNode | undefined;
  for (const node of group.children) {
    if (node.name === 'gpu instance id') gpuInstance = node;
    if (node.name === 'compute instance id') computeInstance = node;
    if (node.name !== 'process id') continue;
    const memory = child(node, 'used gpu memory');
    found.push({ pid: node, type: child(node, 'type'), memory, gpuInstance, computeInstance });
    gpuInstance = undefined;
    computeInstance = undefined;
  }
  return found;
}

function readProcesses(gpu: SmiNode, form: Form, collector: GpuCollector, unread: UnreadParts): void {
  const group = child(gpu, 'processes');
  if (group === undefined) return;
  const leaf = 'processes.running';
  if (group.children.length === 0) {
    const said = group.value ?? '';
    // Empty is how the XML says "none", `None` how the text does.
    const isNone = said === '' || said.toLowerCase() === 'none';
    collector.put(leaf, group.line, isNone ? { value: [] } : collector.read(said, noList));
    return;
  }
  const printed = form === 'xml' ? processesOfXml(group) : processesOfText(group);
  if (printed.length > limits.processes) {
    unread.add(group.line, 'processes', `more than ${limits.processes} of one GPU: the first are kept`);
  }
  const take = memberTaker(collector, leaf);
  const running = printed.slice(0, limits.processes).flatMap((process): GpuProcess[] => {
    const pid = values.count(process.pid?.value ?? '').value;
    if (pid === null) {
      unread.addOnce(process.pid?.line ?? group.line, 'a process', 'it has no process id');
      return [];
    }
    return [
      {
        pid,
        kinds: processKinds(process.type?.value),
        memoryUsedBytes: take('memoryUsedBytes', process.memory?.value, values.bytes),
        gpuInstanceId: take('gpuInstanceId', process.gpuInstance?.value, values.count),
        computeInstanceId: take('computeInstanceId', process.computeInstance?.value, values.count),
        ...unprintedOfProcess,
      },
    ];
  });
  if (running.length > 0) missUnprinted(collector, leaf, unprintedOfProcess);
  collector.put(leaf, group.line, { value: running });
}

/** Gaps for the members that no form of the output has. */
export function missUnprinted(
  collector: GpuCollector,
  list: string,
  members: Readonly<Record<string, null>>,
): void {
  for (const member of Object.keys(members)) collector.missMember(`${list}.${member}`, notPrinted);
}

const noList: Decoder<never> = () => missing('error', 'nvidia-smi printed what is no list');

/** Only the XML has it. The driver forgets when they started. */
function readAccounted(gpu: SmiNode, collector: GpuCollector, unread: UnreadParts): void {
  const group = child(gpu, 'accounted_processes');
  if (group === undefined) return;
  const leaf = 'processes.accounted';
  const entries = group.children.filter(({ name }) => name === 'accounted_process_info');
  if (group.children.length === 0 && group.value !== null && group.value !== '') {
    collector.put(leaf, group.line, collector.read(group.value, noList));
    return;
  }
  const take = memberTaker(collector, leaf);
  const accounted = entries.slice(0, limits.processes).flatMap((node): AccountedProcess[] => {
    const pid = values.count(child(node, 'pid')?.value ?? '').value;
    if (pid === null) {
      unread.addOnce(node.line, 'an accounted process', 'it has no process id');
      return [];
    }
    const running = child(node, 'is_running')?.value === '1';
    return [
      {
        pid,
        running,
        gpuPercent: take('gpuPercent', child(node, 'gpu_util')?.value, values.percent),
        memoryPercent: take('memoryPercent', child(node, 'memory_util')?.value, values.percent),
        maxMemoryUsedBytes: take('maxMemoryUsedBytes', child(node, 'max_memory_usage')?.value, values.bytes),
        startedAt: null,
        activeMilliseconds: running
          ? null
          : take('activeMilliseconds', child(node, 'time')?.value, values.milliseconds),
      },
    ];
  });
  if (accounted.length > 0) missUnprinted(collector, leaf, { startedAt: null });
  if (accounted.some(({ running }) => running)) {
    collector.missMember(`${leaf}.activeMilliseconds`, missing('not-observable', 'the process still runs'));
  }
  collector.put(leaf, group.line, { value: accounted });
}

/** What neither form prints of a MIG device. */
export const unprintedOfMigDevice = {
  uuid: null,
  profile: null,
  gpuSliceCount: null,
  computeSliceCount: null,
  placementStart: null,
  placementSize: null,
} as const;

const migPaths = {
  xml: {
    memory: ['fb_memory_usage'],
    gpuInstance: 'gpu_instance_id',
    computeInstance: 'compute_instance_id',
    multiprocessors: 'device_attributes/shared/multiprocessor_count',
  },
  text: {
    memory: ['shared fb memory usage', 'fb memory usage'],
    gpuInstance: 'gpu instance id',
    computeInstance: 'compute instance id',
    multiprocessors: 'device attributes/shared/multiprocessor count',
  },
} as const;

function readMigDevices(gpu: SmiNode, form: Form, collector: GpuCollector, unread: UnreadParts): void {
  const leaf = 'mig.devices';
  const group = form === 'xml' ? child(gpu, 'mig_devices') : child(gpu, 'mig devices');
  const nodes =
    form === 'xml'
      ? (group?.children ?? []).filter(({ name }) => name === 'mig_device')
      : gpu.children.filter(({ name }) => name === 'mig device');
  const line = nodes[0]?.line ?? group?.line ?? findNode(gpu, pathOf('MIG Mode'))?.line;
  if (line === undefined) return;
  if (nodes.length === 0) {
    const said = group?.value ?? undefined;
    const mode = collector.value('mig.enabled');
    if (mode === false) collector.put(leaf, line, { value: [] });
    // `None` is printed for products without MIG too: there it is no list that happens to be empty.
    else if (mode === undefined || (said !== undefined && absenceOf(said) !== undefined)) {
      collector.put(leaf, line, missing('unsupported', 'nvidia-smi printed no MIG mode'));
    } else if (said?.toLowerCase() === 'none' || said === '') collector.put(leaf, line, { value: [] });
    else collector.put(leaf, line, missing('not-observable', 'nvidia-smi printed no MIG devices'));
    return;
  }
  if (nodes.length > limits.migDevices) {
    unread.add(line, 'MIG devices', `more than ${limits.migDevices} of one GPU: the first are kept`);
  }
  const take = memberTaker(collector, leaf);
  const names = migPaths[form];
  const devices = nodes.slice(0, limits.migDevices).flatMap((node): MigDevice[] => {
    const text = (path: string) => findNode(node, pathOf(path))?.value;
    const index = values.count(text('index') ?? '').value;
    if (index === null) {
      unread.addOnce(node.line, 'a MIG device', 'it has no index');
      return [];
    }
    const memory = node.children.find(({ name }) => (names.memory as readonly string[]).includes(name));
    const memoryText = (name: string) => memory && child(memory, name)?.value;
    return [
      {
        index,
        gpuInstanceId: take('gpuInstanceId', text(names.gpuInstance), values.count),
        computeInstanceId: take('computeInstanceId', text(names.computeInstance), values.count),
        memoryTotalBytes: take('memoryTotalBytes', memoryText('total'), values.bytes),
        memoryUsedBytes: take('memoryUsedBytes', memoryText('used'), values.bytes),
        multiprocessorCount: take('multiprocessorCount', text(names.multiprocessors), values.count),
        ...unprintedOfMigDevice,
      },
    ];
  });
  if (devices.length > 0) missUnprinted(collector, leaf, unprintedOfMigDevice);
  collector.put(leaf, line, { value: devices });
}

/** After the table, because whether MIG is on decides what an empty list means. */
export function readLists(gpu: SmiNode, form: Form, collector: GpuCollector, unread: UnreadParts): void {
  readMigDevices(gpu, form, collector, unread);
  readProcesses(gpu, form, collector, unread);
  if (form === 'xml') readAccounted(gpu, collector, unread);
}
