import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type GpuRef, gpuSections, isGpuError } from '@k8s-gpu-mcp/core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createNvmlProvider, type NvmlProvider, type NvmlProviderOptions } from '../src/index.ts';
import {
  compile,
  compileFakeLibrary,
  configText,
  createRig,
  ensureBuilt,
  helperPids,
  type NodeConfig,
  noCompiler,
  type Rig,
  until,
} from './fake/rig.ts';

let rig: Rig;
const open = (config: NodeConfig = {}, options: NvmlProviderOptions = {}): NvmlProvider => {
  const made = createRig(config, {
    stallMilliseconds: 400,
    hungAfterMilliseconds: 400,
    identityMilliseconds: 0,
    ...options,
  });
  rig = made;
  return made.provider;
};
afterEach(async () => {
  await rig?.dispose();
  expect(helperPids()).toEqual([]);
});

const deadline = () => AbortSignal.timeout(20_000);
const four = [{}, {}, {}, {}];
const temperature = 'nvmlDeviceGetTemperatureV';

async function gpusOf(provider: Rig['provider']): Promise<readonly GpuRef[]> {
  return (await provider.describeNode(deadline())).gpus;
}

/** Empty for the one that was open only to list them. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

/** How a promise ended, and after how many milliseconds. */
async function outcome(promise: Promise<unknown>) {
  const began = performance.now();
  const ended = await promise.then(
    () => ({ code: 'answered', message: '', gpuId: undefined as string | undefined }),
    (error: unknown) => {
      if (!isGpuError(error)) throw error;
      return { code: error.code, message: error.message, gpuId: error.gpuId };
    },
  );
  return { ...ended, milliseconds: performance.now() - began };
}

describe.skipIf(noCompiler !== undefined)('a driver that is slow', () => {
  // Each of some sixty calls takes 50 ms: a read takes seconds, but never stands still for half a second between two sections.
  const slow: NodeConfig = { gpus: four, faults: ['mode * * slow:50'] };

  it('is not called hung when the caller does not wait for it', async () => {
    const provider = open(slow, { hungAfterMilliseconds: 1_500, identityMilliseconds: 60_000 });
    const [gpu] = await gpusOf(provider);
    if (!gpu) throw new Error('no GPU');
    const read = await outcome(provider.readGpu(gpu, gpuSections, AbortSignal.timeout(1_000)));
    expect(read.code).toBe('TIMEOUT');
  });

  it('lists what it could identify in time, and goes on from there at the next call', async () => {
    const provider = open(slow, { hungAfterMilliseconds: 1_500, identityMilliseconds: 60_000 });
    await gpusOf(provider);
    const known = (gpus: readonly GpuRef[]) => gpus.filter(({ uuid }) => uuid !== null).length;
    // What was identified before is not asked again: this would take far longer than the signal allows.
    const { gpus } = await provider.describeNode(AbortSignal.timeout(1_000));
    expect(known(gpus)).toBe(four.length);
  });

  it('answers with a gap for each GPU that it could not identify in time', async () => {
    // Some four calls of 200 ms to describe the node, and again for each of twelve GPUs.
    const many = { gpus: Array.from({ length: 12 }, () => ({})), faults: ['mode * * slow:200'] };
    const provider = open(many, { hungAfterMilliseconds: 5_000, identityMilliseconds: 60_000 });
    const first = await provider.describeNode(AbortSignal.timeout(4_000));
    expect(first.gpus.map(({ index }) => index)).toEqual(many.gpus.map((_, index) => index));
    const unnamed = first.gpus.filter(({ uuid }) => uuid === null).map(({ index }) => index);
    expect(unnamed.length).toBeGreaterThan(0);
    expect(first.gaps.filter(({ reason }) => reason === 'timeout').map(({ gpu }) => gpu)).toEqual(unnamed);
  });
});

