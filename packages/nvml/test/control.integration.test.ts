import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type GpuRef, isGpuError } from '@k8s-gpu-mcp/core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NvmlControlOptions } from '../src/control/control.ts';
import { trustedProgram } from '../src/control/trusted-file.ts';
import { type ControlRig, canMakeTrustedTool, createControlRig, skipReason } from './control-rig.ts';

const gpu: GpuRef = {
  index: 3,
  uuid: 'GPU-a91c7d04-2f58-4e6b-8c13-7be5d4f09a21',
  pciAddress: '0000:5d:00.0',
  name: 'NVIDIA H100 80GB HBM3',
};
const other: GpuRef = {
  ...gpu,
  index: 5,
  uuid: 'GPU-5f3a0e52-6c1d-4b7e-9a44-0d9f7c3b1e10',
  pciAddress: null,
};

let rig: ControlRig;
let directory: string;
beforeEach(() => {
  rig = createControlRig();
  directory = rig.directory;
});
afterEach(() => rig.dispose());
const put: ControlRig['put'] = (...args) => rig.put(...args);
const fakeTool: ControlRig['fakeTool'] = (...args) => rig.fakeTool(...args);
const fakeProc: ControlRig['fakeProc'] = (...args) => rig.fakeProc(...args);
const addProcess: ControlRig['addProcess'] = (...args) => rig.addProcess(...args);
const control: ControlRig['control'] = (...args) => rig.control(...args);
const strings: ControlRig['strings'] = (...args) => rig.strings(...args);
const ran = () => rig.calls().length > 0;

const signal = () => AbortSignal.timeout(20_000);
const requirement = async (name: string, options: Partial<NvmlControlOptions> = {}) => {
  const { requirements } = await control(options).checkReset([gpu], signal());
  return requirements.find((each) => each.name === name);
};

