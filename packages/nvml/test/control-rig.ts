import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { GpuControl } from '@k8s-gpu-mcp/core';
import { createNvmlControl, type NvmlControlOptions } from '../src/control/control.ts';

const isRoot = process.getuid?.() === 0;
/** Only root can make a program that passes for the vendor's. */
const trustedParent = isRoot && isRootOnly(homedir()) ? homedir() : undefined;
export const canMakeTrustedTool = trustedParent !== undefined;
export const skipReason = 'needs root, and a home directory that only root can write';

function isRootOnly(path: string): boolean {
  const { uid, mode } = lstatSync(path);
  if (uid !== 0 || (mode & 0o022) !== 0) return false;
  return dirname(path) === path || isRootOnly(dirname(path));
}

export interface FakeProc {
  readonly capEff?: string;
  readonly uidMap?: string;
}

export type ControlRig = ReturnType<typeof createControlRig>;

/** A machine of files: a tool that writes down how it was called, a /proc in which this process is 100, a /sys and a /run. */
export function createControlRig() {
  const directory = mkdtempSync(join(trustedParent ?? tmpdir(), 'gpu-control-'));

  /** Writes a file and the directories above it. */
  function put(path: string, text: string, mode = 0o644): string {
    const full = join(directory, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    chmodSync(full, mode);
    return full;
  }

  function fakeTool(script = 'echo reset; exit 0', path = 'bin/nvidia-smi'): string {
    const record = [
      '#!/bin/sh',
      `cat /proc/$$/cmdline > ${directory}/cmdline`,
      `cat /proc/$$/environ > ${directory}/environ`,
      `pwd > ${directory}/cwd`,
      `echo "$*" >> ${directory}/calls`,
      script,
    ];
    return put(path, `${record.join('\n')}\n`, 0o755);
  }

  function addProcess(pid: number, parent: number, files: readonly string[]): void {
    put(`proc/${pid}/stat`, `${pid} (a) (b c) S ${parent} 1 1 0 -1`);
    mkdirSync(join(directory, `proc/${pid}/fd`), { recursive: true });
    for (const [fd, target] of files.entries()) symlinkSync(target, join(directory, `proc/${pid}/fd/${fd}`));
  }

  /** By default this process has every capability, in the initial user namespace. */
  function fakeProc(changes: FakeProc = {}): string {
    const { capEff = '000001ffffffffff', uidMap = '         0          0 4294967295\n' } = changes;
    put('proc/100/status', `Name:\tnode\nCapPrm:\t0000000000000000\nCapEff:\t${capEff}\n`);
    put('proc/100/uid_map', uidMap);
    addProcess(100, 1, ['/dev/nvidiactl', '/dev/nvidia3']);
    symlinkSync('100', join(directory, 'proc/self'));
    return join(directory, 'proc');
  }

  function control(options: Partial<NvmlControlOptions> = {}): GpuControl {
    put('sys/bus/pci/rescan', '');
    return createNvmlControl({
      clients: [{ suspend: async () => () => {} }],
      procRoot: existsSync(join(directory, 'proc')) ? join(directory, 'proc') : fakeProc(),
      sysRoot: join(directory, 'sys'),
      runRoot: join(directory, 'run'),
      smiCandidates: [join(directory, 'bin/nvidia-smi')],
      ...options,
    });
  }

  const text = (file: string) =>
    existsSync(join(directory, file)) ? readFileSync(join(directory, file), 'utf8') : '';
  return {
    directory,
    put,
    fakeTool,
    addProcess,
    fakeProc,
    control,
    /** Parts of a file that are ended by NUL. */
    strings: (file: string) => text(file).split('\0').filter(Boolean),
    /** The arguments of every call of the tool. */
    calls: () => text('calls').split('\n').filter(Boolean),
    dispose: () => rmSync(directory, { recursive: true, force: true }),
  };
}
