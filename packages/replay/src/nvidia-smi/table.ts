import {
  formatPciAddress,
  type GpuProcess,
  type MigDevice,
  parsePciAddress,
  pciDeviceKey,
} from '@k8s-gpu-mcp/core';
import type { SmiCapture } from '../recording.ts';
import { limits, type SmiSource, type UnreachableGpu, UnreadParts } from './document.ts';
import { placeUnreachable, readUnreachable } from './failure.ts';
import { GpuCollector } from './gpu-collector.ts';
import {
  memberTaker,
  missUnprinted,
  processKinds,
  unprintedOfMigDevice,
  unprintedOfProcess,
} from './lists.ts';
import { halves, onOrOff, readEccCell, readSecondLine, readThirdLine, tableBytes } from './table-cells.ts';
import * as values from './values.ts';
import { timeOf, versionOf } from './values.ts';

/*
 * The table that `nvidia-smi` prints without arguments. Three lines for each GPU (two before R450), in three columns:
 *
 *     |   0  NVIDIA H200                    On  |   00000000:83:00.0 Off |                   On |
 *     | N/A   36C    P0            295W /  700W |   16959MiB / 143771MiB |     N/A      Default |
 *     |                                         |                        |              Enabled |
 */

/** Wider than any of these tables; what is longer is no line of one. */
const widestLine = 400;

interface TableGpu {
  readonly index: number;
  readonly address: string;
  readonly collector: GpuCollector;
  readonly line: number;
  /** Which of its lines was read last. */
  row: number;
  readonly processes: GpuProcess[];
  readonly migDevices: MigDevice[];
}

type Section = 'none' | 'gpus' | 'mig' | 'processes';

/** Reads the plain table. Undefined when the lines hold none. Never throws. */
export function parseSmiTable(lines: readonly string[], source: SmiSource): SmiCapture | undefined {
  const reader = new TableReader(source);
  const count = source.endsMidLine === true ? lines.length - 1 : lines.length;
  for (let position = 0; position < count && !reader.isOver; position += 1) {
    reader.readLine(lines[position] ?? '', source.firstLine + position);
  }
  return reader.capture(source.endsMidLine === true ? source.firstLine + count : undefined);
}

class TableReader {
  readonly #source: SmiSource;
  readonly #unread: UnreadParts;
  readonly #gpus = new Map<number, TableGpu>();
  readonly #unreachable: UnreachableGpu[] = [];
  readonly #keys = new Set<string>();
  #section: Section = 'none';
  #current: TableGpu | undefined;
  #begin: number | undefined;
  #at: string | null = null;
  #driverVersion: string | null = null;
  #computeApiVersion: string | null = null;
  #hasPersistence = true;
  #processesLine: number | undefined;
  #isProcessListWhole = false;
  #migLine: number | undefined;
  #processCount = 0;
  isOver = false;

  constructor(source: SmiSource) {
    this.#source = source;
    this.#unread = new UnreadParts(source.file);
  }