/** The code of the GpuError a call ends with. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
  if (!isGpuError(error)) throw new Error(`no GpuError: ${String(error)}`);
  return error.code;
}

describe.skipIf(!canMakeTrustedTool)(`reset (${skipReason})`, () => {
  test('runs the tool with fixed arguments, next to no environment, outside of any directory of ours', async () => {
    fakeTool();
    process.env['NVIDIA_SECRET_OF_OURS'] = 'x';
    const outcome = await control().reset([gpu, other]);
    delete process.env['NVIDIA_SECRET_OF_OURS'];
    expect(outcome).toEqual({ succeeded: true, exitCode: 0, output: 'reset\n' });
    // The first two are the interpreter and the script.
    expect(strings('cmdline').slice(1)).toEqual([
      realpathSync(join(directory, 'bin/nvidia-smi')),
      '--gpu-reset',
      '-i',
      `0000:5d:00.0,${other.uuid}`,
    ]);
    expect(strings('environ').sort()).toEqual(['LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin']);
    expect(readFileSync(join(directory, 'cwd'), 'utf8')).toBe('/\n');
  });

  test('a driver root of its own brings its libraries, if only root can change them', async () => {
    fakeTool();
    mkdirSync(join(directory, 'lib64'));
    await control().reset([gpu]);
    expect(strings('environ')).toContain(`LD_LIBRARY_PATH=${realpathSync(join(directory, 'lib64'))}`);
    chmodSync(join(directory, 'lib64'), 0o777);
    await control().reset([gpu]);
    expect(strings('environ').join()).not.toContain('LD_LIBRARY_PATH');
  });

  test('lets go of its own handles first, and takes them again afterwards', async () => {
    fakeTool(`test -e ${directory}/closed && echo closed-first`);
    const order: string[] = [];
    const client = (name: string) => ({
      suspend: async () => {
        put('closed', '');
        order.push(`${name} gone`);
        return () => void order.push(`${name} back, ${ran() ? 'after' : 'before'} the tool`);
      },
    });
    const made = control({ clients: [client('provider'), client('events')] });
    expect(await made.reset([gpu])).toMatchObject({ output: 'closed-first\n' });
    await Promise.resolve();
    expect(order).toEqual([
      'provider gone',
      'events gone',
      'provider back, after the tool',
      'events back, after the tool',
    ]);
  });

  test('a client that leaves does not stay away because another one did not leave', async () => {
    fakeTool();
    let isBack = false;
    const leaves = {
      suspend: async () => () => {
        isBack = true;
      },
    };
    const stays = { suspend: () => Promise.reject(new Error('stuck')) };
    expect(await codeOf(control({ clients: [leaves, stays] }).reset([gpu]))).toBe('UNAVAILABLE');
    await Promise.resolve();
    expect(isBack).toBe(true);
    expect(ran()).toBe(false);
  });

  test.each([
    ['does not close', () => Promise.reject(new Error('stuck'))],
    ['hangs', () => new Promise<() => void>(() => {})],
  ])('does not run when the provider %s', async (_, suspend) => {
    fakeTool();
    const made = control({ clients: [{ suspend }], closeDeadlineMilliseconds: 50 });
    expect(await codeOf(made.reset([gpu]))).toBe('UNAVAILABLE');
    expect(ran()).toBe(false);
    // And it can be tried again.
    expect(await codeOf(made.reset([gpu]))).toBe('UNAVAILABLE');
  });

  // 255: in use by another client.
  test.each([255, 3, 1])('exit code %d is a failure, with what the tool said', async (exitCode) => {
    fakeTool(`echo to-stdout; echo to-stderr >&2; exit ${exitCode}`);
    const outcome = await control().reset([gpu]);
    expect(outcome).toMatchObject({ succeeded: false, exitCode });
    expect(outcome.output).toContain('to-stdout');
    expect(outcome.output).toContain('to-stderr');
  });

  test('a tool ended by a signal has no exit code', async () => {
    fakeTool('kill -9 $$');
    expect(await control().reset([gpu])).toMatchObject({ succeeded: false, exitCode: null });
  });

  test('output is capped at 16 KiB', async () => {
    fakeTool('head -c 1000000 /dev/zero | tr "\\0" x');
    const { output, succeeded } = await control().reset([gpu]);
    expect([output.length, succeeded]).toEqual([16_384, true]);
  });

  test('a tool that does not end is ended, and the error says that the state is uncertain', async () => {
    fakeTool(`echo $$ > ${directory}/pid; exec sleep 600`);
    const call = control({ resetDeadlineMilliseconds: 500 }).reset([gpu]);
    await expect(call).rejects.toMatchObject({ code: 'TIMEOUT', hint: expect.stringContaining('uncertain') });
    const pid = readFileSync(join(directory, 'pid'), 'utf8').trim();
    const isRunning = () =>
      existsSync(`/proc/${pid}`) && !/State:\s+Z/.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    await expect.poll(isRunning, { timeout: 5_000 }).toBe(false);
  });

  test('one reset at a time', async () => {
    fakeTool(`while ! test -e ${directory}/go; do :; done`);
    const made = control();
    const first = made.reset([gpu]);
    await expect.poll(ran, { timeout: 5_000 }).toBe(true);
    expect(await codeOf(made.reset([gpu]))).toBe('UNAVAILABLE');
    put('go', '');
    expect(await first).toMatchObject({ succeeded: true });
  });

  test('nothing but an address or a UUID reaches the command line', async () => {
    fakeTool();
    for (const pciAddress of ['0000:5d:00.0,0000:9a:00.0', '-r', '$(reboot)', '0000:5D:00.0 ', ''])
      expect(await codeOf(control().reset([{ ...gpu, pciAddress, uuid: '--all' }]))).toBe('NOT_SUPPORTED');
    expect(await codeOf(control().reset([]))).toBe('INVALID_INPUT');
    expect(ran()).toBe(false);
  });

  test('is not found on PATH, nor by a relative path', async () => {
    const planted = dirname(fakeTool('exit 0', 'path/nvidia-smi'));
    const path = process.env['PATH'];
    process.env['PATH'] = `${planted}:${path}`;
    try {
      for (const smiCandidates of [['nvidia-smi'], ['./nvidia-smi', 'path/nvidia-smi'], []])
        expect(await codeOf(control({ smiCandidates }).reset([gpu]))).toBe('UNAVAILABLE');
    } finally {
      process.env['PATH'] = path;
    }
    expect(ran()).toBe(false);
  });

  test('without CAP_SYS_ADMIN it is not even tried', async () => {
    fakeTool();
    fakeProc({ capEff: '00000000a80425fb' });
    expect(await codeOf(control().reset([gpu]))).toBe('NO_PERMISSION');
    expect(ran()).toBe(false);
  });
});

/** Programs that somebody other than root could have put there or could change. */
const hostile: readonly (readonly [string, () => string])[] = [
  ['a file that everybody can write', () => writable(fakeTool())],
  ['a file that its group can write', () => writable(fakeTool(), 0o775)],
  [
    'a directory that everybody can write',
    () => {
      const tool = fakeTool();
      writable(dirname(tool));
      return tool;
    },
  ],
  [
    'a sticky directory: others can still put a file there first',
    () => {
      const tool = fakeTool();
      writable(dirname(tool), 0o1777);
      return tool;
    },
  ],
  [
    'a link to a file that everybody can write',
    () => link(writable(fakeTool('exit 0', 'loose/nvidia-smi')), 'bin/nvidia-smi'),
  ],
  [
    'a link that leads through a directory that everybody can write',
    () => {
      const tool = fakeTool('exit 0', 'real/nvidia-smi');
      writable(put('loose/file', '').replace(/\/file$/, ''));
      return link(link(tool, 'loose/nvidia-smi'), 'bin/nvidia-smi');
    },
  ],
  [
    'a file of another user',
    () => {
      const tool = fakeTool();
      chownSync(tool, 65_534, 65_534);
      return tool;
    },
  ],
];

