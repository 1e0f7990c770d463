import type { Gap } from '../domain/gap.ts';
import type { GpuState } from '../domain/gpu.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import type { Candidate, PublishedRule } from '../health/rule.ts';
import type { HostDevicesReading, PciGpu } from '../ports/host-devices.ts';

// What exists: the PCI bus against the driver's list against the device files. A GPU that is missing from one of them is said to be.

/** A GPU as the driver lists it; the minor number where it was read. */
export interface DriverGpu {
  readonly index: number;
  readonly pciAddress: string | null;
  readonly minorNumber: number | null;
  /** What became of reading it, where it was read. */
  readonly state?: GpuState;
}

export interface CrossCheck {
  readonly candidates: readonly Candidate[];
  /** Why something could not be compared. */
  readonly gaps: readonly Gap[];
}

/** By the backend's vendor: its PCI vendor id and the kernel driver that serves its GPUs. */
const vendors: Readonly<Record<string, { readonly vendorId: string; readonly driver: string }>> = {
  nvidia: { vendorId: '10de', driver: 'nvidia' },
  amd: { vendorId: '1002', driver: 'amdgpu' },
};
/** Kernel drivers that hold a GPU on purpose, to lend it to a virtual machine. */
const lendingDrivers = new Set(['vfio-pci', 'pci-stub', 'nvidia-vgpu-vfio', 'xen-pciback']);

const rules = {
  'gpu.config-space-dead': {
    title: 'GPU does not answer on the bus',
    threshold: 'its PCI configuration space reads as all ones',
    appliesTo: 'all products on PCIe',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'high',
    source: 'PCI Express: reads from a device that is gone return all ones; NVIDIA Xid catalogue, Xid 79',
  },
  'gpu.missing-from-driver': {
    title: 'GPU missing from the driver',
    threshold: "on the PCI bus and bound to the vendor's driver, but not in the driver's list",
    appliesTo: 'nodes whose PCI bus can be read',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'high',
    source: 'leptonai/gpud; Amazon EKS node monitoring agent; AKS GPUMissing (GPU count mismatch is fatal)',
    note: 'A container that was given only some of the GPUs cannot tell and says so with a gap.',
  },
  'gpu.not-on-bus': {
    title: 'GPU missing from the bus',
    threshold: "in the driver's list, but not on the PCI bus",
    appliesTo: 'nodes whose PCI bus can be read',
    verdict: 'critical',
    action: 'reboot-node',
    confidence: 'high',
    source: 'leptonai/gpud; Oracle OCI health checks (lspci against driver)',
  },
  'gpu.without-device-node': {
    title: 'GPU without a device file',
    threshold: "in the driver's list, but there is no /dev/nvidiaN of its minor number",
    appliesTo: 'nodes whose device files can be seen',
    verdict: 'warning',
    action: 'restart-service',
    confidence: 'high',
    source: 'NVIDIA driver README (device files are made by nvidia-modprobe or nvidia-persistenced)',
  },
  'gpu.without-driver': {
    title: 'GPU without a kernel driver',
    threshold: 'on the PCI bus with no kernel driver bound to it',
    appliesTo: 'nodes whose PCI bus can be read',
    verdict: 'warning',
    action: 'update-software',
    confidence: 'high',
    source: 'leptonai/gpud; Amazon EKS node monitoring agent (GPU count mismatch)',
  },
  'gpu.bound-to-other-driver': {
    title: 'GPU held by another kernel driver',
    threshold: "on the PCI bus and bound to a driver other than the vendor's",
    appliesTo: 'nodes whose PCI bus can be read',
    verdict: 'warning',
    action: 'update-software',
    confidence: 'high',
    source: 'Linux VFIO documentation; NVIDIA driver README (nouveau must not hold the GPU)',
    note: 'vfio-pci and its like lend the GPU to a virtual machine on purpose: told, and no fault.',
  },
} as const satisfies Record<string, Omit<PublishedRule, 'id'>>;

/** The table as published. */
export const crossCheckRules: readonly PublishedRule[] = Object.entries(rules).map(([id, row]) => ({
  id,
  ...row,
}));

type RuleId = keyof typeof rules;

function candidate(ruleId: RuleId, rest: Omit<Candidate, 'ruleId' | 'source'>): Candidate {
  return { ruleId, source: rules[ruleId].source, ...rest };
}

/** The GPUs of the bus that the backend's vendor made; null when the bus could not be read. */
export function gpusOfVendor(vendor: string, host: HostDevicesReading): readonly PciGpu[] | null {
  const { vendorId } = vendors[vendor] ?? {};
  return host.pciGpus?.filter((gpu) => gpu.vendorId === vendorId) ?? null;
}

/**
 * Pure. `driverGpus` is null when the driver cannot be asked, which proves nothing of single GPUs: then only the bus is judged. A vendor
 * that is not known is not compared.
 */
