import { awaitWithin } from '../await-within.ts';
import { type CrossCheck, crossCheck, gpusOfVendor } from '../diagnosis/cross-check.ts';
import type { Gap } from '../domain/gap.ts';
import type { GpuReading, NodeDescription } from '../domain/gpu.ts';
import type { Incident } from '../domain/incident.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import { type Finding, type Verdict, worstVerdict } from '../domain/verdict.ts';
import { GpuError, isGpuError } from '../errors.ts';
import { gapReasonOf } from '../gpu-reader.ts';
import { assessNode } from '../health/assess.ts';
import { driverUnusable } from '../health/node-rules.ts';
import type { Candidate } from '../health/rule.ts';
import { driverLibraryCrash } from '../health/state-rules.ts';
import type { HostDevicesReading, PciGpu } from '../ports/host-devices.ts';
import type { PciBusCoverage } from './answer.ts';
import type { Toolkit } from './toolkit.ts';

export interface PciBusRead {
  readonly vendor: string;
  readonly host: HostDevicesReading;
  readonly coverage: PciBusCoverage;
  readonly gaps: readonly Gap[];
}

/** What the machine knows of its GPUs; null where the embedder gave no port for it. Never rejects: a gap says what could not be read. */
export async function readPciBus(toolkit: Toolkit, signal: AbortSignal): Promise<PciBusRead | null> {
  const { hostDevices, clock, logger, reader } = toolkit;
  if (!hostDevices) return null;
  const { vendor } = reader.manifest;
  try {
    const host = await awaitWithin(hostDevices.read(signal), signal, clock, () => {
      logger.warn('the host device adapter ignored its deadline');
      return new GpuError('TIMEOUT', 'the PCI bus was not read within the deadline');
    });
    const gpuCount = gpusOfVendor(vendor, host)?.length ?? null;
    const deviceNodeCount = host.deviceNodes?.length ?? null;
    return {
      vendor,
      host,
      coverage: { readable: host.pciGpus !== null, gpuCount, deviceNodeCount },
      gaps: host.gaps,
    };
  } catch (thrown) {
    const error = isGpuError(thrown) ? thrown : new GpuError('INTERNAL', 'reading the PCI bus failed');
    if (error !== thrown) logger.error('the host device adapter failed', { error: thrown });
    return {
      vendor,
      host: { pciGpus: null, deviceNodes: null, gaps: [] },
      coverage: { readable: false, gpuCount: null, deviceNodeCount: null },
      gaps: [{ field: 'pciBus', reason: gapReasonOf(error), detail: error.message }],
    };
  }
}

const nothingSeen: CrossCheck = { candidates: [], gaps: [] };

/** The bus against what the driver lists. Minor numbers are those of readings with the section identity. */
export function crossCheckNode(
  bus: PciBusRead | null,
  node: NodeDescription,
  readings: readonly GpuReading[],
): CrossCheck {
  if (!bus) return nothingSeen;
  const readingOf = new Map(readings.map((reading) => [reading.gpu.index, reading]));
  const listed = node.gpus.map(({ index, pciAddress }) => {
    const { identity, state } = readingOf.get(index) ?? {};
    const minorNumber = identity?.minorNumber ?? null;
    return { index, pciAddress, minorNumber, ...(state === undefined ? {} : { state }) };
  });
  return crossCheck(bus.vendor, listed, bus.host);
}

/** A GPU as the bus shows it while the driver cannot be asked: it has no index, which is the driver's. */
export interface BusGpu extends Omit<PciGpu, 'vendorId'> {
  readonly index: null;
  readonly uuid: null;
  readonly state: 'unreadable';
  readonly verdict: Verdict;
}

/** What can be said without the driver: the GPUs of the bus, and findings from bus, kernel log, and how the driver failed. */
export function withoutDriver(
  bus: PciBusRead | null,
  error: GpuError | null,
  incidents: readonly Incident[],
): { readonly gpus: readonly BusGpu[]; readonly findings: readonly Finding[] } {
  const { candidates } = bus ? crossCheck(bus.vendor, null, bus.host) : nothingSeen;
  const failure: Candidate[] =
    error?.code === 'ADAPTER_CRASHED'
      ? [driverLibraryCrash(error.message)]
      : error?.code === 'DRIVER_MISMATCH'
        ? [driverUnusable]
        : [];
  const gpus = bus ? (gpusOfVendor(bus.vendor, bus.host) ?? []) : [];
  return {
    gpus: gpus.map(({ vendorId: _, ...gpu }) => {
      const device = pciDeviceKey(gpu.pciAddress);
      const own = assessNode(
        incidents.filter(({ pciAddress }) => pciAddress === device),
        candidates.filter(({ pciDevice }) => pciDevice === device),
      );
      const verdict = worstVerdict(['unknown', ...own.map((finding) => finding.verdict)]);
      return { index: null, uuid: null, state: 'unreadable', verdict, ...gpu };
    }),
    findings: assessNode(incidents, [...candidates, ...failure]),
  };
}
