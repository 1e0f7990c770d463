import { subjectOfFinding } from '../../diagnosis/explain/finding-signs.ts';
import { nearMilliseconds } from '../../diagnosis/explain/scope.ts';
import type { DiagnosisQuestion } from '../../domain/diagnosis.ts';
import type { Incident } from '../../domain/incident.ts';
import { GpuError } from '../../errors.ts';
import { parseGpuSelector, resolveGpu } from '../../selector.ts';
import { checkOrder, parseTime } from '../arguments.ts';
import type { NodeExamination } from '../node-examination.ts';
import { show } from '../run-tool.ts';
import type { Toolkit } from '../toolkit.ts';

/** What a caller may ask a report about: one of them, or nothing. */
export interface Asked {
  readonly gpu: string | number | undefined;
  readonly incident: string | undefined;
  readonly at: string | undefined;
}

export interface ReportSubject {
  /** Narrowed to the device that was asked for by its place or by an incident on it. */
  readonly examination: NodeExamination;
  readonly question: DiagnosisQuestion;
  readonly isAsked: (incident: Incident) => boolean;
}

/** @throws GpuError INVALID_INPUT when several are given, or one that cannot be understood. */
export function checkAsked(asked: Asked): void {
  if (asked.gpu !== undefined) parseGpuSelector(asked.gpu);
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  if (given.length < 2) return;
  const names = given.map(([name, value]) => `${name} = ${show(value)}`).join(' and ');
  throw new GpuError('INVALID_INPUT', `${names}: a report is about one of gpu, incident and at.`, {
    hint: 'Give one of them, or none for what is wrong now.',
  });
}

/** From when on the log is read: far enough back to have what was asked about. Undefined for all that it has. */
export function lookbackOf(since: string | null, { at, incident }: Asked, now: number): string | undefined {
  const from = since === null ? undefined : parseTime('since', since, now);
  if (from !== undefined) checkOrder(from, now);
  const moment = at === undefined ? undefined : Date.parse(parseTime('at', at, now));
  if (moment !== undefined && moment > now) {
    throw new GpuError('INVALID_INPUT', `at = ${show(at)} is in the future.`, {
      hint: 'Give a time before now.',
    });
  }
  if (from === undefined) return undefined;
  // The id of an incident tells when it began: a log that is read from later on would give it another.
  const began = Date.parse(/#(\d{4}-\d\d-\d\dT[^~]{1,30}?Z)/.exec(incident ?? '')?.[1] ?? '');
  const wanted = moment === undefined ? began : moment - nearMilliseconds;
  return Number.isNaN(wanted) || wanted >= Date.parse(from) ? from : new Date(wanted).toISOString();
}

/**
 * @throws GpuError INVALID_INPUT for an incident that is not in the log, GPU_NOT_FOUND for a GPU that this node does not have, or the
 * driver's error when it cannot be asked for one.
 */
export async function subjectOf(
  toolkit: Toolkit,
  { gpu, incident, at }: Asked,
  examination: NodeExamination,
  signal: AbortSignal,
): Promise<ReportSubject> {
  if (incident !== undefined) return ofIncident(incident, examination);
  if (at !== undefined) return ofTime(parseTime('at', at, toolkit.clock.now()), examination);
  if (gpu !== undefined) return ofGpu(toolkit, gpu, examination, signal);
  return { examination, question: { kind: 'newest' }, isAsked: () => true };
}

function ofTime(at: string, examination: NodeExamination): ReportSubject {
  const moment = Date.parse(at);
  const isAsked = ({ firstAt, lastAt }: Incident) => {
    const first = Date.parse(firstAt ?? lastAt ?? '');
    return (
      first - nearMilliseconds <= moment && moment <= Date.parse(lastAt ?? firstAt ?? '') + nearMilliseconds
    );
  };
  return { examination, question: { kind: 'time', at }, isAsked };
}

function ofIncident(id: string, examination: NodeExamination): ReportSubject {
  const found = examination.incidents.find((each) => each.id === id);
  if (!found) {
    throw new GpuError(
      'INVALID_INPUT',
      `incident = ${show(id)} is not in the part of the kernel log that was read.`,
      {
        hint: 'Call analyze_xid_errors for the ids of incidents, give an earlier since, or leave incident out.',
      },
    );
  }
  const { gpu, pciAddress, lastAt } = found;
  const question: DiagnosisQuestion =
    lastAt !== null
      ? { kind: 'time', at: lastAt }
      : gpu
        ? { kind: 'gpu', index: gpu.index }
        : { kind: 'newest' };
  const narrowed = gpu || pciAddress !== null ? ofDevice(examination, pciAddress, gpu?.index) : examination;
  return { examination: narrowed, question, isAsked: (each) => each.id === id };
}

/** A GPU of the inventory, or a place on the bus of one that the driver does not list (any more). */
async function ofGpu(
  toolkit: Toolkit,
  gpu: string | number,
  examination: NodeExamination,
  signal: AbortSignal,
): Promise<ReportSubject> {
  const { node, nodeError } = examination;
  const isAsked = () => true;
  try {
    if (!node) throw nodeError ?? new GpuError('UNAVAILABLE', 'there is no inventory');
    const { index } = await resolveGpu(gpu, node.gpus, toolkit.reader, signal);
    return { examination, question: { kind: 'gpu', index }, isAsked };
  } catch (thrown) {
    const parsed = parseGpuSelector(gpu);
    if (parsed.kind === 'pci') {
      const narrowed = ofDevice(examination, parsed.key, undefined);
      if (!node || narrowed.incidents.some(({ pciAddress }) => pciAddress === parsed.key))
        return { examination: narrowed, question: { kind: 'newest' }, isAsked };
    }
    if (node) throw thrown;
    const { code, message } = nodeError ?? new GpuError('UNAVAILABLE', 'no readings of GPUs are at hand');
    throw new GpuError(code, `gpu = ${show(gpu)} cannot be looked up: ${message}.`, {
      hint: 'Give the PCI address of the GPU instead, or leave gpu out.',
    });
  }
}

/** What is known of one place on the bus, and of the node as a whole. */
function ofDevice(
  examination: NodeExamination,
  pciAddress: string | null,
  index: number | undefined,
): NodeExamination {
  const isOwn = (gpu: number | undefined) => gpu !== undefined && gpu === index;
  return {
    ...examination,
    readings: examination.readings.filter(({ gpu }) => isOwn(gpu.index)),
    assessments: examination.assessments.filter(({ gpu }) => isOwn(gpu)),
    holders: examination.holders.filter(({ shares }) => shares.some(({ gpu }) => isOwn(gpu))),
    holderFindings: examination.holderFindings.filter(({ gpu }) => isOwn(gpu)),
    incidents: examination.incidents.filter(
      (incident) =>
        incident.pciAddress === null || incident.pciAddress === pciAddress || isOwn(incident.gpu?.index),
    ),
    nodeFindings: examination.nodeFindings.filter((finding) => {
      const subject = subjectOfFinding(finding);
      if (subject.pciDevice !== undefined) return subject.pciDevice === pciAddress;
      // A finding on incidents comes again with those that are left.
      return isOwn(subject.gpu) || (subject.gpu === undefined && !finding.ruleId.startsWith('log.'));
    }),
  };
}