function writable(path: string, mode = 0o777): string {
  chmodSync(path, mode);
  return path;
}

function link(target: string, path: string): string {
  const full = join(directory, path);
  mkdirSync(dirname(full), { recursive: true });
  symlinkSync(target, full);
  return full;
}

describe.skipIf(!canMakeTrustedTool)(`which tool is trusted (${skipReason})`, () => {
  test.each(hostile)('not %s', async (_, make) => {
    const tool = make();
    expect(await trustedProgram(tool)).toMatchObject({ refusal: expect.stringContaining(directory) });
    expect(await requirement('nvidia-smi', { smiCandidates: [tool] })).toMatchObject({ met: false });
    expect(await codeOf(control({ smiCandidates: [tool] }).reset([gpu]))).toBe('UNAVAILABLE');
    expect(ran()).toBe(false);
  });

  test('planted fault: a check of the file alone would take what the links and directories give away', async () => {
    const naive = (path: string) => statSync(path).uid === 0 && (statSync(path).mode & 0o022) === 0;
    const takenIn: string[] = [];
    for (const [what, make] of hostile) {
      rmSync(directory, { recursive: true });
      mkdirSync(directory);
      if (naive(make())) takenIn.push(what);
    }
    expect(takenIn).toHaveLength(3);
  });

  test.each([
    ['nothing there', () => join(directory, 'bin/nvidia-smi')],
    ['a directory', () => dirname(put('bin/nvidia-smi/file', ''))],
    ['no program', () => put('bin/nvidia-smi', 'text')],
    ['a link in a circle', () => link(join(directory, 'bin/nvidia-smi'), 'bin/nvidia-smi')],
  ])('nor %s', async (_, make) => {
    expect(await trustedProgram(make())).toHaveProperty('refusal');
  });

  test("root's own link to root's own program, by the path without links", async () => {
    const tool = fakeTool('exit 0', 'real/nvidia-smi');
    expect(await trustedProgram(link(tool, 'bin/nvidia-smi'))).toEqual({ path: realpathSync(tool) });
  });

  test('the first trusted candidate is taken, and the requirement names it', async () => {
    const tool = fakeTool('exit 0', 'second/nvidia-smi');
    const smiCandidates = [join(directory, 'missing'), writable(put('first/nvidia-smi', '#!/bin/sh')), tool];
    expect(await requirement('nvidia-smi', { smiCandidates })).toMatchObject({
      met: true,
      detail: expect.stringContaining(realpathSync(tool)),
    });
  });
});

describe('privileges', () => {
  // Bit 21 is CAP_SYS_ADMIN: 0x200000. The second is the default of containers.
  test.each([
    ['0000000000200000', true],
    ['00000000a80425fb', false],
    ['000001ffffdfffff', false],
    ['no mask', null],
  ])('CapEff %s: %j', async (capEff, met) => {
    fakeProc({ capEff });
    expect(await requirement('CAP_SYS_ADMIN')).toMatchObject({ met });
  });

  test.each([
    ['         0          0 4294967295\n', true],
    ['         0     100000      65536\n', false],
    ['         0          0      65536\n', false],
  ])('uid_map %j: %j', async (uidMap, met) => {
    fakeProc({ uidMap });
    expect(await requirement('initial user namespace')).toMatchObject({ met });
  });

  test('what cannot be read is unknown, not missing', async () => {
    const procRoot = join(directory, 'no-proc');
    for (const name of ['CAP_SYS_ADMIN', 'initial user namespace'])
      expect(await requirement(name, { procRoot })).toMatchObject({ met: null });
    expect(await requirement('writable /sys', { sysRoot: join(directory, 'no-sys') })).toMatchObject({
      met: null,
    });
    expect(await requirement('persistence daemon in reach')).toMatchObject({ met: null });
  });

  test('/sys that can be written, and the socket of the daemon', async () => {
    put('run/nvidia-persistenced/socket', '');
    expect(await requirement('writable /sys')).toMatchObject({ met: true });
    expect(await requirement('persistence daemon in reach')).toMatchObject({ met: true });
  });
});

