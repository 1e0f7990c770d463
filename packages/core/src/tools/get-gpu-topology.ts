import { z } from 'zod';
import {
  type Connection,
  connectionBetween,
  type LinkedGpu,
  linkedGpu,
  pciePathBetween,
  summariseLinks,
} from '../diagnosis/interconnect.ts';
import { interconnectFindings } from '../diagnosis/interconnect-findings.ts';
import type { GpuReading, GpuSection } from '../domain/gpu.ts';
import { pciDeviceKey } from '../domain/pci-address.ts';
import { type Finding, type Verdict, worstVerdict } from '../domain/verdict.ts';
import { byUrgency } from '../health/assess.ts';
import {
  answerSchema,
  backendUnreadable,
  type Detail,
  gpuBackendCoverage,
  makeAnswer,
  type NextStep,
} from './answer.ts';
import { detailArgument, gpuArgument } from './arguments.ts';
import { type PciBusRead, readPciBus } from './pci-bus.ts';
import { defineTool } from './tool.ts';
import { readSiblings, type Toolkit } from './toolkit.ts';

const sections = [
  'identity',
  'topology',
  'nvlink',
  'fabric',
  'pcie',
  'mig',
] as const satisfies readonly GpuSection[];

const maximumFindings = 10;

/** How the GPUs of this node reach each other and the CPUs. */
export function getGpuTopology(toolkit: Toolkit) {
  return defineTool({
    name: 'get_gpu_topology',
    title: 'GPU topology',
    description:
      'How GPUs reach each other: matrix as in nvidia-smi topo -m (NVn, PIX, PXB, PHB, NODE, SYS), NVLink states and errors, fabric, NUMA node, CPU affinity, PCIe link. Finds inactive links and refused peer access.',
    inputSchema: z.strictObject({ gpu: gpuArgument, detail: detailArgument }),
    outputSchema: answerSchema({
      matrix: z.array(z.looseObject({ gpu: z.number(), to: z.looseObject({}) })),
      gpus: z.array(z.looseObject({ index: z.number(), state: z.string() })),
      findings: z.array(z.looseObject({ ruleId: z.string(), what: z.string() })).optional(),
    }),
    async handle({ gpu, detail }, signal) {
      // Whether a link is missing only shows beside the links of the others, so all are read whichever is asked for.
      const reading = readPciBus(toolkit, signal);
      const { node, error, readings, selected } = {
        selected: undefined,
        ...(await readSiblings(toolkit, gpu, sections, signal)),
      };
      const bus = await reading;
      if (error) return backendUnreadable(toolkit, error, { matrix: [], gpus: [] });
      const shown = readings.filter(
        (reading) => selected === undefined || reading.gpu.index === selected.index,
      );
      const isShown = (index: number | undefined) => shown.some((reading) => reading.gpu.index === index);
      const findings = interconnectFindings(readings)
        .filter((finding) => isShown(finding.gpu))
        .sort(byUrgency);
      const listed = detail === 'full' ? findings : findings.slice(0, maximumFindings);
      const all = readings.map(linkedGpu);
      const asked = all.filter(({ reading }) => shown.includes(reading));
      const verdict = worstVerdict([...shown.map(verdictOf), ...findings.map((finding) => finding.verdict)]);
      return makeAnswer(toolkit, detail, {
        verdict,
        summary: summarise(asked, all, findings),
        payload: {
          matrix: asked.map((one) => ({ gpu: one.reading.gpu.index, to: rowOf(one, all) })),
          gpus: shown.map((reading) => present(reading, readings, bus, detail)),
        },
        findings: listed,
        gaps: [
          ...node.gaps,
          ...shown.flatMap((reading) => reading.gaps).filter(({ field }) => !field.startsWith('mig')),
          ...(bus?.gaps ?? []),
        ],
        gpuCount: shown.length,
        gpuBackend: gpuBackendCoverage(toolkit, undefined),
        ...(bus ? { pciBus: bus.coverage } : {}),
        nextSteps: nextSteps(shown, findings),
        ...(listed.length < findings.length ? { page: { total: findings.length, truncated: true } } : {}),
      });
    },
  });
}

/** A GPU is judged by its links or its peers; a product that has neither reading leaves nothing to judge by. */
function verdictOf(reading: GpuReading): Verdict {
  if (reading.state !== 'ok') return reading.state === 'unreadable' ? 'unknown' : 'critical';
  const { nvlink, topology, gaps } = reading;
  const known = [nvlink?.links, topology?.peers].filter((value) => value !== null && value !== undefined);
  const unread = gaps.some(
    ({ field, reason }) =>
      reason !== 'unsupported' && ['nvlink', 'nvlink.links', 'topology', 'topology.peers'].includes(field),
  );
  const unsure = nvlink?.links?.some((link) => link.active === null) === true;
  return known.length === 0 || unread || unsure ? 'unknown' : 'ok';
}

const rowOf = (one: LinkedGpu, all: readonly LinkedGpu[]): Readonly<Record<string, Connection>> =>
  Object.fromEntries(all.map((other) => [String(other.reading.gpu.index), connectionBetween(one, other)]));

