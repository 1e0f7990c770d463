import type { Cause, DiagnosisQuestion } from '../../domain/diagnosis.ts';
import type { Incident } from '../../domain/incident.ts';
import type { DiagnosticEvidence } from '../evidence.ts';
import type { WeighedHypothesis } from './likelihood.ts';
import { nearMilliseconds, type Scope } from './scope.ts';
import { isPrimary, nameOfIncident } from './sign.ts';

/** What is known when it is said what else would have to be seen. */
interface Known {
  readonly hypotheses: readonly WeighedHypothesis[];
  readonly scope: Scope;
  readonly evidence: DiagnosticEvidence;
}

interface Mover {
  /** Closed: our own words, with at most the number of an error in them. */
  readonly sentence: string | ((known: Known) => string);
  /** Left out when it was seen, or cannot be asked for. */
  readonly when?: (known: Known) => boolean;
}

const errorOfProgram = ({ scope }: Known): Incident | undefined =>
  scope.incidents.find((each) => isPrimary(each) && each.applicationCommon && each.xid !== undefined);

const hasSibling = ({ evidence }: Known) => evidence.readings.length > 1;

/** Whether every GPU of the node has it already. */
const isOnAll =
  (cause: Cause) =>
  ({ evidence, hypotheses }: Known): boolean => {
    const like = hypotheses.filter((each) => each.cause === cause).flatMap(({ subjects }) => subjects);
    const gpus = new Set(like.flatMap(({ gpu }) => gpu ?? []));
    return evidence.readings.length > 1 && evidence.readings.every(({ gpu }) => gpus.has(gpu.index));
  };

/** By cause: what would move the conclusion, the most telling first. */
const movers = {
  none: [
    { sentence: "An error in the program's own log, with its time, would show where to look." },
    {
      sentence: 'A readable kernel log could still show an error that the readings do not.',
      when: ({ evidence }) => !evidence.kernelLog.readable,
    },
  ],
  unknown: [
    {
      sentence: 'A kernel log of that time would tell whether the driver met an error.',
      when: ({ evidence }) => !evidence.kernelLog.readable,
    },
    {
      sentence: 'Readings of the GPUs would tell whether one of them is at fault.',
      when: ({ evidence }) => evidence.readings.every(({ state }) => state !== 'ok'),
    },
    { sentence: 'The time of the failure, or the pid of the program that failed, would narrow it down.' },
  ],
  'application-fault': [
    {
      sentence: (known) => {
        const error = errorOfProgram(known);
        return `A second ${error ? nameOfIncident(error) : 'error'} on this GPU from another program would point to the GPU.`;
      },
    },
    { sentence: 'The same program failing the same way on another GPU would confirm the program.' },
  ],
  'application-gpu-memory': [
    {
      sentence:
        'The same failure with most of the GPU memory free would point to a leftover holder or the driver.',
    },
  ],
  'host-memory': [{ sentence: 'A GPU error before the kill, instead of after it, would point to the GPU.' }],
  'stalled-collective': [
    {
      sentence:
        'A GPU error, or a program that has ended, on the rank that does not come would show who is waited for.',
    },
  ],
  'leftover-process': [
    { sentence: 'Memory that stays in use after the holders have ended would point to the driver.' },
  ],
  'gpu-memory': [
    { sentence: 'The same error after a reset would make this GPU a candidate for replacement.' },
    {
      sentence: 'Its ECC counters and row-remap state would tell whether the memory was repaired.',
      when: ({ scope }) => scope.readings.every(({ ecc }) => ecc?.uncorrectableVolatileCount == null),
    },
  ],
  'gpu-bus': [
    {
      sentence:
        'PCI Express errors of the slot, or several GPUs lost at once, would point to the link, the power or the host.',
    },
    { sentence: 'The same GPU lost again after a power cycle would point to the GPU itself.' },
  ],
  'pcie-link': [
    { sentence: 'Full width and generation under load, and no new errors, would speak against the link.' },
    { sentence: 'Another GPU with the same errors in this slot would point to the slot.' },
  ],
  nvlink: [
    {
      sentence: 'NVSwitch errors, or the same links down on other GPUs, would point to the switch.',
      when: hasSibling,
    },
    { sentence: 'The same link failing again after a reset would point to its connection.' },
  ],
  nvswitch: [{ sentence: 'Errors of the links of one GPU only would point to that GPU.' }],
  'gpu-service': [
    { sentence: 'The same state after a restart of the service would point to the switches or the GPU.' },
  ],
  'gpu-firmware': [
    {
      sentence:
        'The same error after a reset on this GPU only would point to its hardware; on several GPUs, to the driver.',
    },
  ],
  'gpu-hardware': [
    { sentence: 'The same program failing the same way on another GPU would point to the program.' },
    { sentence: 'A field diagnostic without errors would speak against the GPU.' },
  ],
  'gpu-missing': [
    { sentence: 'A GPU that is missing from the PCI bus too would point to its slot or power.' },
  ],
  thermal: [
    {
      sentence: 'Neighbours as hot as this GPU would point to the cooling of the machine.',
      when: (known) => hasSibling(known) && !isOnAll('thermal')(known),
    },
    {
      sentence: 'Other machines of the rack as hot as this one would point to the air of the room.',
      when: isOnAll('thermal'),
    },
  ],
  power: [
    {
      sentence: 'The same on all GPUs of the machine would point to its power supply or the rack.',
      when: (known) => hasSibling(known) && !isOnAll('power')(known),
    },
    {
      sentence:
        'The same on other machines of the rack would point to the rack; on this one alone, to its power supply.',
      when: isOnAll('power'),
    },
  ],
  driver: [
    {
      sentence: 'The same failure with matching versions of library and kernel module would point elsewhere.',
    },
  ],
  configuration: [{ sentence: 'The same failure after the setting is corrected would point elsewhere.' }],
  'host-hardware': [
    { sentence: 'GPU errors without an error of the host near them would point to the GPU.' },
  ],
} as const satisfies Record<Cause, readonly Mover[]>;

