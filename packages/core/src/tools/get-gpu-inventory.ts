import { z } from 'zod';
import { capabilityTierOf } from '../diagnosis/capability-tier.ts';
import { type DriftField, type DriftSubject, driftFindings, findDrift } from '../diagnosis/drift.ts';
import type { Gap } from '../domain/gap.ts';
import type { GpuReading, GpuSection } from '../domain/gpu.ts';
import type { MigDevice } from '../domain/readings/mig.ts';
import { type Finding, type Verdict, worstVerdict } from '../domain/verdict.ts';
import { assessNode } from '../health/assess.ts';
import {
  answerSchema,
  backendUnreadable,
  type Detail,
  findingsSchema,
  gpuBackendCoverage,
  makeAnswer,
  type NextStep,
} from './answer.ts';
import { detailArgument, gpuArgument } from './arguments.ts';
import { crossCheckNode, readPciBus, withoutDriver } from './pci-bus.ts';
import { defineTool } from './tool.ts';
import { readNode, type Toolkit } from './toolkit.ts';

const sections = [
  'identity',
  'memory',
  'power',
  'ecc',
  'pcie',
  'nvlink',
  'mig',
] as const satisfies readonly GpuSection[];

/** Of sections read for a few of their leaves, the gaps of those leaves; of the others, all. */
const partlyUsed: Readonly<Record<string, readonly string[]>> = {
  power: ['requestedLimitWatts', 'enforcedLimitWatts'],
  ecc: ['enabled', 'pendingEnabled'],
  pcie: ['maxGeneration', 'maxLinkWidthLanes'],
  nvlink: ['links'],
};
function isMissed({ field }: Gap): boolean {
  const [section = '', leaf, member] = field.split('.');
  const used = partlyUsed[section];
  return used === undefined || leaf === undefined || (member === undefined && used.includes(leaf));
}

/** What GPUs are here. */
export function getGpuInventory(toolkit: Toolkit) {
  return defineTool({
    name: 'get_gpu_inventory',
    title: 'GPU inventory',
    description:
      'What GPUs are on this node: identity, driver, memory, capability tier, ECC and MIG mode, and what differs between siblings. Start here for the indices and UUIDs other tools take.',
    inputSchema: z.strictObject({ gpu: gpuArgument, detail: detailArgument }),
    outputSchema: answerSchema({
      driverVersion: z.string().nullable(),
      gpuCount: z.number().nullable(),
      gpus: z.array(z.looseObject({ index: z.number().nullable(), state: z.string() })),
      drift: z.array(z.looseObject({ field: z.string() })),
      findings: findingsSchema,
    }),
    async handle({ gpu, detail }, signal) {
      const [{ node, error, readings }, bus] = await Promise.all([
        readNode(toolkit, gpu, sections, signal),
        readPciBus(toolkit, signal),
      ]);
      const onBus = bus ? { pciBus: bus.coverage } : {};
      if (error) {
        const { gpus, findings } = withoutDriver(bus, error, []);
        const payload = { driverVersion: null, gpuCount: null, gpus, drift: [] };
        return backendUnreadable(toolkit, error, payload, { ...onBus, gaps: bus?.gaps ?? [], findings });
      }
      const seen = crossCheckNode(bus, node, readings);
      const asked = new Set(readings.map((reading) => reading.gpu.index));
      const concerned = seen.candidates.filter((each) =>
        each.gpu === undefined ? gpu === undefined : asked.has(each.gpu),
      );
      const drift = findDrift(readings.map(settingsOf));
      const findings = assessNode([], [...concerned, ...driftFindings(drift)]);
      const verdict = verdictOf(readings, findings);
      return makeAnswer(toolkit, detail, {
        ...(verdict === undefined ? {} : { verdict }),
        summary: summarise(readings, node.driverVersion, findings),
        payload: {
          driverVersion: node.driverVersion,
          libraryVersion: node.libraryVersion,
          computeApiVersion: node.computeApiVersion,
          ...(detail === 'full'
            ? {
                driverBranch: node.driverBranch,
                confidentialComputingEnabled: node.confidentialComputingEnabled,
              }
            : {}),
          gpuCount: node.gpus.length,
          gpus: readings.map((reading) => presentGpu(reading, detail)),
          drift: drift.map(({ cohort, values, ...rest }) => ({
            ...rest,
            product: cohort,
            values: values.map(({ value, ids }) => ({ value, gpus: ids })),
          })),
        },
        findings,
        gpuCount: readings.length,
        gaps: [
          ...node.gaps,
          ...readings.flatMap((reading) => reading.gaps.filter(isMissed)),
          ...seen.gaps,
          ...(bus?.gaps ?? []),
        ],
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        ...onBus,
        nextSteps: nextSteps(readings, findings),
      });
    },
  });
}

