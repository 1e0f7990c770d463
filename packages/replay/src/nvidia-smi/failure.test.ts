import { describe, expect, test } from 'vitest';
import { parseSmiFailure } from './failure.ts';
import { parseSmiList } from './list.ts';
import { parseSmi } from './parse-smi.ts';

const source = { file: 'smi.txt', firstLine: 10 };

describe('an output that only says why there is none', () => {
  test.each([
    [
      'Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.161',
      'version-mismatch',
    ],
    ['Failed to initialize NVML: Unknown Error', 'unknown'],
    ['Failed to initialize NVML: Insufficient Permissions', 'no-permission'],
    ['Failed to initialize NVML: Driver Not Loaded', 'no-driver'],
    [
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
      'no-driver',
    ],
    ["NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", 'no-driver'],
    ['No devices were found', 'no-devices'],
  ])('%s', (text, kind) => {
    for (const capture of [parseSmiFailure(`\n${text}\n`, source), parseSmi(`\n${text}\n`, source)]) {
      expect(capture).toMatchObject({ failure: { kind, line: 11 }, line: 11, gpus: [], unread: [] });
    }
  });

  test('other text', () => {
    expect(parseSmiFailure('all is well', source)).toBeUndefined();
    expect(parseSmi('all is well\n', source)).toBeUndefined();
    expect(parseSmi('', source)).toBeUndefined();
  });
});

describe('GPUs that cannot be opened', () => {
  test.each([
    ['GPU 0000:0C:00.0: GPU is lost.  Reboot the system to recover this GPU', [0, '0000:0c:00.0', 'lost']],
    ['GPU3: 0000:5F:00.0: Unknown Error', [3, '0000:5f:00.0', 'unreadable']],
    ['GPU0000:25:00.0: Unknown Error', [0, '0000:25:00.0', 'unreadable']],
    ['GPU2: Unknown Error', [2, null, 'unreadable']],
    ['gpu 0000:02:00.0: GPU is lost', [0, '0000:02:00.0', 'lost']],
    ['GPU 0000:01:00.0: Not Found', [0, '0000:01:00.0', 'unreadable']],
    ['GPU 0000:01:00.0: GPU requires reset', [0, '0000:01:00.0', 'reset-required']],
    ['GPU0: GPU is lost', [0, null, 'lost']],
  ])('%s', (which, expected) => {
    const capture = parseSmi(`Unable to determine the device handle for ${which}\n`, source);
    expect(capture?.gpus.map(({ ref, state }) => [ref.index, ref.pciAddress, state])).toEqual([expected]);
    expect(capture?.failure).toBeUndefined();
    expect(capture?.line).toBe(10);
  });

  test('two of them, then nothing', () => {
    const capture = parseSmi(
      'Unable to determine the device handle for GPU 0000:01:00.0: Unknown Error\nUnable to determine the device handle for GPU 0000:02:00.0: Unknown Error\nNo devices were found\n',
      source,
    );
    expect(capture?.gpus.map(({ ref }) => ref.index)).toEqual([0, 1]);
    expect(capture?.failure).toEqual({ kind: 'no-devices', line: 12 });
  });
});

describe('nvidia-smi -L', () => {
  test('MIG devices with profiles and UUIDs', () => {
    const capture = parseSmiList(
      [
        'GPU 0: NVIDIA H200 (UUID: GPU-00000000-0000-0000-0000-000000000000)',
        '  MIG 1c.3g.71gb  Device  0: (UUID: MIG-00000000-0000-0000-0000-000000000000)',
        '  MIG 1g.18gb+me  Device  4: (UUID: MIG-00000004-0000-0000-0000-000000000004)',
        'GPU 1: NVIDIA H200 (UUID: GPU-00000001-0000-0000-0000-000000000000)',
      ],
      source,
    );
    expect(capture?.gpus.map(({ ref }) => [ref.index, ref.uuid?.slice(0, 12)])).toEqual([
      [0, 'GPU-00000000'],
      [1, 'GPU-00000001'],
    ]);
    expect(capture?.gpus[0]?.readings.mig?.devices).toMatchObject([
      { index: 0, profile: '1c.3g.71gb', uuid: 'MIG-00000000-0000-0000-0000-000000000000' },
      { index: 4, profile: '1g.18gb+me', memoryTotalBytes: null },
    ]);
    expect(capture?.gpus[1]?.readings.mig).toBeUndefined();
  });

  test('the same lines above links are another tool', () => {
    const lines = ['GPU 0: NVIDIA H100 (UUID: GPU-abcdefab-cdef)', '         Link 0: 26.562 GB/s'];
    expect(parseSmiList(lines, source)).toBeUndefined();
  });
});