describe('holders', () => {
  const holdersOf = async (gpus: readonly GpuRef[], options: Partial<NvmlControlOptions> = {}) =>
    (await control(options).checkReset(gpus, signal())).holders;
  // Source: open-gpu-kernel-modules, /proc/driver/nvidia/gpus/ADDRESS/information.
  const information = 'Model: \t\t NVIDIA H100\nBus Location: \t 0000:5d:00.0\nDevice Minor: \t 3\n';

  beforeEach(() => {
    fakeProc();
    addProcess(101, 100, ['/dev/nvidia3']);
    addProcess(102, 101, ['/dev/nvidia3']);
    addProcess(200, 1, ['/dev/null', '/dev/nvidia3', '/dev/nvidia3', '/dev/nvidiactl', 'socket:[1]']);
    addProcess(201, 1, ['/dev/nvidia5', '/dev/nvidia-uvm']);
    addProcess(202, 1, ['/dev/nvidia33', '/home/nvidia/notes']);
    // As a container's mount of the device file shows from outside.
    addProcess(203, 1, ['/nvidia3']);
    put('proc/driver/nvidia/gpus/0000:5d:00.0/information', information);
  });

  test('those of this GPU and of the driver; not our own children, nor those of other GPUs', async () => {
    expect(await holdersOf([gpu])).toEqual([
      { pid: 200, path: '/dev/nvidia3' },
      { pid: 200, path: '/dev/nvidiactl' },
      { pid: 201, path: '/dev/nvidia-uvm' },
      { pid: 203, path: '/nvidia3' },
    ]);
  });

  test('of a GPU whose device number is unknown every one counts', async () => {
    const pids = (await holdersOf([{ ...gpu, pciAddress: '0000:9a:00.0' }]))?.map(({ pid }) => pid);
    expect([...new Set(pids)]).toEqual([200, 201, 202, 203]);
  });

  test('a process that may not be looked into: nobody can be said not to hold it', async () => {
    put('proc/300/stat', '300 (x) S 1 1');
    // Root reads everything, so a file stands where the directory should be.
    put('proc/300/fd', '');
    expect(await holdersOf([gpu])).toBeNull();
    expect(await requirement('sight of every process')).toEqual({
      name: 'sight of every process',
      met: null,
      detail: 'the open files of process 300 could not be read: ENOTDIR',
    });
  });

  test('one that ended meanwhile is passed over', async () => {
    put('proc/301/stat', '301 (x) S 1 1');
    expect(await holdersOf([gpu])).toHaveLength(4);
  });

  test.each(['no /proc', 'no self'])('%s: unknown', async (what) => {
    if (what === 'no self') rmSync(join(directory, 'proc/self'));
    const procRoot = what === 'no self' ? join(directory, 'proc') : join(directory, 'nowhere');
    expect(await holdersOf([gpu], { procRoot })).toBeNull();
  });

  test('a check that is cut off says so', async () => {
    expect(await codeOf(control().checkReset([gpu], AbortSignal.abort()))).toBe('TIMEOUT');
  });

  test('of real processes: a stranger is found, we and our children are not', async () => {
    const file = put('device/nvidia3', '');
    const fd = openSync(file, 'r');
    const child = spawn('/bin/sleep', ['600'], { stdio: [fd, 'ignore', 'ignore'] });
    // Its parent ends at once, so it is nobody's child of ours.
    const script = `sleep 600 < ${file} > /dev/null 2>&1 & echo $!`;
    const pid = Number(spawnSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).stdout);
    // The real entries of these three only: others of the machine may not be readable.
    const procRoot = join(directory, 'real');
    mkdirSync(procRoot);
    for (const each of [process.pid, child.pid, pid])
      symlinkSync(`/proc/${each}`, join(procRoot, String(each)));
    symlinkSync(String(process.pid), join(procRoot, 'self'));
    try {
      expect(await holdersOf([{ ...gpu, pciAddress: null }], { procRoot })).toEqual([
        { pid, path: realpathSync(file) },
      ]);
    } finally {
      process.kill(pid, 'SIGKILL');
      child.kill('SIGKILL');
      closeSync(fd);
    }
  });
});
