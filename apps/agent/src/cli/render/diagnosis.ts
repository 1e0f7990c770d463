import type { Terminal } from '@k8s-gpu-mcp/command-line';
import { fit } from '@k8s-gpu-mcp/command-line/layout';
import {
  type Cause,
  type Confidence,
  causeWords,
  type Evidence,
  type Finding,
  type Hypothesis,
  type NotYourCode,
  type StructuredContent,
} from '@k8s-gpu-mcp/core';
import { type Answer, renderCoverage, verdictWord, viewOf } from './answer.ts';
import { clean, wrap } from './layout.ts';

interface DiagnosisAnswer extends Answer {
  readonly notYourCode: NotYourCode;
  readonly cause: Cause;
  readonly confidence: Confidence;
  readonly gpu?: number;
  /** Likeliest first; the first is the conclusion. */
  readonly hypotheses?: readonly Pick<Hypothesis, 'notYourCode' | 'likelihoodPercent' | 'what' | 'action'>[];
  /** What the log said of it. */
  readonly incidents?: readonly {
    readonly xid?: number;
    readonly sxid?: number;
    readonly title: string;
    readonly count: number;
    readonly raw: readonly string[];
  }[];
  readonly wouldChange?: readonly string[];
  readonly notSeen?: readonly string[];
}

const maximumFindings = 5;
const maximumIncidents = 3;
const maximumQuotes = 2;
const maximumOthers = 5;
const maximumSentences = 6;
const leastShownPercent = 1;