  readLine(full: string, line: number): void {
    const text = full.slice(0, widestLine).trim();
    if (text.startsWith('+')) {
      if (this.#section === 'processes' && this.#processesLine !== undefined) this.#isProcessListWhole = true;
      return;
    }
    if (!text.startsWith('|')) {
      const lost = readUnreachable(text, line);
      if (lost !== undefined && this.#unreachable.length < limits.gpus) this.#unreachable.push(lost);
      else if (this.#begin === undefined) this.#at = timeOf(text) ?? this.#at;
      return;
    }
    if (text.startsWith('| NVIDIA-SMI')) this.#readHead(text, line);
    else if (this.#begin === undefined || text.startsWith('|==')) return;
    else if (text.includes('Bus-Id')) {
      this.#section = 'gpus';
      this.#hasPersistence = text.includes('Persistence-M');
    } else if (text.startsWith('| MIG devices')) {
      this.#section = 'mig';
      this.#migLine = line;
    } else if (text.startsWith('| Processes:')) {
      this.#section = 'processes';
      this.#processesLine = line;
    } else if (this.#section === 'gpus') this.#readGpuLine(text, line);
    else if (this.#section === 'mig') this.#readMigLine(text);
    else if (this.#section === 'processes') this.#readProcessLine(text, line);
  }

  #readHead(text: string, line: number): void {
    if (this.#begin !== undefined) {
      this.#unread.add(line, 'another table', 'only the first one of a text is read');
      this.isOver = true;
      return;
    }
    this.#begin = line;
    const after = (names: readonly string[]) => {
      const name = names.find((candidate) => text.includes(candidate));
      return name === undefined ? null : versionOf(text.slice(text.indexOf(name) + name.length).trimStart());
    };
    this.#driverVersion = after(['KMD Version:', 'Driver Version:']);
    this.#computeApiVersion = after(['CUDA UMD Version:', 'CUDA Version:']);
  }

  #readGpuLine(text: string, line: number): void {
    const [left = '', middle = '', right = ''] = text
      .split('|')
      .slice(1)
      .map((cell) => cell.trim());
    const start = /^(\d{1,3}) {1,4}(\S.{0,120})$/.exec(left);
    const address = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/i.exec(middle)?.[0];
    if (start !== null && address !== undefined) {
      this.#startGpu(Number(start[1]), start[2] ?? '', address, right, line);
      return;
    }
    const gpu = this.#current;
    if (gpu === undefined) return;
    gpu.row += 1;
    if (gpu.row === 2) readSecondLine(gpu.collector, left, middle, right, line);
    else if (gpu.row === 3) readThirdLine(gpu.collector, right, line);
  }

  #startGpu(index: number, left: string, address: string, ecc: string, line: number): void {
    this.#current = undefined;
    const key = pciDeviceKey(address) ?? '';
    if (this.#gpus.has(index) || this.#keys.has(key)) {
      this.#unread.add(line, 'a GPU', 'it was printed before in this table: the first time is kept');
      return;
    }
    if (this.#gpus.size >= limits.gpus) {
      this.#unread.addOnce(line, 'GPUs', `more than ${limits.gpus} of them`);
      return;
    }
    this.#keys.add(key);
    const collector = new GpuCollector(this.#source.file);
    const gpu = { index, address, collector, line, row: 1, processes: [], migDevices: [] };
    this.#gpus.set(index, gpu);
    this.#current = gpu;
    // The last word is the column beside the name.
    const space = left.lastIndexOf(' ');
    collector.print(
      'identity.name',
      line,
      space === -1 ? left : left.slice(0, space).trimEnd(),
      values.productName,
    );
    if (this.#hasPersistence && space !== -1) {
      collector.print('identity.persistenceModeEnabled', line, left.slice(space + 1), onOrOff);
    }
    readEccCell(collector, ecc, line);
  }

  #readMigLine(text: string): void {
    const cells = text
      .split('|')
      .slice(1)
      .map((cell) => cell.trim());
    const ids = /^(\d{1,3}) +(\d{1,3}) +(\d{1,3}) +(\d{1,3})$/.exec(cells[0] ?? '');
    const gpu = this.#gpus.get(Number(ids?.[1] ?? Number.NaN));
    if (ids === null || gpu === undefined || gpu.migDevices.length >= limits.migDevices) return;
    const take = memberTaker(gpu.collector, 'mig.devices');
    const [used, total] = halves(cells[1] ?? '');
    gpu.migDevices.push({
      index: Number(ids[4]),
      gpuInstanceId: Number(ids[2]),
      computeInstanceId: Number(ids[3]),
      memoryTotalBytes: take('memoryTotalBytes', total, tableBytes),
      memoryUsedBytes: take('memoryUsedBytes', used, tableBytes),
      multiprocessorCount: take('multiprocessorCount', (cells[2] ?? '').split(' ')[0], values.count),
      ...unprintedOfMigDevice,
    });
  }

  #readProcessLine(text: string, line: number): void {
    // The columns end before the name, which may hold anything; the memory is the last word.
    const cell = text.slice(1, text.endsWith('|') ? -1 : undefined).trim();
    const words = cell.split(' ').filter((word) => word !== '');
    const [index = '', ...rest] = words;
    const gpu = /^\d{1,3}$/.test(index) ? this.#gpus.get(Number(index)) : undefined;
    if (gpu === undefined) return;
    // Before R450 there were no instances.
    const typeAt = rest.findIndex((word) => processKinds(word).length > 0);
    const pid = values.count(rest[typeAt - 1] ?? '').value;
    if (pid === null || typeAt > 3) {
      this.#unread.addOnce(line, 'a process', 'it has no process id');
      return;
    }
    this.#processCount += 1;
    if (this.#processCount > limits.processes) {
      this.#unread.addOnce(line, 'processes', `more than ${limits.processes}: the first are kept`);
      return;
    }
    const take = memberTaker(gpu.collector, 'processes.running');
    gpu.processes.push({
      pid,
      kinds: processKinds(rest[typeAt]),
      memoryUsedBytes: take('memoryUsedBytes', rest.at(-1), tableBytes),
      gpuInstanceId: take('gpuInstanceId', typeAt === 3 ? rest[0] : 'N/A', values.count),
      computeInstanceId: take('computeInstanceId', typeAt === 3 ? rest[1] : 'N/A', values.count),
      ...unprintedOfProcess,
    });
  }

  capture(cutAt: number | undefined): SmiCapture | undefined {
    const { file } = this.#source;
    const begin = this.#begin ?? this.#unreachable[0]?.line;
    if (begin === undefined) return undefined;
    if (cutAt !== undefined) {
      this.#unread.add(cutAt, 'the last line', 'the file ends without a line end: it may be half of one');
    }
    if (this.#processesLine !== undefined && !this.#isProcessListWhole) {
      this.#unread.add(this.#processesLine, 'the list of processes', 'the table ends inside of it');
    }
    const gpus = [...this.#gpus.values()].map((gpu) => {
      this.#finishLists(gpu);
      return gpu.collector.gpu(gpu.index, formatted(gpu.address));
    });
    return {
      file,
      line: begin,
      format: 'nvidia-smi',
      at: this.#at,
      driverVersion: this.#driverVersion,
      computeApiVersion: this.#computeApiVersion,
      attachedGpuCount: null,
      gpus: [...gpus, ...placeUnreachable(this.#unreachable, [...this.#gpus.keys()], file)],
      unread: this.#unread.list,
    };
  }

  /** Lists that go over all GPUs: one that is not in a whole list has none. */
  #finishLists({ collector, processes, migDevices, line }: TableGpu): void {
    if (this.#processesLine !== undefined && this.#isProcessListWhole) {
      if (processes.length > 0) missUnprinted(collector, 'processes.running', unprintedOfProcess);
      collector.put('processes.running', this.#processesLine, { value: processes });
    } else collector.forgetMembers('processes.running');
    const isMigOn = collector.value('mig.enabled');
    if (migDevices.length > 0) {
      missUnprinted(collector, 'mig.devices', unprintedOfMigDevice);
      collector.put('mig.devices', this.#migLine ?? line, { value: migDevices });
    } else if (isMigOn === false) collector.put('mig.devices', line, { value: [] });
  }
}

const formatted = (address: string) => {
  const pci = parsePciAddress(address);
  return pci === undefined ? null : formatPciAddress(pci);
};
