import type { Cause, DiagnosisQuestion, NotYourCode } from '../../domain/diagnosis.ts';
import type { Action, Confidence, Finding, Verdict } from '../../domain/verdict.ts';
import { causeCatalogue } from './cause-catalogue.ts';
import { subjectOfFinding } from './finding-signs.ts';
import type { Scope } from './scope.ts';
import { type Subject, subjectKey } from './sign.ts';

/** What to do, to follow "Next: ". */
export const actionPhrases = {
  none: 'nothing',
  monitor: 'watch whether it comes again',
  'restart-app': 'restart the application',
  'check-app': 'debug the application',
  'restart-service': 'restart the service that it needs',
  'update-software': 'make the versions of driver, library and firmware match',
  'reset-gpu': 'drain and reset the GPU',
  'drain-node': 'drain the node',
  'reboot-node': 'drain and reboot the node',
  'power-cycle': 'drain and power-cycle the node',
  'check-mechanicals': 'check cooling, power, cables and seating',
  'run-field-diagnostic': "drain the GPU and run the vendor's field diagnostic",
  'contact-support': 'contact the hardware support',
} as const satisfies Record<Action, string>;

/** What an action means for a cause, where that is another thing to do. */
const phrasesOfCause: Partial<Record<Cause, Partial<Record<Action, string>>>> = {
  'leftover-process': {
    'check-app': 'find and end what still holds the GPU',
    'restart-app': 'end what still holds the GPU',
  },
};

const maximumPlaces = 8;

/** "GPU 3", "GPU 0, 1", "the GPU at 0000:3b:00", "Node". Only numbers and parsed addresses. */
export function placeName(subjects: readonly Subject[]): string {
  const distinct = [...new Map(subjects.map((each) => [subjectKey(each), each])).values()];
  const gpus = distinct.flatMap(({ gpu }) => gpu ?? []).toSorted((a, b) => a - b);
  const devices = distinct.flatMap(({ gpu, pciDevice }) => (gpu === undefined ? (pciDevice ?? []) : []));
  const more = (count: number) => (count > maximumPlaces ? ` and ${count - maximumPlaces} more` : '');
  const parts = [
    ...(gpus.length > 0 ? [`GPU ${gpus.slice(0, maximumPlaces).join(', ')}${more(gpus.length)}`] : []),
    ...(devices.length > 0
      ? [`Device ${devices.toSorted().slice(0, maximumPlaces).join(', ')}${more(devices.length)}`]
      : []),
  ];
  return parts.length > 0 ? parts.join('; ') : 'Node';
}

const whose = (notYourCode: NotYourCode, cause: Cause): string => {
  if (cause === 'none') return 'Nothing points to a fault';
  if (notYourCode === true) return 'Not your code';
  if (notYourCode === false)
    return cause === 'host-memory' ? 'Not the GPU' : 'Your program, not the hardware';
  return 'Undecided whether it is your code or the hardware';
};

interface Conclusion {
  readonly question: DiagnosisQuestion;
  readonly scope: Scope;
  readonly verdict: Verdict;
  readonly notYourCode: NotYourCode;
  readonly cause: Cause;
  readonly confidence: Confidence;
  readonly action: Action;
  /** What the action comes from. */
  readonly lead: Finding | undefined;
  /** What shows the fault, where the action comes from advice of the driver. */
  readonly reason: Finding | undefined;
  /** What is worse than the lead, and has another cause. */
  readonly beside: Finding | undefined;
  readonly nodeErrorCode: string | undefined;
  readonly subjects: readonly Subject[];
  readonly isLogReadable: boolean;
}

/** One or two sentences of our own words and numbers. */
export function summaryOf(conclusion: Conclusion): string {
  const { question, scope, cause, notYourCode, confidence, action, lead, subjects } = conclusion;
  if (scope.nothing === 'pid' && question.kind === 'pid') {
    return `Process ${question.pid} holds no GPU now and no kernel-log error names it, so nothing can be said of it. Call get_gpu_processes for the holders, or explain_failure with its GPU or the time of the failure.`;
  }
  const phrase = phrasesOfCause[cause]?.[action] ?? actionPhrases[action];
  const next = action === 'none' ? '' : ` Next: ${phrase}.`;
  if (cause === 'none') {
    const log = conclusion.isLogReadable
      ? pastOf(scope)
      : 'but the kernel log could not be read, so past errors are not known';
    if (scope.assessments.length === 0)
      return 'Nothing points to a fault in the log that was read; no GPU was asked.';
    return `Nothing points to a fault: the GPUs that were asked about answer and pass their checks, ${log}.`;
  }
  if (cause === 'unknown') {
    const why = whyUnknown(conclusion);
    return `${why}${lead && lead.verdict !== 'ok' ? ` ${lead.what}` : ''}${next}`;
  }
  const told = tellOf(conclusion);
  return `${whose(notYourCode, cause)} (confidence ${confidence}): ${placeName(subjects)}: ${causeCatalogue[cause].title}.${told}${next}${besideThis(conclusion)}`;
}

function besideThis({ beside }: Conclusion): string {
  if (!beside) return '';
  const next = beside.action === 'none' ? '' : ` Next for that: ${actionPhrases[beside.action]}.`;
  return ` Apart from this, ${placeName([subjectOfFinding(beside)])}: ${beside.what}${next}`;
}

function pastOf({ incidents }: Scope): string {
  if (incidents.some(({ standing }) => standing === 'recovered'))
    return 'and the errors on record are over: a reset, a reboot or a reload of the driver has come since';
  if (incidents.some(({ standing }) => standing === 'cancelled' || standing === 'superseded'))
    return 'and the driver has taken back what the log has';
  return 'and no error is on record';
}

/** What was seen of the cause. What the driver asks for is told beside the fault it asks it for, for by itself it says nothing of that. */
function tellOf({ lead, reason }: Conclusion): string {
  if (!lead || isOnlyNumbers(lead)) return '';
  if (!reason || reason === lead || isOnlyNumbers(reason)) return ` ${lead.what}`;
  return ` ${reason.what} The driver itself asks for this.`;
}

const isOnlyNumbers = ({ verdict }: Finding) => verdict === 'unknown';

function whyUnknown({ scope, nodeErrorCode, isLogReadable }: Conclusion): string {
  if (scope.nothing === 'time') return 'No GPU error is on record within ten minutes of that time.';
  if (scope.nothing === 'gpu') return 'There is neither a reading nor an error of that GPU.';
  if (nodeErrorCode !== undefined) {
    const log = isLogReadable
      ? 'what the kernel log has does not tell the cause'
      : 'nor could the kernel log';
    return `The GPUs could not be read (${nodeErrorCode}), and ${log}.`;
  }
  return 'What was seen does not tell the cause.';
}