describe.skipIf(noCompiler !== undefined)('a GPU on which the driver hangs', () => {
  it('does not keep a call that comes meanwhile from its siblings', async () => {
    const provider = open(
      { gpus: four, faults: [`mode ${temperature} 1 hang`] },
      { identityMilliseconds: 60_000, hungAfterMilliseconds: 60_000 },
    );
    const gpus = await gpusOf(provider);
    const controller = new AbortController();
    const hung = provider.readGpu(gpus[1] as GpuRef, ['thermal'], controller.signal);
    hung.catch(() => {});
    await until(() => rig.calls(temperature) > 0);
    const again = await gpusOf(provider);
    const samples = await Promise.all(
      [0, 2, 3].map((index) => provider.readGpu(again[index] as GpuRef, ['thermal'], deadline())),
    );
    expect(samples.map((sample) => sample.thermal?.temperatureCelsius)).toEqual([31, 33, 34]);
    controller.abort();
    await expect(hung).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it.each(['hang', 'spin', 'lock'])(
    '%s: siblings are answered before the abort, it is GPU_HUNG, and works again once it is mended',
    async (mode) => {
      const provider = open(
        { gpus: four, faults: [`mode ${temperature} 1 ${mode}`] },
        { readDeadlineMilliseconds: 1_000, readDeadlinePerGpuMilliseconds: 100 },
      );
      const gpus = await gpusOf(provider);
      const controller = new AbortController();
      const reads = gpus.map((gpu) => provider.readGpu(gpu, ['thermal'], controller.signal));
      reads[1]?.catch(() => {});
      const siblings = await Promise.all([reads[0], reads[2], reads[3]]);
      expect(siblings.map((sample) => sample?.thermal?.temperatureCelsius)).toEqual([31, 33, 34]);
      const pids = helperPids();
      expect(pids).toHaveLength(2);

      controller.abort();
      const hung = await outcome(reads[1] as Promise<unknown>);
      expect(hung).toMatchObject({ code: 'GPU_HUNG', gpuId: gpus[1]?.uuid });
      expect(hung.milliseconds).toBeLessThan(250);
      const pid = Number(/helper process (\d+)/.exec(hung.message)?.[1]);
      expect(pids).toContain(pid);
      // Where the kernel tells in which of its functions the process sleeps; one that spins sleeps nowhere.
      const waitChannel = readFileSync(`/proc/${pid}/wchan`, 'utf8').trim();
      if (waitChannel.length > 1) expect(hung.message).toContain(`which sleeps in ${waitChannel}`);
      expect(hung.message).toContain(`GPU 1 (${gpus[1]?.uuid}) does not answer: "read thermal"`);

      const refused = await outcome(provider.readGpu(gpus[1] as GpuRef, ['thermal'], deadline()));
      expect(refused.code).toBe('GPU_HUNG');
      expect(refused.milliseconds).toBeLessThan(250);
      await provider.readGpu(gpus[0] as GpuRef, ['thermal'], deadline());

      await until(() => !helperPids().includes(pid)); // SIGKILL at the hardware deadline
      rig.configure({ gpus: four });
      let mended = 'refused';
      const until5s = Date.now() + 5_000;
      while (mended !== 'answered' && Date.now() < until5s) {
        mended = (await outcome(provider.readGpu(gpus[1] as GpuRef, ['thermal'], deadline()))).code;
        if (mended !== 'answered') expect(mended).toBe('GPU_HUNG');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect(mended).toBe('answered');
    },
  );

  it('is cleared by a late answer, without a new process', async () => {
    const provider = open({ gpus: [{}], faults: [`mode ${temperature} 0 slow:900`] });
    const [gpu] = await gpusOf(provider);
    const controller = new AbortController();
    const late = provider.readGpu(gpu as GpuRef, ['thermal'], controller.signal);
    setTimeout(() => controller.abort(), 500);
    expect((await outcome(late)).code).toBe('GPU_HUNG');
    const before = helperPids();
    rig.configure({ gpus: [{}] });
    await until(() => rig.calls('nvmlDeviceGetMarginTemperature') === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await provider.readGpu(gpu as GpuRef, ['thermal'], deadline());
    expect(helperPids()).toEqual(before);
  });

  it('that hangs when it is opened is listed without details, with a gap, and its siblings are whole', async () => {
    const provider = open({ gpus: four, faults: ['mode nvmlDeviceGetHandleByIndex_v2 2 hang'] });
    const node = await provider.describeNode(deadline());
    expect(node.gpus.map(({ uuid }) => uuid !== null)).toEqual([true, true, false, true]);
    expect(node.gaps).toMatchObject([{ gpu: 2, field: 'identity', reason: 'timeout' }]);
    const results = await Promise.all(
      node.gpus.map((gpu) => outcome(provider.readGpu(gpu, ['memory'], deadline()))),
    );
    expect(results.map(({ code }) => code)).toEqual(['answered', 'answered', 'GPU_HUNG', 'answered']);
  });

  it('keeps its name and UUID from before it hung', async () => {
    const provider = open({ gpus: four });
    const before = await gpusOf(provider);
    rig.configure({ gpus: four, faults: ['mode nvmlDeviceGetHandleByIndex_v2 2 hang'] });
    const node = await provider.describeNode(deadline());
    expect(node.gpus).toEqual(before);
    expect(node.gaps).toMatchObject([{ gpu: 2, reason: 'timeout' }]);
  });

  it('hanging initialisation: TIMEOUT within 250 ms of the abort, then DRIVER_UNRESPONSIVE at once', async () => {
    const provider = open({ faults: ['mode nvmlInit_v2 sys hang'] });
    const controller = new AbortController();
    const first = provider.describeNode(controller.signal);
    first.catch(() => {});
    await until(() => rig.calls('nvmlInit_v2') === 1);
    await new Promise((resolve) => setTimeout(resolve, 700));
    controller.abort();
    const cut = await outcome(first);
    expect(cut.code).toBe('TIMEOUT');
    expect(cut.milliseconds).toBeLessThan(250);
    const next = await outcome(provider.describeNode(deadline()));
    expect(next).toMatchObject({
      code: 'DRIVER_UNRESPONSIVE',
      message: expect.stringContaining('nvmlInit_v2'),
    });
    expect(next.milliseconds).toBeLessThan(250);
    expect(helperPids()).toHaveLength(1);
  });

  it('close resolves within 2.5 s and leaves no process', async () => {
    const provider = open({ gpus: four, faults: [`mode ${temperature} 1 lock`] });
    const gpus = await gpusOf(provider);
    const hung = outcome(provider.readGpu(gpus[1] as GpuRef, ['thermal'], deadline()));
    await until(() => rig.calls(temperature) === 1);
    const closed = await outcome(provider.close());
    expect(closed.milliseconds).toBeLessThan(2_500);
    expect((await hung).code).toBe('CANCELLED');
    expect(helperPids()).toEqual([]);
    expect(await gpusOf(provider)).toHaveLength(4);
  });
});

describe.skipIf(noCompiler !== undefined)('a library that ends its process', () => {
  it.each([
    ['abort', 'SIGABRT'],
    ['segfault', 'SIGSEGV'],
  ])('%s: ADAPTER_CRASHED with %s, siblings answered, the next call works', async (mode, signal) => {
    const provider = open({ gpus: four, faults: [`mode ${temperature} 1 ${mode}`] });
    const gpus = await gpusOf(provider);
    const results = await Promise.all(
      gpus.map((gpu) => outcome(provider.readGpu(gpu, ['thermal'], deadline()))),
    );
    expect(results.map(({ code }) => code)).toEqual(['answered', 'ADAPTER_CRASHED', 'answered', 'answered']);
    expect(results[1]).toMatchObject({ gpuId: gpus[1]?.uuid, message: expect.stringContaining(signal) });
    rig.configure({ gpus: four });
    await provider.readGpu(gpus[1] as GpuRef, ['thermal'], deadline());
  });

  it('crashing initialisation is one error for all who wait, and the next call tries again', async () => {
    const provider = open({ faults: ['mode nvmlInit_v2 sys segfault'] });
    const results = await Promise.all([1, 2, 3].map(() => outcome(provider.describeNode(deadline()))));
    expect(results.map(({ code }) => code)).toEqual(Array(3).fill('ADAPTER_CRASHED'));
    rig.configure({});
    expect(await gpusOf(provider)).toHaveLength(2);
  });

  it('a helper killed from outside in the middle of a call', async () => {
    const provider = open({ faults: [`mode ${temperature} 0 slow:5000`] });
    const gpus = await gpusOf(provider);
    const read = outcome(provider.readGpu(gpus[0] as GpuRef, ['thermal'], deadline()));
    await until(() => rig.calls(temperature) === 1);
    for (const pid of helperPids()) process.kill(pid, 'SIGKILL');
    expect(await read).toMatchObject({
      code: 'ADAPTER_CRASHED',
      message: expect.stringContaining('SIGKILL'),
    });
    await provider.readGpu(gpus[1] as GpuRef, ['thermal'], deadline());
  });

  it('one that prints does not spoil the answers', async () => {
    const provider = open({ faults: ['mode nvmlDeviceGetUUID * noise'] });
    expect(await gpusOf(provider)).toHaveLength(2);
  });
});

describe.skipIf(noCompiler !== undefined)(
  'a GPU on which the driver hangs when another one is asked about it',
  () => {
    const relation = 'nvmlDeviceGetTopologyCommonAncestor';
    // The fake counts such a call as one of the GPU that asks. Another one that cannot be opened is met in the same place.
    const hangsAtTwo: NodeConfig = { gpus: four, faults: ['mode nvmlDeviceGetHandleByIndex_v2 2 hang'] };

    it('is blamed itself; the one that asked has all its readings, and a gap for the relation', async () => {
      const provider = open({ gpus: four }, { identityMilliseconds: 60_000 });
      const gpus = await gpusOf(provider);
      rig.configure(hangsAtTwo);
      const sample = await provider.readGpu(gpus[0] as GpuRef, ['topology', 'memory'], deadline());
      expect(sample.memory?.totalBytes).toBe(85_520_809_984);
      expect(sample.topology?.peers?.map(({ index }) => index)).toEqual([1, 3]);
      expect(sample.gaps).toContainEqual(
        expect.objectContaining({
          gpu: 0,
          field: 'topology.peers',
          reason: 'timeout',
          detail: expect.stringMatching(/^GPU 2/),
        }),
      );
      expect(rig.calls(relation)).toBeGreaterThan(0);
      const refused = await outcome(
        provider.readGpu(gpus[2] as GpuRef, ['memory'], AbortSignal.timeout(1_000)),
      );
      expect(refused).toMatchObject({ code: 'GPU_HUNG', gpuId: gpus[2]?.uuid });
      expect(refused.message).toMatch(/relation to GPU 2/);
      await provider.readGpu(gpus[1] as GpuRef, ['topology'], deadline());
    });
  },
);

describe.skipIf(noCompiler !== undefined)('how long the driver took', () => {
  it('is part of the answer, without the wait for a turn', async () => {
    // The second GPU waits for the first.
    const provider = open({ faults: ['mode nvmlDeviceGetMemoryInfo_v2 * slow:200'] });
    const gpus = await gpusOf(provider);
    const samples = await Promise.all(gpus.map((gpu) => provider.readGpu(gpu, ['memory'], deadline())));
    for (const { probeMilliseconds } of samples) {
      expect(probeMilliseconds).toBeGreaterThanOrEqual(200);
      expect(probeMilliseconds).toBeLessThan(390);
    }
  });
});

describe.skipIf(noCompiler !== undefined)('a library that is replaced while it is in use', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nvml-upgrade-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const install = (generation: 535 | 580) => {
    const path = join(folder, 'libnvidia-ml.so.1');
    writeFileSync(`${path}.new`, readFileSync(compileFakeLibrary(generation)));
    renameSync(`${path}.new`, path);
    return path;
  };

  it('is loaded anew by the next call, in a new process, and the old one shuts down', async () => {
    const provider = open({}, { library: install(535) });
    const gpus = await gpusOf(provider);
    const margin = async () =>
      (await provider.readGpu(gpus[0] as GpuRef, ['thermal'], deadline())).thermal?.marginCelsius;
    expect(await margin()).toBeNull(); // 535 has no such function
    const before = helperPids();
    expect(await margin()).toBeNull();
    expect(helperPids()).toEqual(before);
    install(580);
    expect(await margin()).toBe(56);
    await until(() => rig.calls('nvmlShutdown') === 1);
    expect(helperPids()).not.toEqual(before);
    expect(helperPids()).toHaveLength(1);
  });

  it('that is gone for good is LIBRARY_NOT_FOUND, and answers when it is back', async () => {
    const library = install(580);
    const provider = open({}, { library });
    await gpusOf(provider);
    rmSync(library);
    expect(await outcome(provider.describeNode(deadline()))).toMatchObject({ code: 'LIBRARY_NOT_FOUND' });
    install(580);
    expect(await gpusOf(provider)).toHaveLength(2);
  });

  it('and does not fit the kernel module: DRIVER_MISMATCH with what to do, and an answer once it does', async () => {
    const provider = open({}, { library: install(535) });
    await gpusOf(provider);
    rig.configure({ faults: ['rc nvmlInit_v2 * 18'] });
    install(580);
    expect(await outcome(provider.describeNode(deadline()))).toMatchObject({ code: 'DRIVER_MISMATCH' });
    rig.configure({});
    expect(await gpusOf(provider)).toHaveLength(2);
  });
});

describe.skipIf(noCompiler !== undefined)('life of the helper', () => {
  it('release ends it, cuts off what it does, and the next call opens again', async () => {
    const provider = open({ gpus: four, faults: [`mode ${temperature} 1 hang`] });
    const gpus = await gpusOf(provider);
    const hung = outcome(provider.readGpu(gpus[1] as GpuRef, ['thermal'], deadline()));
    await until(() => rig.calls(temperature) === 1);
    await provider.release();
    expect(helperPids()).toEqual([]);
    expect((await hung).code).toBe('CANCELLED');
    expect(await gpusOf(provider)).toHaveLength(4);
    await provider.release();
    await provider.release();
  });

  it('starts on first use, shuts NVML down when idle, and opens again', async () => {
    const provider = open({}, { idleExitMilliseconds: 200 });
    expect(helperPids()).toEqual([]);
    await gpusOf(provider);
    expect(helperPids()).toHaveLength(1);
    await until(() => helperPids().length === 0);
    expect([rig.calls('nvmlInit_v2'), rig.calls('nvmlShutdown')]).toEqual([1, 1]);
    await gpusOf(provider);
    expect(rig.calls('nvmlInit_v2')).toBe(2);
  });

  it('leaves nothing behind in its parent when it goes: no pipe, no shared file', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').map(linkOf);
    const notes = () => descriptors().filter((link) => link.includes('nvml-helper-'));
    const sockets = () => descriptors().filter((link) => link.startsWith('socket:'));
    const provider = open({ gpus: four }, { idleExitMilliseconds: 200 });
    const before = sockets().length;
    for (let time = 0; time < 2; time += 1) {
      const gpus = await gpusOf(provider);
      await Promise.all(gpus.map((gpu) => provider.readGpu(gpu, ['memory'], deadline())));
      // While it is there, both are seen.
      expect(notes()).toHaveLength(1);
      expect(sockets()).toHaveLength(before + 2);
      await until(() => helperPids().length === 0);
      await until(() => notes().length === 0 && sockets().length === before);
    }
  });

  it('keeps what it has read for its parent when it hangs in the middle of quick reads', async () => {
    const provider = open({ gpus: Array.from({ length: 8 }, () => ({})) }, { identityMilliseconds: 60_000 });
    const gpus = await gpusOf(provider);
    const readAll = () =>
      gpus.map((gpu) => outcome(provider.readGpu(gpu, ['thermal'], AbortSignal.timeout(2_000))));
    await Promise.all(readAll());
    rig.configure({ gpus: Array.from({ length: 8 }, () => ({})), faults: [`mode ${temperature} 5 hang`] });
    const before = rig.calls(temperature);
    const outcomes = await Promise.all(readAll());
    expect(outcomes.map(({ code }) => code)).toEqual(
      gpus.map(({ index }) => (index === 5 ? 'GPU_HUNG' : 'answered')),
    );
    expect(outcomes[5]?.gpuId).toBe(gpus[5]?.uuid);
    // Each GPU was read once: the first five are not read again by the second process.
    expect(rig.calls(temperature) - before).toBe(8);
  });

  it('initialises once for many calls, and shuts down on close, twice or before use', async () => {
    const provider = open({ gpus: four });
    await provider.close();
    const gpus = await gpusOf(provider);
    await Promise.all(gpus.map((gpu) => provider.readGpu(gpu, ['memory'], deadline())));
    await provider.close();
    await provider.close();
    expect([rig.calls('nvmlInit_v2'), rig.calls('nvmlShutdown')]).toEqual([1, 1]);
  });

  it('runs without the NODE_OPTIONS of its parent', async () => {
    process.env['NODE_OPTIONS'] = '--require /does/not/exist.cjs';
    try {
      expect(await gpusOf(open())).toHaveLength(2);
    } finally {
      delete process.env['NODE_OPTIONS'];
    }
  });

  describe('and the parent', () => {
    let folder: string;
    let parent: ChildProcess | undefined;
    beforeAll(() => {
      ensureBuilt();
      folder = mkdtempSync(join(tmpdir(), 'nvml-parent-'));
    });
    afterEach(() => {
      parent?.kill('SIGKILL');
    });
    afterAll(() => {
      rmSync(folder, { recursive: true, force: true });
    });

    function start(mode: 'hang' | 'drain') {
      const config = join(folder, 'config');
      const log = join(folder, `calls-${mode}-${Date.now()}`);
      writeFileSync(config, configText({ gpus: four, faults: [`mode ${temperature} 0 lock`] }, log));
      const script = fileURLToPath(new URL('./fake/parent.mjs', import.meta.url));
      const child = spawn(process.execPath, [script, compileFakeLibrary(), config, mode], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      parent = child;
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
      const isHanging = () => {
        try {
          return readFileSync(log, 'utf8').includes(temperature);
        } catch {
          return false;
        }
      };
      return { child, output: () => output, isHanging };
    }

    it('when it is killed, a hanging helper goes with it', async () => {
      const { child, isHanging } = start('hang');
      await until(isHanging, 15_000);
      const helpers = helperPids(child.pid);
      expect(helpers).toHaveLength(1);
      child.kill('SIGKILL');
      await until(() => helperPids(child.pid).length === 0);
    });

    it('on SIGTERM it closes and exits 0 although a helper hangs', async () => {
      const { child, isHanging, output } = start('hang');
      await until(isHanging, 15_000);
      const began = performance.now();
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      expect(code).toBe(0);
      expect(performance.now() - began).toBeLessThan(2_750);
      expect(output()).toContain('closed');
      expect(helperPids(child.pid)).toEqual([]);
    });

    it('it is not kept alive by a helper that hangs once nobody waits', async () => {
      const { child, output } = start('drain');
      const [code] = await once(child, 'exit');
      expect(code).toBe(0);
      expect(output()).toContain('rejected GPU_HUNG');
      await until(() => helperPids(child.pid).length === 0);
    });
  });
});

describe.skipIf(noCompiler !== undefined)('a library that is none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nvml-library-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const anotherMachine = () => {
    const bytes = readFileSync(compileFakeLibrary());
    bytes.writeUInt16LE(process.arch === 'arm64' ? 62 : 183, 18); // e_machine of the other architecture
    return bytes;
  };

  it.each([
    ['text', () => file('text.so', 'this is no library\n')],
    ['nothing', () => file('empty.so', '')],
    [
      'random bytes behind an ELF magic',
      () => file('elf.so', Buffer.from('\x7fELF'.padEnd(4096, '\xff'), 'latin1')),
    ],
    ['the wrong architecture', () => file('other.so', anotherMachine())],
    ['a library of something else', () => compile('other.c', ['-shared', '-fPIC'])],
    ['a folder', () => folder],
  ])('%s: LIBRARY_INVALID with the path and a hint', async (_, make) => {
    const library = make();
    const provider = open({}, { library });
    await expect(provider.describeNode(deadline())).rejects.toMatchObject({
      code: 'LIBRARY_INVALID',
      message: expect.stringContaining(library),
      hint: expect.stringContaining('libnvidia-ml.so.1'),
    });
  });

  it('an absent file: LIBRARY_NOT_FOUND with the path', async () => {
    const library = join(folder, 'absent.so');
    await expect(open({}, { library }).describeNode(deadline())).rejects.toMatchObject({
      code: 'LIBRARY_NOT_FOUND',
      message: `there is no file ${library}`,
    });
  });

  it('none named: the usual places, or an error that lists them', async () => {
    ensureBuilt();
    const provider = createNvmlProvider();
    const { code, message } = await outcome(provider.describeNode(deadline()));
    await provider.close();
    // Machines with a driver answer; those without say where they looked, or that the driver is not loaded.
    if (code === 'LIBRARY_NOT_FOUND') expect(message).toContain('/usr/lib64/libnvidia-ml.so.1');
    else expect(['answered', 'DRIVER_NOT_LOADED', 'NO_PERMISSION', 'UNAVAILABLE']).toContain(code);
  });
});