export function crossCheck(
  vendor: string,
  driverGpus: readonly DriverGpu[] | null,
  host: HostDevicesReading,
): CrossCheck {
  const known = vendors[vendor];
  const pciGpus = gpusOfVendor(vendor, host);
  if (!known) return { candidates: [], gaps: [] };
  const listed = driverGpus ?? [];
  const nodes = deviceNodes(listed, host);
  if (!pciGpus) return nodes;
  if (pciGpus.length === 0 && listed.length > 0) {
    const detail = `the PCI bus shows no GPU here, though the driver lists ${listed.length}: it is hidden from this process`;
    return {
      candidates: nodes.candidates,
      gaps: [{ field: 'pciBus', reason: 'not-observable', detail }, ...nodes.gaps],
    };
  }
  const indexByDevice = new Map(listed.map(({ index, pciAddress }) => [pciDeviceKey(pciAddress), index]));
  indexByDevice.delete(undefined);
  const absent = pciGpus.filter(({ pciAddress }) => !indexByDevice.has(pciDeviceKey(pciAddress)));
  const only = onlyUnplaced(absent, known.driver, listed);
  const listedAt = (pciAddress: string) => {
    const index = indexByDevice.get(pciDeviceKey(pciAddress));
    return (
      listed.find((gpu) => gpu.index === index) ?? (pciAddress === only?.pciAddress ? only.gpu : undefined)
    );
  };
  const missing = driverGpus
    ? missingFromDriver(absent, known.driver, listed, host)
    : { candidates: [], gaps: [] };
  return {
    candidates: [
      ...pciGpus
        .filter((gpu) => gpu.respondsOnBus === false)
        .map((gpu) => dead(gpu, listedAt(gpu.pciAddress))),
      ...missing.candidates,
      ...notOnBus(pciGpus, listed),
      ...boundElsewhere(absent, known.driver),
      ...nodes.candidates,
    ],
    gaps: [...missing.gaps, ...nodes.gaps],
  };
}

/** Of a device on the bus that has no index: what it is about, and where. */
const place = (pciAddress: string) => {
  const pciDevice = pciDeviceKey(pciAddress);
  return pciDevice === undefined ? {} : { pciDevice };
};

/** The driver may not know where a lost GPU is: if one address is left over, it is there. */
function onlyUnplaced(absent: readonly PciGpu[], driver: string, listed: readonly DriverGpu[]) {
  const [gpu, another] = listed.filter(({ pciAddress }) => pciDeviceKey(pciAddress) === undefined);
  const [place, elsewhere] = absent.filter((each) => each.driver === driver);
  if (!gpu || !place || another || elsewhere) return undefined;
  return { gpu, pciAddress: place.pciAddress };
}

function dead({ pciAddress }: PciGpu, listed: DriverGpu | undefined): Candidate {
  // What the driver met itself is the second of two independent findings, also where no health rule tells of it.
  const state = listed?.state;
  const isConfirmed = state === 'lost' || state === 'hung';
  return candidate('gpu.config-space-dead', {
    verdict: 'critical',
    ...(listed === undefined ? {} : { gpu: listed.index }),
    ...place(pciAddress),
    what: `The GPU at ${pciAddress} does not answer on the PCI bus: its configuration space reads as all ones.`,
    evidence: [
      { field: 'pciBus.pciAddress', value: pciAddress },
      { field: 'pciBus.respondsOnBus', value: false },
      ...(isConfirmed ? [{ field: 'state', value: state }] : []),
    ],
    action: 'reboot-node',
    actionAlone: isConfirmed ? 'reboot-node' : 'monitor',
    confirmedBy: ['gpu.lost', 'gpu.hung', 'gpu.missing-from-driver', 'log.'],
    confidence: 'high',
  });
}

/** What the kernel log says of a GPU that the driver did not bring up, or lost. */
const notComingUp = [
  'log.init-failure',
  'log.bus-loss',
  'log.gsp-fault',
  'log.pcie-error',
  'log.xid-',
] as const;

