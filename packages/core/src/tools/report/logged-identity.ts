import type { KernelEvent } from '../../domain/event.ts';
import type { GpuReading } from '../../domain/gpu.ts';
import { formatPciAddress, parsePciAddress, pciDeviceKey } from '../../domain/pci-address.ts';
import type { NodeExamination } from '../node-examination.ts';

/** What bus and kernel log tell of a GPU that no longer tells it itself. */
export interface LoggedIdentity {
  /** `domain:bus:device.function`. */
  readonly pciAddress: string | null;
  /** Whose word the address is; absent where the driver itself told it, or nothing did. */
  readonly addressFrom?: 'kernel-log' | 'pci-bus';
  readonly uuid: string | null;
  readonly serial: string | null;
}

const nothing: LoggedIdentity = { pciAddress: null, uuid: null, serial: null };

/**
 * The address as the bus finding or the incidents of this GPU have it, and what the driver logged of the board at that address since the
 * last boot. Nothing is taken from lines that contradict one another or the driver: a board may have been exchanged.
 */
export function loggedIdentityOf(reading: GpuReading, examination: NodeExamination): LoggedIdentity {
  const { gpu } = reading;
  const place = gpu.pciAddress ? { pciAddress: gpu.pciAddress } : addressOf(gpu.index, examination);
  const key = pciDeviceKey(place?.pciAddress);
  if (!place || key === undefined) return nothing;
  const lines = identityLines(examination).filter((event) => event.pciAddress === key);
  const uuids = new Set(lines.flatMap(({ gpuUuid }) => gpuUuid ?? []));
  const serials = new Set(lines.flatMap(({ decoded }) => serialIn(decoded)));
  const [uuid = null] = uuids;
  const [serial = null] = serials;
  const isOther =
    uuids.size > 1 ||
    serials.size > 1 ||
    (uuid !== null && gpu.uuid !== null && uuid !== gpu.uuid) ||
    examination.readings.some((other) => other !== reading && uuid !== null && other.gpu.uuid === uuid);
  return { ...place, ...(isOther ? { uuid: null, serial: null } : { uuid, serial }) };
}

const serialIn = (decoded: KernelEvent['decoded']) =>
  typeof decoded?.['serial'] === 'string' ? [decoded['serial']] : [];

/** Where the GPU was; null when nothing tells, or more than one place is told. */
function addressOf(index: number, { assessments, incidents }: NodeExamination) {
  const found = assessments.find(({ gpu }) => gpu === index)?.findings ?? [];
  const onBus = found
    .flatMap(({ evidence }) => evidence)
    .flatMap(({ field, value }) => (field === 'pciBus.pciAddress' ? String(value) : []));
  const inLog = incidents
    .filter(
      ({ gpu, standing, trusted }) => gpu?.index === index && standing === 'primary' && trusted !== false,
    )
    .flatMap(({ pciAddress }) => pciAddress ?? []);
  const told = onBus.length > 0 ? onBus : inLog;
  const [address, another] = new Set(
    told.flatMap((text) => parsePciAddress(text) ?? []).map(formatPciAddress),
  );
  if (address === undefined || another !== undefined) return null;
  return { pciAddress: address, addressFrom: onBus.length > 0 ? 'pci-bus' : 'kernel-log' } as const;
}

/** The lines of the kernel that say which board is where, those of the last boot that the log has. */
function identityLines({ log }: NodeExamination): readonly KernelEvent[] {
  const { events, coverage } = log;
  const sinceBoot = events.slice(events.findLastIndex(({ kind }) => kind === 'boot') + 1);
  const boot = sinceBoot.findLast(({ bootId }) => bootId !== undefined)?.bootId;
  const bootedAt = Date.parse(coverage.bootedAt ?? '');
  return sinceBoot.filter(
    ({ kind, trusted, bootId, at }) =>
      kind === 'gpu-identity' &&
      trusted !== false &&
      (bootId === undefined || bootId === boot) &&
      !(Date.parse(at ?? '') < bootedAt),
  );
}