/** What would have to be seen to conclude otherwise: two sentences for the likeliest, one for the next. */
export function wouldChangeOf(
  hypotheses: readonly WeighedHypothesis[],
  scope: Scope,
  evidence: DiagnosticEvidence,
): readonly string[] {
  const known = { scope, evidence, hypotheses };
  const causes = [...new Set(hypotheses.map(({ cause }) => cause))];
  const sentences = causes.slice(0, 2).flatMap((cause, position) => {
    const rows: readonly Mover[] = movers[cause];
    return rows
      .filter(({ when }) => when === undefined || when(known))
      .slice(0, position === 0 ? 2 : 1)
      .map(({ sentence }) => (typeof sentence === 'string' ? sentence : sentence(known)));
  });
  return [...new Set(sentences)];
}

const listOf = (gpus: readonly number[]) =>
  `GPU ${gpus
    .toSorted((a, b) => a - b)
    .slice(0, 16)
    .join(', ')}`;

/** What could not be seen, of what the question is about. */
export function notSeenOf(
  question: DiagnosisQuestion,
  scope: Scope,
  { kernelLog, nodeError, gaps, observedAt }: DiagnosticEvidence,
): readonly string[] {
  const unread = scope.readings.filter(({ state }) => state !== 'ok').map(({ gpu }) => gpu.index);
  const hiddenByMig = scope.readings
    .filter(({ mig, rowRemap }) => mig?.enabled === true && rowRemap != null && rowRemap.pending === null)
    .map(({ gpu }) => gpu.index);
  const undated = scope.incidents.some(({ firstAt }) => firstAt === null);
  const lacks = (pattern: RegExp) =>
    gaps.some(({ field, reason }) => reason !== 'unsupported' && pattern.test(field));
  const at = question.kind === 'time' ? Date.parse(question.at) : Number.NaN;
  const isBeforeLog = kernelLog.from !== null && at < Date.parse(kernelLog.from);
  const isPast = Math.abs(Date.parse(observedAt) - at) > nearMilliseconds;
  const lines: readonly (readonly [boolean, string])[] = [
    [nodeError !== null, `The driver could not be asked (${nodeError?.code ?? ''}).`],
    [!kernelLog.readable, 'The kernel log could not be read, so past errors are not known.'],
    [(kernelLog.lostRecordCount ?? 0) > 0, 'Part of the kernel log was overwritten before it could be read.'],
    [isBeforeLog, 'The kernel log begins after the time that was asked about.'],
    [isPast, 'The readings are of now, not of the time that was asked about.'],
    [
      question.kind === 'time' && undated,
      'Some log lines tell only time since boot, and cannot be put beside the time that was asked about.',
    ],
    [unread.length > 0, `${listOf(unread)} could not be read.`],
    [hiddenByMig.length > 0, `MIG hides the row-remap state of ${listOf(hiddenByMig)}.`],
    [lacks(/^(?:hostProcesses|processes)/), 'Not all processes of the machine can be seen from here.'],
    [lacks(/^(?:baseline|earlier)/), 'There is no earlier reading to compare the counters with.'],
    [lacks(/^pciBus/), 'The PCI bus could not be read.'],
  ];
  return lines.flatMap(([isMissing, sentence]) => (isMissing ? [sentence] : []));
}
