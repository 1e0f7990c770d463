import type { DecodedDetail } from '../../domain/event.ts';
import type { Action } from '../../domain/verdict.ts';
import type { Label } from '../group.ts';
import type { GpuFacts } from '../workflow-facts.ts';

/** What a workflow can ask about. */
export interface WorkflowContext {
  readonly ownAction: Action;
  /** Lines of the incident. */
  readonly count: number;
  readonly decoded: DecodedDetail | undefined;
  readonly hasProcess: boolean;
  readonly companions: ReadonlySet<Label>;
  readonly peers: ReadonlySet<Label>;
  readonly hasLinkTroubleNear: boolean;
  readonly occurrenceCount: number;
  readonly dailyCount: number;
  /** Between how many starts of machine or driver it came. */
  readonly epochCount: number;
  readonly linkCount: number;
  readonly isOnOneUnit: boolean | undefined;
  /** GPUs of the machine that had the same number within a day. */
  readonly deviceCount: number;
  readonly gpu: GpuFacts | undefined;
}

type Answer = readonly ['yes' | 'no' | 'unknown', because: string];

interface Question {
  readonly text: string;
  answer(context: WorkflowContext): Answer;
}

const told = (is: boolean, yes: string, no: string): Answer => (is ? ['yes', yes] : ['no', no]);

/** A reading that may be missing. */
const read = (value: boolean | null | undefined, yes: string, no: string): Answer =>
  value === null || value === undefined ? ['unknown', 'That could not be read.'] : told(value, yes, no);

const has = (labels: ReadonlySet<Label>, wanted: readonly Label[]) =>
  wanted.some((label) => labels.has(label));
const times = (count: number) => (count === 1 ? 'once' : `${count} times`);

const registerFindings = ({ decoded }: WorkflowContext): string =>
  typeof decoded?.['registerFindings'] === 'string' ? decoded['registerFindings'] : '';

/** How many lines of one incident no longer tell of as many faults. Source: NVIDIA/NVSentinel#1748 (11,760 lines of Xid 45 from one node). */
const floodLines = 1_000;

