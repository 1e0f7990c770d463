import { describe, expect, test } from 'vitest';
import { applicationErrorCodes, parseApplicationError } from './application-errors.ts';

const parse = (line: string) => parseApplicationError(line, { file: 'train.log', line: 7 });

// Message texts of PyTorch, the CUDA runtime, NCCL and NVML.
const lines: readonly (readonly [code: string, line: string])[] = [
  [
    'gpu-out-of-memory',
    'torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has a total capacity of 79.11 GiB of which 1.2 GiB is free.',
  ],
  [
    'gpu-out-of-memory',
    'terminate called: CUDA error at a.cu:12 code=2(cudaErrorMemoryAllocation) "cudaMalloc"',
  ],
  ['illegal-memory-access', 'RuntimeError: CUDA error: an illegal memory access was encountered'],
  ['uncorrectable-ecc', 'RuntimeError: CUDA error: uncorrectable ECC error encountered'],
  ['launch-failure', 'RuntimeError: CUDA error: unspecified launch failure'],
  ['device-side-assert', 'RuntimeError: CUDA error: device-side assert triggered'],
  ['launch-timeout', 'CUDA error: the launch timed out and was terminated'],
  [
    'nccl-timeout',
    '[rank3]:[E1122 10:00:00.123 ProcessGroupNCCL.cpp:632] [Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE) ran for 600013 milliseconds',
  ],
  [
    'nccl-system-error',
    'torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/NCCLUtils.hpp:219, unhandled system error (run with NCCL_DEBUG=INFO for details), NCCL version 2.21.5',
  ],
  ['driver-insufficient', 'CUDA driver version is insufficient for CUDA runtime version'],
  ['library-mismatch', 'Failed to initialize NVML: Driver/library version mismatch'],
  // cudaGetErrorString of error 802; leptonai/gpud, NVIDIA/NVSentinel#883 (Fabric Manager not started).
  [
    'system-not-ready',
    'RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 802: system not yet initialized',
  ],
  [
    'fabric-manager-mismatch',
    "nv-fabricmanager[2204]: fabric manager NVIDIA GPU driver interface version 550.54.15 don't match with driver version 550.90.07. Please update with matching NVIDIA driver package.",
  ],
  ['no-device', 'RuntimeError: No CUDA GPUs: no CUDA-capable device is detected'],
];

describe('lines of programs', () => {
  test.each(lines)('%s: %s', (code, line) => {
    expect(parse(line)).toMatchObject({
      kind: 'application-error',
      pciAddress: null,
      decoded: { code },
      trusted: 'unknown',
      file: 'train.log',
      line: 7,
      raw: line,
    });
  });

  test('every code of the closed list has a line here', () => {
    expect([...new Set(lines.map(([code]) => code))].sort()).toEqual([...applicationErrorCodes].sort());
  });

  test('device, rank and time are read where the line has them', () => {
    expect(parse(`2026-11-21 10:00:00,123 ${lines[0]?.[1]}`)).toMatchObject({
      at: '2026-11-21T10:00:00.123Z',
      decoded: { code: 'gpu-out-of-memory', device: 3 },
    });
    expect(parse(lines[7]?.[1] ?? '')?.decoded).toMatchObject({ rank: 3 });
    expect(parse(lines[2]?.[1] ?? '')).toMatchObject({
      at: null,
      decoded: { code: 'illegal-memory-access' },
    });
  });

  test.each([
    'epoch 3 loss 0.31',
    'kernel: NVRM: Xid (PCI:0000:3b:00): 48, uncorrectable ECC error encountered',
    'XidCriticalError: Xid=94: CUDA error: uncorrectable ECC error encountered',
    'checking for CUDA memory',
    'OutOfMemoryErrors are handled',
  ])('not %s', (line) => {
    expect(parse(line)).toBeUndefined();
  });
});

test('hostile lines take no time and leave little', () => {
  const started = performance.now();
  for (const unit of [
    'NCCL error ',
    'NCCL watchdog thread ',
    'uncorrectable ',
    'rank ',
    '2026-11-21 ',
    '9',
    ' ',
  ])
    parse(unit.repeat(1_000_000));
  expect(performance.now() - started).toBeLessThan(1_000);
  const event = parse(`CUDA out of memory ${'x'.repeat(1_000_000)}`);
  expect(event?.raw.length).toBeLessThanOrEqual(4_096);
  expect(event?.detail.length).toBeLessThanOrEqual(4_096);
});

test('a parser that took everything for an error would be seen', () => {
  const careless = (line: string) => parse(`CUDA out of memory ${line}`);
  expect(careless('epoch 3 loss 0.31')).toBeDefined();
  expect(parse('epoch 3 loss 0.31')).toBeUndefined();
});
