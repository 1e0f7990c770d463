import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { StructuredContent } from '@k8s-gpu-mcp/core';
import { fieldOf, numberOf, rowsOf, textOf, textsOf, verdictOf } from '../fields.ts';
import { causeWord } from './causes.ts';
import { paragraph } from './layout.ts';
import { renderIncident } from './node.ts';
import { isSimulated, renderCoverage, renderFindings, renderSteps, section, verdictWord } from './parts.ts';
import { namePod, placeOf, renderEnds, renderEvents, renderNodes, subjectOf } from './workload.ts';

const otherHypotheses = 5;
const sentencesShown = 6;

/** What `explain_failure` concluded: whose fault, what to do, why, what else it could be, what was not seen. */
export function renderDiagnosis(answer: StructuredContent, terminal: Terminal): string {
  const { node } = placeOf(answer);
  const steps = rowsOf(answer, 'nextSteps');
  const told = (some: readonly StructuredContent[]) =>
    renderSteps(some, node, terminal, (command) => namePod(command, answer));
  return [
    head(answer, terminal),
    section('Do now', told(steps.slice(0, 1)), terminal),
    renderFindings(answer, terminal, 'Why'),
    renderEnds(answer, terminal),
    renderNodes(answer, terminal),
    renderEvents(answer, terminal),
    rowsOf(answer, 'incidents')
      .slice(0, 3)
      .map((incident) => renderIncident(incident, terminal))
      .join(''),
    section('What else it could be', others(answer, terminal), terminal),
    section('What would change this', sentences(answer, 'wouldChange', terminal), terminal),
    section('Not seen', sentences(answer, 'notSeen', terminal), terminal),
    section('Then', told(steps.slice(1)), terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

function head(answer: StructuredContent, terminal: Terminal): string {
  const cause = textOf(answer, 'cause', 60) ?? 'unknown';
  const words = causeWord(cause);
  const fault = cause === 'none' ? words : `${whose(answer)}: ${words}`;
  const { node, gpu } = placeOf(answer);
  const subject = subjectOf(answer);
  const first = [
    verdictWord(verdictOf(answer) ?? 'unknown', terminal),
    ...(gpu === undefined ? [] : [`GPU ${gpu}`]),
    // How sure it is of nothing would stand beside what it has not decided.
    `${terminal.style('bold', fault)}${cause === 'none' ? '' : ` (confidence ${textOf(answer, 'confidence', 40) ?? 'unknown'})`}`,
  ].join('  ');
  const where = [
    subject,
    node,
    textOf(answer, 'observedAt', 40),
    isSimulated(answer) ? 'SIMULATED GPUs' : undefined,
  ].filter(Boolean);
  return `${first}\n${terminal.style('dim', where.join('  '))}\n${paragraph('', textOf(answer, 'summary', 2_000) ?? '', terminal.columns)}`;
}

function whose(answer: unknown): string {
  const notYourCode = fieldOf(answer, 'notYourCode');
  return notYourCode === true ? 'not your code' : notYourCode === false ? 'your code' : 'undecided';
}

/** An agent says how likely each is, the gateway of a pod or a job how sure it is of it. */
function others(answer: StructuredContent, terminal: Terminal): readonly string[] {
  return rowsOf(answer, 'hypotheses')
    .slice(1)
    .flatMap((each) => {
      const percent = numberOf(each, 'likelihoodPercent');
      const confidence = textOf(each, 'confidence', 40);
      if (percent === undefined && confidence === undefined) return [];
      const lead =
        percent === undefined ? `confidence ${confidence}` : `${Math.round(percent)} %`.padStart(5);
      return percent !== undefined && percent < 1 ? [] : [{ each, lead }];
    })
    .slice(0, otherHypotheses)
    .map(({ each, lead }) => {
      const action = textOf(each, 'action', 40) ?? 'none';
      const then = action === 'none' ? '' : ` Then: ${action}.`;
      const what = `${whose(each)}: ${textOf(each, 'what') ?? ''}${then}`;
      return paragraph(`  ${lead}  `, what, terminal.columns);
    });
}

function sentences(answer: StructuredContent, name: string, terminal: Terminal): readonly string[] {
  return textsOf(answer, name, sentencesShown).map((text) => paragraph('  - ', text, terminal.columns));
}