function missingFromDriver(
  absent: readonly PciGpu[],
  driver: string,
  listed: readonly DriverGpu[],
  { deviceNodes: nodes }: HostDevicesReading,
): CrossCheck {
  const unlisted = absent.filter((gpu) => gpu.driver === driver);
  const unplaced = listed.filter(({ pciAddress }) => pciDeviceKey(pciAddress) === undefined).length;
  if (unlisted.length <= unplaced) return { candidates: [], gaps: [] };
  // As many device files as the driver lists: this process was given those and no more, as containers are.
  const given = nodes !== null && nodes.length > 0 && nodes.length <= listed.length;
  const answering = unlisted.filter((gpu) => gpu.respondsOnBus !== false);
  const judged = given ? unlisted.filter((gpu) => gpu.respondsOnBus === false) : unlisted;
  // Files have no device files. Containers are given some of the GPUs, seldom most of them; a driver that lists none was asked in vain.
  const isMinority = listed.length === 0 || unlisted.length < listed.length;
  const sure = unplaced === 0 && (nodes === null ? isMinority : nodes.length > 0);
  const detail = `${answering.length} of the GPUs on the PCI bus have no device file here: this process was given only some of them, so whether the driver lists them cannot be told`;
  return {
    candidates: judged.map(({ pciAddress }) =>
      candidate('gpu.missing-from-driver', {
        verdict: sure || given ? 'critical' : 'warning',
        ...place(pciAddress),
        what: `The PCI bus has a GPU at ${pciAddress} that the driver does not list.`,
        evidence: [{ field: 'pciBus.pciAddress', value: pciAddress }],
        action: 'reboot-node',
        actionAlone: 'monitor',
        confirmedBy: ['gpu.config-space-dead', 'gpu.missing-all', ...notComingUp],
        confidence: sure || given ? 'high' : 'low',
      }),
    ),
    gaps:
      given && answering.length > 0 ? [{ field: 'gpuBackend.gpus', reason: 'not-observable', detail }] : [],
  };
}

function notOnBus(pciGpus: readonly PciGpu[], listed: readonly DriverGpu[]): Candidate[] {
  const onBus = new Set(pciGpus.map(({ pciAddress }) => pciDeviceKey(pciAddress)));
  return listed.flatMap(({ index, pciAddress }) => {
    const device = pciDeviceKey(pciAddress);
    if (device === undefined || onBus.has(device)) return [];
    return [
      candidate('gpu.not-on-bus', {
        verdict: 'critical',
        gpu: index,
        pciDevice: device,
        what: 'The driver lists this GPU, but the PCI bus no longer has it.',
        evidence: [
          { field: 'gpu.pciAddress', value: pciAddress },
          { field: 'pciBus.pciAddress', value: null },
        ],
        action: 'reboot-node',
        actionAlone: 'monitor',
        confirmedBy: ['gpu.lost', 'gpu.hung', 'log.'],
        confidence: 'high',
      }),
    ];
  });
}

/** One finding for each kernel driver that holds GPUs, or for none, however many there are. */
function boundElsewhere(absent: readonly PciGpu[], expected: string): Candidate[] {
  const holders = new Map<string | null, PciGpu[]>();
  for (const gpu of absent) {
    if (gpu.driver === expected || gpu.respondsOnBus === false) continue;
    const held = holders.get(gpu.driver);
    if (held) held.push(gpu);
    else holders.set(gpu.driver, [gpu]);
  }
  return [...holders].map(([driver, gpus]) => {
    const [only] = gpus;
    const count = gpus.length === 1 ? '1 GPU on the PCI bus' : `${gpus.length} GPUs on the PCI bus`;
    const verb = gpus.length === 1 ? 'is' : 'are';
    const lent = driver !== null && lendingDrivers.has(driver);
    return candidate(driver === null ? 'gpu.without-driver' : 'gpu.bound-to-other-driver', {
      verdict: lent ? 'ok' : 'warning',
      ...(gpus.length === 1 && only ? place(only.pciAddress) : {}),
      what:
        driver === null
          ? `${count} ${verb} not bound to any kernel driver.`
          : `${count} ${verb} held by another kernel driver${lent ? ', to be lent to a virtual machine' : ''}.`,
      evidence: gpus.map(({ pciAddress }) => ({
        field: `pciBus.driver of ${pciAddress}`,
        value: driver,
        threshold: expected,
      })),
      action: lent ? 'none' : 'update-software',
      confidence: 'high',
    });
  });
}

function deviceNodes(listed: readonly DriverGpu[], { deviceNodes: nodes }: HostDevicesReading): CrossCheck {
  if (nodes === null || listed.length === 0) return { candidates: [], gaps: [] };
  if (nodes.length === 0) {
    const detail = 'no device file of a GPU is visible here, though the driver lists GPUs';
    return { candidates: [], gaps: [{ field: 'deviceNodes', reason: 'not-observable', detail }] };
  }
  const minors = new Set(nodes.map(({ minorNumber }) => minorNumber));
  return {
    candidates: listed
      .filter(({ minorNumber }) => minorNumber !== null && !minors.has(minorNumber))
      .map(({ index, minorNumber }) =>
        candidate('gpu.without-device-node', {
          verdict: 'warning',
          gpu: index,
          what: `The driver lists this GPU, but its device file /dev/nvidia${minorNumber} does not exist here: applications cannot open it.`,
          evidence: [{ field: 'identity.minorNumber', value: minorNumber }],
          action: 'restart-service',
          confidence: 'high',
        }),
      ),
    gaps: [],
  };
}