/** What GPUs of one product should have in common. */
function settingsOf({ gpu, identity, ecc, mig, power, pcie }: GpuReading): DriftSubject<number> {
  const settings: Record<DriftField, string | number | boolean | null> = {
    boardPartNumber: identity?.boardPartNumber ?? null,
    vbiosVersion: identity?.vbiosVersion ?? null,
    inforomVersion: identity?.inforomVersion ?? null,
    eccEnabled: ecc?.enabled ?? null,
    eccPendingEnabled: ecc?.pendingEnabled ?? null,
    migEnabled: mig?.enabled ?? null,
    migPendingEnabled: mig?.pendingEnabled ?? null,
    requestedPowerLimitWatts: power?.requestedLimitWatts ?? null,
    enforcedPowerLimitWatts: power?.enforcedLimitWatts ?? null,
    persistenceModeEnabled: identity?.persistenceModeEnabled ?? null,
    computeMode: identity?.computeMode ?? null,
    maxPcieGeneration: pcie?.maxGeneration ?? null,
    maxPcieLinkWidthLanes: pcie?.maxLinkWidthLanes ?? null,
  };
  return { id: gpu.index, cohort: gpu.name ?? 'unknown', settings };
}

/** Only where something is not as it should be: an inventory judges nothing else. */
function verdictOf(readings: readonly GpuReading[], findings: readonly Finding[]): Verdict | undefined {
  const states = readings.flatMap(({ state }): Verdict[] =>
    state === 'ok' ? [] : [state === 'unreadable' ? 'unknown' : 'critical'],
  );
  const told = [...states, ...findings.map(({ verdict }) => verdict)].filter((verdict) => verdict !== 'ok');
  return told.length > 0 ? worstVerdict(told) : undefined;
}

function summarise(
  readings: readonly GpuReading[],
  driverVersion: string | null,
  findings: readonly Finding[],
): string {
  const told = findings.filter(({ verdict }) => verdict !== 'ok');
  const first = told[0] ? ` ${told[0].what}${told.length > 1 ? ` And ${told.length - 1} more.` : ''}` : '';
  if (readings.length === 0) return `The driver counts no GPUs on this node.${first}`;
  const byName = new Map<string, number>();
  for (const { gpu } of readings) {
    const name = gpu.name ?? 'unreadable GPU';
    byName.set(name, (byName.get(name) ?? 0) + 1);
  }
  const list = [...byName].map(([name, count]) => `${count} x ${name}`).join(', ');
  const broken = readings.filter((reading) => reading.state !== 'ok');
  const note = broken.map(({ gpu, state }) => ` GPU ${gpu.index} is ${state}.`).join('');
  return `${list}, driver ${driverVersion ?? 'unknown'}.${note}${first}`;
}

function presentGpu(reading: GpuReading, detail: Detail) {
  const { gpu, state, stateDetail, identity, memory, power, ecc, pcie, nvlink, mig } = reading;
  const row = {
    index: gpu.index,
    state,
    ...(stateDetail === undefined ? {} : { stateDetail }),
    name: gpu.name,
    uuid: gpu.uuid,
    pciAddress: gpu.pciAddress,
    serial: identity?.serial ?? null,
    tier: capabilityTierOf(reading),
    memoryTotalBytes: memory?.totalBytes ?? null,
    eccEnabled: ecc?.enabled ?? null,
    migEnabled: mig?.enabled ?? null,
    ...(mig?.devices?.length ? { migDevices: mig.devices.map((device) => presentMig(device, detail)) } : {}),
  };
  if (detail === 'summary' || !identity) return row;
  const { name: _name, uuid: _uuid, serial: _serial, ...rest } = identity;
  return {
    ...row,
    ...rest,
    memoryReservedBytes: memory?.reservedBytes ?? null,
    bar1TotalBytes: memory?.bar1TotalBytes ?? null,
    eccPendingEnabled: ecc?.pendingEnabled ?? null,
    requestedPowerLimitWatts: power?.requestedLimitWatts ?? null,
    enforcedPowerLimitWatts: power?.enforcedLimitWatts ?? null,
    maxPcieGeneration: pcie?.maxGeneration ?? null,
    maxPcieLinkWidthLanes: pcie?.maxLinkWidthLanes ?? null,
    nvlinkCount: nvlink?.links?.length ?? null,
    activeNvlinkCount: nvlink?.links?.filter((link) => link.active === true).length ?? null,
    migPendingEnabled: mig?.pendingEnabled ?? null,
    migMaxDeviceCount: mig?.maxDeviceCount ?? null,
    ...(mig?.profiles?.length ? { migProfiles: mig.profiles } : {}),
  };
}

function presentMig(device: MigDevice, detail: Detail) {
  if (detail === 'full') return device;
  const { index, uuid, profile, memoryTotalBytes } = device;
  return { index, uuid, profile, memoryTotalBytes };
}

function nextSteps(readings: readonly GpuReading[], findings: readonly Finding[]): NextStep[] {
  const broken = readings.filter((reading) => reading.state !== 'ok');
  const [worst] = findings.filter(({ verdict }) => verdict !== 'ok');
  const indices = broken.map(({ gpu }) => gpu.index).join(', ');
  return [
    ...(worst ? [{ action: worst.action, reason: worst.what }] : []),
    ...(broken.length > 0
      ? [
          {
            action: 'none' as const,
            reason: `GPU ${indices} did not answer: see why.`,
            tool: 'get_gpu_health',
          },
        ]
      : []),
  ];
}
