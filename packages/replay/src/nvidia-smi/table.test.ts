import { describe, expect, test } from 'vitest';
import { parseSmi } from './parse-smi.ts';
import { parseSmiTable } from './table.ts';

const read = (text: string) => {
  const capture = parseSmiTable(text.split('\n'), { file: 'smi.txt', firstLine: 1 });
  if (capture === undefined) throw new Error('not recognised');
  return capture;
};

/** Head and GPU part as drivers from R525 on print them. */
const table = (rows: string, below = '') => `Fri Jul  3 22:22:26 2026
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 590.48.01              Driver Version: 590.48.01      CUDA Version: 13.1     |
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
${rows}
+-----------------------------------------+------------------------+----------------------+
${below}`;
const processes = (rows: string) => `
+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
${rows}
+-----------------------------------------------------------------------------------------+
`;

describe('a GPU', () => {
  const capture = read(
    table(
      `|   3  NVIDIA H200                    On  |   00000000:83:00.0 Off |                    2 |
| N/A   36C    P0            295W /  700W |   16959MiB / 143771MiB |     97%   E. Process |
|                                         |                        |            Disabled* |`,
      processes(
        '|    3   N/A  N/A           12249      C   /root/tools/mem hog                     2194MiB |',
      ),
    ),
  );

  test('its three lines', () => {
    expect(capture).toMatchObject({
      format: 'nvidia-smi',
      line: 3,
      at: '2026-07-03T22:22:26.000Z',
      driverVersion: '590.48.01',
      computeApiVersion: '13.1',
      unread: [],
    });
    const [gpu] = capture.gpus;
    expect(gpu?.ref).toEqual({ index: 3, uuid: null, pciAddress: '0000:83:00.0', name: 'NVIDIA H200' });
    expect(gpu?.readings).toMatchObject({
      identity: { persistenceModeEnabled: true, computeMode: 'exclusive-process' },
      ecc: { enabled: true, uncorrectableVolatileCount: 2 },
      thermal: { temperatureCelsius: 36 },
      clocks: { performanceState: 'P0' },
      power: { drawWatts: 295, enforcedLimitWatts: 700 },
      memory: { usedBytes: 16_959 * 1024 ** 2, totalBytes: 143_771 * 1024 ** 2 },
      utilization: { gpuPercent: 97 },
      mig: { enabled: false, pendingEnabled: true, devices: [] },
    });
    expect(gpu?.citations['thermal.temperatureCelsius']).toEqual({ file: 'smi.txt', line: 10 });
    expect(gpu?.gaps).toContainEqual(expect.objectContaining({ field: 'thermal.fanSpeedPercent' }));
  });
  test('its processes', () => {
    expect(capture.gpus[0]?.readings.processes?.running).toMatchObject([
      { pid: 12_249, kinds: ['compute'], memoryUsedBytes: 2_194 * 1024 ** 2, gpuInstanceId: null },
    ]);
    expect(JSON.stringify(capture)).not.toContain('hog');
  });
});

test('errors in place of readings: of one, and of all', () => {
  // NVIDIA fans that stopped answering are printed so: utkuozdemir/nvidia_gpu_exporter#393.
  const { gpus } = read(
    table(`|  14  NVIDIA RTX 4000 Ada Gene...    On  |   00000000:CC:00.0 Off |                  Off |
|ERR!   68C    P2             99W /  130W |       1MiB /  20475MiB |     93%      Default |
|                                         |                        |                  N/A |
+-----------------------------------------+------------------------+----------------------+
|  15  ERR!                          ERR! |   00000000:CD:00.0 ERR! |                 ERR! |
|ERR!  ERR!  ERR!            N/A /  ERR!  |      ERR! /      ERR!  |    ERR!         ERR! |
|                                         |                        |                 ERR! |`),
  );
  expect(gpus.map(({ ref, state }) => [ref.index, state])).toEqual([
    [14, undefined],
    [15, 'unreadable'],
  ]);
  expect(gpus[0]?.gaps).toContainEqual({
    field: 'thermal.fanSpeedPercent',
    reason: 'error',
    detail: 'nvidia-smi printed "ERR!"',
  });
  expect(gpus[0]?.readings.ecc).toEqual({ enabled: false });
  expect(gpus[1]?.readings).toEqual({});
});

test('a table of before R450: two lines for a GPU, no instances', () => {
  const { gpus } = read(`+-----------------------------------------------------------------------------+
| NVIDIA-SMI 418.67       Driver Version: 418.67       CUDA Version: 10.1     |
|-------------------------------+----------------------+----------------------+
| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |
|===============================+======================+======================|
|   0  Tesla P100-PCIE...  Off  | 00000000:00:04.0 Off |                    0 |
| N/A   38C    P0    26W / 250W |      0MiB / 16280MiB |      0%      Default |
+-------------------------------+----------------------+----------------------+
|   1  Tesla P100-PCIE...  Off  | 00000000:00:05.0 Off |                    0 |
| N/A   39C    P0    27W / 250W |     10MiB / 16280MiB |      0%      Default |
+-------------------------------+----------------------+----------------------+
+-----------------------------------------------------------------------------+
| Processes:                                                       GPU Memory |
|  GPU       PID   Type   Process name                             Usage      |
|=============================================================================|
|    1      1234      C   python                                        9MiB |
+-----------------------------------------------------------------------------+
`);
  expect(gpus.map(({ readings }) => readings.thermal?.temperatureCelsius)).toEqual([38, 39]);
  expect(gpus.map(({ readings }) => readings.processes?.running?.map(({ pid }) => pid))).toEqual([
    [],
    [1234],
  ]);
  expect(gpus[0]?.readings.mig).toBeUndefined();
});

test('a list of processes that was cut says nothing of any GPU', () => {
  const whole = table(
    `|   0  NVIDIA H200                    On  |   00000000:83:00.0 Off |                    0 |
| N/A   36C    P0            295W /  700W |   16959MiB / 143771MiB |     97%      Default |
|                                         |                        |             Disabled |`,
    processes('|    0   N/A  N/A           12249      C   x                    2194MiB |'),
  );
  const cut = read(whole.slice(0, whole.indexOf('12249')));
  expect(cut.gpus[0]?.readings.processes).toBeUndefined();
  expect(cut.gpus[0]?.gaps.filter(({ field }) => field.startsWith('processes'))).toEqual([]);
  expect(cut.unread.map(({ part }) => part)).toContain('the list of processes');
});

test('a GPU that could not be opened stands beside the table', () => {
  const lost = 'Unable to determine the device handle for GPU3: 0000:5F:00.0: Unknown Error';
  const row = (index: number, bus: string) =>
    `|   ${index}  NVIDIA RTX A4000               Off  |   00000000:${bus}:00.0 Off |                  Off |`;
  const capture = parseSmi(`${lost}\n${table(`${row(2, '5E')}\n${row(4, '60')}`)}`, {
    file: 'smi.txt',
    firstLine: 1,
  });
  expect(capture?.gpus.map(({ ref, state }) => [ref.index, ref.pciAddress, state])).toEqual([
    [2, '0000:5e:00.0', undefined],
    [4, '0000:60:00.0', undefined],
    [3, '0000:5f:00.0', 'unreadable'],
  ]);
});

test('no table', () => {
  expect(parseSmiTable(['| a | b |', '+---+'], { file: 'x', firstLine: 1 })).toBeUndefined();
});