export const questions = {
  'same-unit-repeats': {
    text: 'Do separate bursts of the last 24 hours name the same GPC and TPC?',
    answer: ({ isOnOneUnit }) =>
      isOnOneUnit === undefined
        ? ['unknown', 'No line names a GPC and TPC.']
        : told(
            isOnOneUnit,
            'At least two bursts name one and the same GPC and TPC.',
            'There was one burst only, or the bursts name different units.',
          ),
  },
  'other-gpus': {
    text: 'Did other GPUs of the machine have the same number within a day?',
    answer: ({ deviceCount }) =>
      told(deviceCount > 1, `${deviceCount} GPUs had it.`, 'No other GPU had it, as far as the log goes.'),
  },
  'several-runs': {
    text: 'Did it come in several runs on this GPU within 24 hours?',
    answer: ({ dailyCount }) => told(dailyCount >= 2, `It came ${times(dailyCount)}.`, 'It came once.'),
  },
  'came-back': {
    text: 'Did it come back after a restart of machine or driver?',
    answer: ({ epochCount }) =>
      told(
        epochCount >= 2,
        `It came between ${epochCount} different starts.`,
        'It came since one and the same start, as far as the log goes.',
      ),
  },
  'came-back-twice': {
    text: 'Did it come back after two restarts?',
    answer: ({ epochCount }) =>
      told(
        epochCount >= 3,
        `It came between ${epochCount} different starts.`,
        'Two restarts without cure are not on record.',
      ),
  },
  'several-a-day': {
    text: 'Did it come more than once within a day?',
    answer: ({ dailyCount }) => told(dailyCount > 1, `It came ${times(dailyCount)}.`, 'It came once.'),
  },
  flood: {
    text: 'Is it a flood of lines, one for each channel?',
    answer: ({ count }) =>
      told(count >= floodLines, `${count} lines.`, `${count === 1 ? 'One line' : `${count} lines`}.`),
  },
  'on-switch': {
    text: 'Is the GPU on an NVSwitch?',
    answer: ({ gpu }) =>
      read(gpu?.isOnSwitch, 'Its links end in a switch, or it has a fabric.', 'It has no switch.'),
  },
  'fabric-well': {
    text: 'Is the GPU registered with the fabric, and the fabric well?',
    answer: ({ gpu }) =>
      read(
        gpu?.isFabricHealthy,
        'Registration completed with success.',
        'Registration is not complete, or failed.',
      ),
  },
  'remap-noted': {
    text: 'Did a row remap or page retirement come with it (Xid 63 or 64)?',
    answer: ({ companions }) =>
      told(has(companions, [63, 64]), 'It is in the log next to it.', 'None is in the log next to it.'),
  },
  'remap-failed': {
    text: 'Does the GPU report a failed row remap?',
    answer: ({ gpu }) =>
      read(gpu?.hasRemapFailed, 'The failure flag is set.', 'The failure flag is not set.'),
  },
  'remap-pending': {
    text: 'Does a row remap wait for a reset?',
    answer: ({ gpu }) =>
      read(gpu?.isRemapPending, 'The pending flag is set.', 'The pending flag is not set.'),
  },
  'sram-threshold': {
    text: 'Does the GPU report that its SRAM errors passed the threshold?',
    answer: ({ gpu }) =>
      read(gpu?.isSramThresholdExceeded, 'The threshold flag is set.', 'The threshold flag is not set.'),
  },
  'registers-printed': {
    text: 'Does the line hold the registers, with a bit that has a published meaning?',
    answer: (context) =>
      told(registerFindings(context) !== '', 'They were decoded.', 'There is nothing to decode.'),
  },
  'counts-when-repeated': {
    text: 'Is it one of the errors that count only when they repeat on one link?',
    answer: (context) =>
      told(
        /when-repeated|=ecc(?: |$)|ecc-or-parity/.test(registerFindings(context)),
        'A register bit says so.',
        'No register bit says so.',
      ),
  },
  'link-repeats': {
    text: 'Was one link hit more than twice?',
    answer: ({ linkCount }) =>
      told(linkCount > 2, `One link was hit ${linkCount} times.`, 'No link was hit more than twice.'),
  },
  'field-diagnostic-bits': {
    text: 'Is it one whose repetition calls for the field diagnostic?',
    answer: (context) =>
      told(
        registerFindings(context).includes('field-diagnostic'),
        'A register bit says so.',
        'No register bit says so.',
      ),
  },
  'bus-errors': {
    text: 'Did PCI Express report errors of the same device?',
    answer: ({ companions }) =>
      told(
        companions.has('pcie-error'),
        'There are AER lines next to it: slot, riser and cabling are suspects.',
        'There are no AER lines next to it.',
      ),
  },
  'hardware-slowdown': {
    text: 'Is the GPU held down for power or heat by its hardware?',
    answer: ({ gpu }) =>
      read(
        gpu?.isHardwareSlowed,
        'It is: power supply and cooling are suspects.',
        'It is not, at this moment.',
      ),
  },
  'process-named': {
    text: 'Does the line name the process?',
    answer: ({ hasProcess }) => told(hasProcess, 'It does.', 'It does not.'),
  },
  'link-went-down': {
    text: 'Did another NVLink go wrong within 30 seconds?',
    answer: ({ hasLinkTroubleNear }) =>
      told(hasLinkTroubleNear, 'A link error is in the log next to it.', 'No link error is next to it.'),
  },
  'rule-found': {
    text: 'Does a row of the decode table fit the line?',
    answer: ({ decoded }) =>
      told(
        decoded?.['immediateBucket'] !== undefined,
        'One fits.',
        'None fits, so the number alone decides nothing.',
      ),
  },
  'peer-side': {
    text: 'Does the decode table point at the other end of the link?',
    answer: ({ decoded }) =>
      told(
        decoded?.['investigatoryBucket'] === 'INVESTIGATE_PEER_DEVICE',
        'The reason that the link went down lies there.',
        'It does not.',
      ),
  },
  'peers-too': {
    text: 'Did other GPUs lose links at the same time?',
    answer: ({ peers }) =>
      told(
        has(peers, [74, 149, 'sxid']),
        'They did: what they share is a suspect.',
        'None did, as far as the log goes.',
      ),
  },
  'report-issue': {
    text: 'Is it one to report when it comes more than once a day?',
    answer: ({ decoded }) =>
      told(decoded?.['investigatoryBucket'] === 'REPORT_ISSUE', 'The decode table says so.', 'It is not.'),
  },
  'action-readable': {
    text: 'Does the line tell the new recovery action?',
    answer: ({ decoded }) =>
      told(
        typeof decoded?.['recoveryAction'] === 'string',
        'It does.',
        'It does not, or by a number that is not known.',
      ),
  },
} as const satisfies Record<string, Question>;

export type QuestionId = keyof typeof questions;