/** What `explain_failure` concluded, for a person: whose fault, what to do, why, what else it could be, what was not seen. */
export function renderDiagnosis(content: StructuredContent, terminal: Terminal): string {
  const answer = viewOf<DiagnosisAnswer>(content);
  const { findings = [], wouldChange = [], notSeen = [] } = answer;
  return [
    head(answer, terminal),
    section('Do now', steps(answer.nextSteps.slice(0, 1), terminal), terminal),
    section('Why', why(findings, terminal), terminal),
    section('In the log', logLines(answer, terminal), terminal),
    section('What else it could be', others(answer, terminal), terminal),
    section('What would change this', sentences(wouldChange, terminal), terminal),
    section('Not seen', sentences(notSeen, terminal), terminal),
    section('Then', steps(answer.nextSteps.slice(1), terminal), terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

/** Whose fault it is, in words. */
export function faultOf(notYourCode: NotYourCode, cause: Cause): string {
  // A cause of a newer engine is told by its name.
  const words = causeWords[cause] ?? clean(cause);
  if (cause === 'none') return words;
  return `${whoseWords(notYourCode)}: ${words}`;
}

function whoseWords(notYourCode: NotYourCode): string {
  if (notYourCode === true) return 'not your code';
  return notYourCode === false ? 'your code' : 'undecided';
}

function head(answer: DiagnosisAnswer, terminal: Terminal): string {
  const { verdict = 'unknown', notYourCode, cause, confidence, gpu, coverage } = answer;
  const fault = faultOf(notYourCode, cause);
  const where = gpu === undefined ? '' : `GPU ${gpu}  `;
  const first = `${verdictWord(verdict, terminal)}  ${where}${terminal.style('bold', fault)} (confidence ${clean(confidence)})\n`;
  const parts = [
    clean(answer.node),
    clean(answer.observedAt),
    ...(coverage.gpuBackend.simulated ? ['SIMULATED GPUs'] : []),
  ];
  return `${first}${terminal.style('dim', parts.join('  '))}\n${wrap(clean(answer.summary), terminal.columns)}\n`;
}

function steps(nextSteps: Answer['nextSteps'], terminal: Terminal): readonly string[] {
  return nextSteps.map(({ action, reason, tool, command }) => {
    const lead = action === 'none' ? '' : `${clean(action)}: `;
    const how = [
      ...(tool === undefined ? [] : [`tool ${clean(tool)}`]),
      ...(command === undefined ? [] : [`run ${clean(command)}`]),
    ].join('; ');
    const text = wrap(
      `${lead}${clean(reason)}${how === '' ? '' : ` (${how})`}`,
      terminal.columns - 2,
      '    ',
    );
    return `  ${lead === '' ? text : terminal.style('bold', clean(action)) + text.slice(clean(action).length)}\n`;
  });
}

function why(findings: readonly Finding[], terminal: Terminal): readonly string[] {
  const blocks = findings.slice(0, maximumFindings).map((finding) => {
    const { verdict, gpu, what, evidence, confidence, ruleId, source } = finding;
    const where = gpu === undefined ? '' : `GPU ${gpu}  `;
    const room = terminal.columns - 4;
    const lines = [
      ...evidence.map((each) => proof(each, terminal)),
      wrap(`confidence ${clean(confidence)}, rule ${clean(ruleId)}, ${clean(source)}`, room, '      '),
    ];
    const title = wrap(clean(what), terminal.columns - 20, '    ');
    return `  ${verdictWord(verdict, terminal)}  ${where}${title}\n${lines.map((line) => `    ${line}\n`).join('')}`;
  });
  const hidden = findings.length - maximumFindings;
  return hidden > 0 ? [...blocks, `  and ${hidden} more findings: see --json\n`] : blocks;
}

/** A reading with its place; the line of a log behind a bar, so that it cannot pass for ours. */
function proof({ field, value, threshold, at, file, line }: Evidence, terminal: Terminal): string {
  const place = file === undefined ? '' : `${clean(file)}${line === undefined ? '' : `:${line}`}`;
  const when = at === undefined ? '' : `, at ${clean(at)}`;
  if (/(?:^|\.)raw$/.test(field)) {
    const lead = place === '' ? '| ' : `${place} | `;
    return terminal.style('dim', `${lead}${fit(clean(value), terminal.columns - 4 - lead.length)}`);
  }
  const limit = threshold === undefined ? '' : ` (threshold ${clean(threshold)})`;
  const text = `${clean(field)} = ${value === null ? 'not read' : clean(value)}${limit}${when}`;
  return wrap(place === '' ? text : `${text} [${place}]`, terminal.columns - 4, '      ');
}

/** A line or two of each incident behind a bar. */
function logLines({ incidents = [] }: DiagnosisAnswer, terminal: Terminal): readonly string[] {
  return incidents.slice(0, maximumIncidents).map(({ xid, sxid, title, count, raw }) => {
    const code = xid === undefined ? (sxid === undefined ? '' : `SXid ${sxid} `) : `Xid ${xid} `;
    const times = count > 1 ? ` (${count} times)` : '';
    const quoted = raw
      .slice(0, maximumQuotes)
      .map((line) => `    ${terminal.style('dim', `| ${fit(clean(line), terminal.columns - 6)}`)}\n`);
    return `  ${wrap(`${code}${clean(title)}${times}`, terminal.columns - 2, '    ')}\n${quoted.join('')}`;
  });
}

function others({ hypotheses = [] }: DiagnosisAnswer, terminal: Terminal): readonly string[] {
  return hypotheses
    .slice(1)
    .filter(({ likelihoodPercent }) => likelihoodPercent >= leastShownPercent)
    .slice(0, maximumOthers)
    .map(({ notYourCode, likelihoodPercent, what, action }) => {
      const percent = `${Math.round(likelihoodPercent)} %`.padStart(5);
      const then = action === 'none' ? '' : ` Then: ${clean(action)}.`;
      const text = `${whoseWords(notYourCode)}: ${clean(what)}${then}`;
      return `  ${percent}  ${wrap(text, terminal.columns - 9, ' '.repeat(9))}\n`;
    });
}

function sentences(list: readonly string[], terminal: Terminal): readonly string[] {
  const shown = list
    .slice(0, maximumSentences)
    .map((sentence) => `  - ${wrap(clean(sentence), terminal.columns - 4, '    ')}\n`);
  const hidden = list.length - maximumSentences;
  return hidden > 0 ? [...shown, `  and ${hidden} more: see --json\n`] : shown;
}

function section(heading: string, blocks: readonly string[], terminal: Terminal): string {
  return blocks.length === 0 ? '' : `\n${terminal.style('bold', heading)}\n${blocks.join('')}`;
}
