import { pciDeviceKey } from '@k8s-gpu-mcp/core';
import type { CapturedGpu } from '../recording.ts';
import { type Capture, printsIndex, tellingUuid } from './capture.ts';

export interface Observation {
  readonly capture: Capture;
  readonly gpu: CapturedGpu;
}

/** One GPU and every capture that shows it. */
export interface SeenGpu {
  pciAddress: string | null;
  uuid: string | null;
  name: string | null;
  /** As the tool prints it, or its place in the list. */
  printedIndex: number;
  isIndexPrinted: boolean;
  readonly observations: Observation[];
}

/** The captures that come from one machine, as far as they can tell. */
export interface Machine {
  readonly captures: Capture[];
  readonly gpus: SeenGpu[];
  readonly drivers: Set<string>;
}

/** Sorts captures by the machine they come from, in input order. */
export function assignMachines(captures: readonly Capture[]): readonly Machine[] {
  const machines: Machine[] = [];
  for (const capture of captures) {
    if (capture.gpus.length === 0) continue;
    const best = machines
      .map((machine, position) => ({ machine, position, likeness: likenessOf(machine, capture) }))
      .filter(({ likeness }) => likeness > 0)
      .sort((a, b) => b.likeness - a.likeness || b.position - a.position)[0]?.machine;
    const machine = best ?? { captures: [], gpus: [], drivers: new Set<string>() };
    if (!best) machines.push(machine);
    machine.captures.push(capture);
    if (capture.driverVersion !== null) machine.drivers.add(capture.driverVersion);
    for (const gpu of capture.gpus) join(machine, capture, gpu);
  }
  return machines;
}

/** 0: another machine. The higher, the surer that it is the same. */
function likenessOf(machine: Machine, { gpus, driverVersion }: Capture): number {
  const known = keysOf(machine.gpus);
  const found = keysOf(gpus.map(({ ref }) => ref));
  if (overlaps(known.uuids, found.uuids)) return 3;
  const isSameDriver =
    driverVersion === null || machine.drivers.size === 0 || machine.drivers.has(driverVersion);
  const isSameSlot = overlaps(known.addresses, found.addresses);
  // Other GPUs in the same slots: another machine of the same make, or the GPUs were replaced.
  if (known.uuids.size > 0 && found.uuids.size > 0) return isSameSlot || !isSameDriver ? 0 : 1;
  if (isSameSlot) return 2;
  if (!isSameDriver) return 0;
  return known.addresses.size > 0 && found.addresses.size > 0 && known.uuids.size === 0 ? 0 : 1;
}

function keysOf(refs: readonly { readonly uuid: string | null; readonly pciAddress: string | null }[]) {
  return {
    uuids: new Set(refs.flatMap(({ uuid }) => tellingUuid(uuid) ?? [])),
    addresses: new Set(refs.flatMap(({ pciAddress }) => pciDeviceKey(pciAddress) ?? [])),
  };
}

function overlaps(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  for (const key of b) if (a.has(key)) return true;
  return false;
}

function join(machine: Machine, capture: Capture, gpu: CapturedGpu): void {
  const { ref } = gpu;
  const address = pciDeviceKey(ref.pciAddress);
  const uuid = tellingUuid(ref.uuid);
  const fits = (seen: SeenGpu) =>
    !(address !== undefined && seen.pciAddress !== null && pciDeviceKey(seen.pciAddress) !== address) &&
    !(uuid !== undefined && tellingUuid(seen.uuid) !== undefined && tellingUuid(seen.uuid) !== uuid) &&
    // One capture does not show a GPU twice.
    !(address === undefined && seen.observations.some((known) => known.capture === capture));
  const candidates = machine.gpus.filter(fits);
  const seen =
    candidates.find(({ pciAddress }) => address !== undefined && pciDeviceKey(pciAddress) === address) ??
    candidates.find((known) => uuid !== undefined && tellingUuid(known.uuid) === uuid) ??
    candidates.find((known) => known.printedIndex === ref.index);
  const isIndexPrinted = printsIndex(capture);
  if (!seen) {
    machine.gpus.push({
      pciAddress: ref.pciAddress,
      uuid: ref.uuid,
      name: ref.name,
      printedIndex: ref.index,
      isIndexPrinted,
      observations: [{ capture, gpu }],
    });
    return;
  }
  seen.pciAddress ??= ref.pciAddress;
  if (tellingUuid(seen.uuid) === undefined) seen.uuid = ref.uuid ?? seen.uuid;
  // The table cuts long names.
  if (ref.name !== null && ref.name.length > (seen.name?.length ?? 0)) seen.name = ref.name;
  if (isIndexPrinted && !seen.isIndexPrinted) {
    seen.printedIndex = ref.index;
    seen.isIndexPrinted = true;
  }
  seen.observations.push({ capture, gpu });
}