function summarise(
  shown: readonly LinkedGpu[],
  all: readonly LinkedGpu[],
  findings: readonly Finding[],
): string {
  if (shown.length === 0) return 'The driver counts no GPUs on this node.';
  const counts = new Map<string, number>();
  for (const one of shown) {
    for (const other of all) {
      // Each pair once, also when both ends are shown.
      const isShown = shown.includes(other);
      if (other === one || (isShown && other.reading.gpu.index < one.reading.gpu.index)) continue;
      const connection = connectionBetween(one, other) ?? 'unknown';
      counts.set(connection, (counts.get(connection) ?? 0) + 1);
    }
  }
  const pairs = [...counts].map(([connection, count]) => `${connection} x ${count}`).join(', ');
  const total = shown.length === 1 ? `GPU ${shown[0]?.reading.gpu.index}` : `${shown.length} GPUs`;
  const parts = [pairs ? `${total}, ways between pairs: ${pairs}.` : `${total}, no other GPU to reach.`];
  for (const { reading } of shown)
    if (reading.state !== 'ok') parts.push(`GPU ${reading.gpu.index} is ${reading.state}.`);
  const [first] = findings;
  if (first) {
    const more = findings.length > 1 ? ` And ${findings.length - 1} more.` : '';
    parts.push(`GPU ${first.gpu}: ${first.what}${more}`);
  }
  return parts.join(' ');
}

function present(reading: GpuReading, all: readonly GpuReading[], bus: PciBusRead | null, detail: Detail) {
  const { gpu, state, stateDetail, topology, pcie } = reading;
  const key = pciDeviceKey(gpu.pciAddress);
  const host = bus?.host.pciGpus?.find((each) => key !== undefined && pciDeviceKey(each.pciAddress) === key);
  const hostNode = host?.numaNode;
  const row = {
    index: gpu.index,
    state,
    ...(stateDetail === undefined ? {} : { stateDetail }),
    pciAddress: gpu.pciAddress,
    // The PCI bus knows the node of a GPU also when its driver does not answer.
    numaNode:
      topology?.numaAffinity ?? (hostNode === null || hostNode === undefined ? null : String(hostNode)),
    cpuAffinity: topology?.cpuAffinity ?? null,
    nvlink: presentLinks(reading),
    ...(pcie
      ? {
          pcie: {
            generation: pcie.currentGeneration,
            maxGeneration: pcie.maxGeneration,
            widthLanes: pcie.currentLinkWidthLanes,
            maxWidthLanes: pcie.maxLinkWidthLanes,
          },
        }
      : {}),
    ...presentFabric(reading, detail),
  };
  if (detail === 'summary') return row;
  return {
    ...row,
    uuid: gpu.uuid,
    name: gpu.name,
    memoryNumaNode: topology?.memoryNumaNode ?? null,
    peers: (topology?.peers ?? []).map((peer) => {
      const other = all.find((each) => each.gpu.index === peer.index);
      const { index, commonAncestor: _, ...access } = peer;
      return { index, pciePath: other ? pciePathBetween(reading, other) : null, ...access };
    }),
    links: (reading.nvlink?.links ?? []).map(withoutNulls),
  };
}

function presentLinks(reading: GpuReading) {
  const links = summariseLinks(reading);
  if (!links) return null;
  const { linkCount, activeCount, inactiveLinks, unknownLinks, errorCounts } = links;
  if (linkCount === 0) return { links: 0 };
  return {
    links: linkCount,
    active: activeCount,
    ...(inactiveLinks.length > 0 ? { inactiveLinks } : {}),
    ...(unknownLinks.length > 0 ? { unknownLinks } : {}),
    version: links.version,
    speedMegabytesPerSecond: links.speedMegabytesPerSecond,
    to: links.remotes,
    ...(Object.keys(errorCounts).length > 0 ? { errorCounts } : {}),
  };
}

/** A summary says of a working fabric only that it works. */
function presentFabric({ fabric }: GpuReading, detail: Detail) {
  if (!fabric || fabric.state === null) return {};
  if (detail === 'full') return { fabric };
  return fabric.state === 'not-supported' ? {} : { fabric: fabric.state };
}

/** What a link does not tell has its gap; a list of 18 links need not repeat it 18 times. */
const withoutNulls = (link: object) =>
  Object.fromEntries(Object.entries(link).filter(([, value]) => value !== null));

function nextSteps(readings: readonly GpuReading[], findings: readonly Finding[]): NextStep[] {
  const steps: NextStep[] = [];
  const [first] = findings;
  if (first) {
    steps.push({ action: first.action, reason: `GPU ${first.gpu}: ${first.what}` });
    if (first.verdict !== 'unknown') {
      steps.push({
        action: 'none',
        reason: 'See whether the kernel log tells of NVLink or NVSwitch errors.',
        tool: 'analyze_xid_errors',
      });
    }
  }
  const broken = readings.filter((reading) => reading.state !== 'ok');
  if (broken.length > 0) {
    const indices = broken.map(({ gpu }) => gpu.index).join(', ');
    steps.push({ action: 'none', reason: `GPU ${indices} did not answer: see why.`, tool: 'get_gpu_health' });
  }
  return steps;
}
