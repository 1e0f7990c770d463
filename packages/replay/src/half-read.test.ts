import { describe, expect, it } from 'vitest';
import { describeOf, fixtureOf, openTexts, unaborted } from '../test/rig.ts';

// What a capture says that is not well, or not whole, must reach the rules: the words are those of captures, edited.

const h100 = fixtureOf('nvidia-smi/q/linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01__load.txt');
const a100 = fixtureOf('nvidia-smi/qx/nvidia__qx-a100.xml');
const p100 = fixtureOf('nvidia-smi/qx/netdata__tesla-p100.xml');

async function openOne(text: string) {
  const { gpuProvider, driverFailures } = await openTexts({ 'smi.txt': text });
  const { gpus, gaps } = await gpuProvider.describeNode(unaborted());
  const ofGpus = gaps.filter(({ field }) => field === 'gpus');
  return { gpuProvider, driverFailures, gpus, ofGpus };
}

async function readFirst(text: string) {
  const { gpuProvider, gpus } = await openOne(text);
  const [gpu] = gpus;
  if (gpu === undefined) throw new Error('no GPU');
  return gpuProvider.readGpu(gpu, ['fabric', 'recovery', 'rowRemap', 'clocks', 'ecc'], unaborted());
}

/** The text with one line changed. */
function edited(text: string, line: RegExp, by: string): string {
  const changed = text.replace(line, by);
  if (changed === text) throw new Error('the capture has no such line');
  return changed;
}
const lineOf = (text: string, part: string) => text.split('\n').findIndex((line) => line.includes(part)) + 1;

describe('a capture that is not whole', () => {
  it('is whole as it was recorded, also without the last line end', async () => {
    for (const text of [h100, h100.trimEnd(), a100, a100.trimEnd()]) {
      expect((await openOne(text)).ofGpus).toEqual([]);
    }
  });

  it.each([
    ['fewer GPUs than are counted, text', edited(h100, /(Attached GPUs +: )1/, '$18')],
    ['fewer GPUs than are counted, XML', edited(a100, /(<attached_gpus>)1/, '$18')],
  ])('%s', async (_, text) => {
    expect((await openOne(text)).ofGpus).toMatchObject([{ reason: 'not-observable' }]);
  });

  it.each([
    ['cut above its processes, text', h100.slice(0, h100.indexOf('    Processes'))],
    ['cut in the middle, XML', a100.slice(0, a100.indexOf('<clocks>'))],
  ])('%s', async (_, text) => {
    expect((await openOne(text)).ofGpus).toMatchObject([{ gpu: 0, reason: 'not-observable' }]);
  });

  it('parts of an output that were asked for are whole', async () => {
    const begin = h100.indexOf('    Remapped Rows');
    const part = `${h100.slice(0, h100.indexOf('    Product Name'))}${h100.slice(begin, h100.indexOf('    Temperature\n'))}`;
    expect((await openOne(part)).ofGpus).toEqual([]);
  });

  it('no devices at all is told as an error', async () => {
    expect(await openOne('No devices were found\n')).toMatchObject({
      gpus: [],
      ofGpus: [{ reason: 'error' }],
    });
  });

  it('a shell without nvidia-smi is no log in which nothing happened', async () => {
    const recordings = await openTexts({ 'smi.txt': 'bash: nvidia-smi: command not found\n' });
    const { coverage } = await recordings.kernelLog.read({ signal: unaborted() });
    expect(coverage.readable).toBe(false);
    await expect(describeOf(recordings)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});

describe('a GPU that the driver fails to open', () => {
  it.each([
    ['Unknown Error', 'GPU_NOT_FOUND'],
    ['Not Found', 'GPU_NOT_FOUND'],
    ['Insufficient Permissions', 'UNAVAILABLE'],
    ['GPU is lost.  Reboot the system to recover this GPU', 'GPU_LOST'],
  ])('%s: %s', async (why, code) => {
    const line = `Unable to determine the device handle for GPU0: 0000:89:00.0: ${why}\n`;
    await expect(readFirst(line)).rejects.toMatchObject({ code });
  });
});

describe('words', () => {
  it.each([
    ['Failure', 'NVML_ERROR_UNKNOWN'],
    ['Insufficient Resources', 'NVML_ERROR_INSUFFICIENT_RESOURCES'],
    ['Success', 'NVML_SUCCESS'],
    ['N/A', null],
  ])('fabric status %s: %s', async (word, status) => {
    const { fabric } = await readFirst(h100.replace(/( Status +: )Success/, `$1${word}`));
    expect(fabric?.status).toBe(status);
  });

  it.each([
    ['Recover IMEX', 'recover-imex-domain'],
    ['Bus Reset', 'reset'],
    ['System Reboot', 'reboot'],
    ['None', 'none'],
    ['Something Else', null],
  ])('recovery action %s: %s', async (word, action) => {
    const { recovery } = await readFirst(h100.replace(/(GPU Recovery Action +: )None/, `$1${word}`));
    expect(recovery?.action).toBe(action);
  });

  it('a yes to the old question outweighs no action', async () => {
    const text = edited(a100, /(<reset_required>)[^<]*/, '$1Yes');
    expect((await readFirst(text)).recovery?.action).toBe('reset');
  });

  it.each(['pending_blacklist', 'pending_retirement'])('%s: pages wait', async (name) => {
    const { rowRemap, citations } = await readFirst(edited(p100, new RegExp(`(<${name}>)No`), '$1Yes'));
    expect(rowRemap?.retiredPagesPending).toBe(true);
    expect(citations?.['rowRemap.retiredPagesPending']?.line).toBe(lineOf(p100, `<${name}>`));
  });
});

describe('the line that is cited', () => {
  it.each([
    ['ecc.uncorrectableVolatileCount', /(DRAM Uncorrectable +: )0/, 'DRAM Uncorrectable '],
    ['clocks.eventReasons', /(HW Power Brake Slowdown +: )Not Active/, 'HW Power Brake Slowdown'],
    ['rowRemap.histogram', /( None +: )0 bank/, ' None '],
  ] as const)('%s: the part that is not well', async (field, line, part) => {
    const value =
      { 'clocks.eventReasons': '$1Active', 'rowRemap.histogram': '$12 bank' }[field as string] ?? '$13';
    const text = edited(h100, line, value);
    const { citations } = await readFirst(text);
    const cited = text.split('\n')[(citations?.[field]?.line ?? 0) - 1];
    expect(cited).toContain(part);
    expect(cited).toContain(value.slice(2));
  });

  it('of a list of links: the first that is down', async () => {
    const links = fixtureOf('nvlink/h200-590.48.01.txt');
    const text = edited(links, /(Link 4: ).*/, '$1<inactive>');
    const { gpuProvider, gpus } = await openOne(text);
    const [gpu] = gpus;
    if (gpu === undefined) throw new Error('no GPU');
    const { citations } = await gpuProvider.readGpu(gpu, ['nvlink'], unaborted());
    expect(citations?.['nvlink.links']?.line).toBe(lineOf(text, '<inactive>'));
  });
});
