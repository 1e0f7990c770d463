import type { KernelEventKind } from '../domain/event.ts';

/** Our words for events that carry no number. */
export interface KindEntry {
  readonly title: string;
  readonly explanation: string;
  readonly applicationCommon: boolean;
  readonly source: string;
}

const driver = 'open-gpu-kernel-modules, message texts';
const kernel = 'Linux kernel, message texts';

export const kindCatalogue = {
  xid: {
    title: 'Xid without a catalogue entry',
    explanation:
      'The driver reported an error number that this catalogue does not have yet. A newer driver may explain it.',
    applicationCommon: false,
    source: driver,
  },
  sxid: {
    title: 'NVSwitch error without a catalogue entry',
    explanation: 'The switch driver reported an error number that this catalogue does not have yet.',
    applicationCommon: false,
    source: driver,
  },
  'bus-loss': {
    title: 'GPU does not answer on its bus',
    explanation:
      'The driver can no longer reach the GPU over PCI Express, or never could. Nothing on it works until the machine is restarted.',
    applicationCommon: false,
    source: driver,
  },
  'init-failure': {
    title: 'GPU initialisation failed',
    explanation: 'The driver could not bring the GPU up; programs that open it fail.',
    applicationCommon: false,
    source: driver,
  },
  'version-mismatch': {
    title: 'Driver versions do not fit',
    explanation:
      'A program brought a driver library of another version than the loaded kernel module (typical after an update without a reload, or in a container with its own library), or the kernel module does not support the GPU or lacks its firmware.',
    applicationCommon: false,
    source: driver,
  },
  'driver-load': {
    title: 'Driver loaded',
    explanation: 'The kernel module was loaded; counters and driver state start anew here.',
    applicationCommon: false,
    source: driver,
  },
  'gpu-hang': {
    title: 'GPU seems locked',
    explanation: 'A watchdog saw no progress on the GPU. Often an Xid 8 follows.',
    applicationCommon: false,
    source: driver,
  },
  'gsp-fault': {
    title: 'Trouble with the GPU system processor (GSP)',
    explanation:
      'The firmware processor of the GPU missed its heartbeat, did not answer, or crashed. Goes with Xid 119 and 120.',
    applicationCommon: false,
    source: driver,
  },
  'memory-fault': {
    title: 'Memory subsystem error',
    explanation: 'The driver found the memory subsystem of the GPU in error.',
    applicationCommon: false,
    source: driver,
  },
  'nvlink-fault': {
    title: 'NVLink trouble',
    explanation: 'The driver could not read or use a link to another GPU.',
    applicationCommon: false,
    source: driver,
  },
  'gpu-identity': {
    title: 'GPU named by the driver',
    explanation: 'The driver told which GPU is at an address.',
    applicationCommon: false,
    source: driver,
  },
  'pcie-error': {
    title: 'PCI Express error',
    explanation: 'PCI Express advanced error reporting (AER) told of an error of this device or its link.',
    applicationCommon: false,
    source: kernel,
  },
  'iommu-fault': {
    title: 'I/O memory fault',
    explanation: 'The I/O memory management unit refused an access of this device.',
    applicationCommon: false,
    source: kernel,
  },
  'machine-check': {
    title: 'Host hardware error',
    explanation: 'The host reported an error of its own memory, processor or buses.',
    applicationCommon: false,
    source: kernel,
  },
  'oom-kill': {
    title: 'Process killed for lack of host memory',
    explanation:
      'The host or a container ran out of main memory and the kernel ended a process. GPU errors right after it are consequences.',
    applicationCommon: true,
    source: kernel,
  },
  'hung-task': {
    title: 'Process stuck in the kernel',
    explanation:
      'A process waited inside the kernel for minutes without waking and cannot be killed until that ends. Its stack says what it waits for: a GPU driver, a file system, a lock.',
    applicationCommon: false,
    source: kernel,
  },
  segfault: {
    title: 'Program crashed in a CUDA or NCCL library',
    explanation:
      'A program touched memory that is not its own while in a library of the GPU software. Mostly the program, or versions that do not fit together.',
    applicationCommon: true,
    source: kernel,
  },
  boot: {
    title: 'Machine started',
    explanation: 'The kernel began to run; what was wrong before may be over.',
    applicationCommon: false,
    source: kernel,
  },
  'application-error': {
    title: 'Error told by a program',
    explanation:
      'A program wrote in its own log that work on the GPU failed. It says what the program saw, not why.',
    applicationCommon: true,
    source: 'CUDA runtime, PyTorch and NCCL message texts',
  },
} as const satisfies Record<KernelEventKind, KindEntry>;
