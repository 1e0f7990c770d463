import type { Terminal } from '@k8s-gpu-mcp/command-line';
import type { Cause, StructuredContent } from '@k8s-gpu-mcp/core';
import { fieldOf, numberOf, rowsOf, textOf, textsOf, verdictOf } from '../fields.ts';
import { paragraph } from './layout.ts';
import { renderIncident } from './node.ts';
import { renderCoverage, renderFindings, renderSteps, section, verdictWord } from './parts.ts';

const causeWords: Readonly<Record<Cause, string>> = {
  none: 'nothing wrong is seen',
  unknown: 'the evidence does not tell the cause',
  'application-fault': 'the program did something wrong',
  'application-gpu-memory': 'the program ran out of GPU memory',
  'host-memory': 'out of main memory',
  'stalled-collective': 'a collective waits for a rank',
  'leftover-process': 'a leftover process holds the GPU',
  'gpu-memory': 'hardware (GPU memory)',
  'gpu-bus': 'hardware (GPU off its bus)',
  'pcie-link': 'hardware (PCIe link)',
  nvlink: 'hardware (NVLink)',
  nvswitch: 'hardware (NVSwitch or fabric)',
  'gpu-service': 'a service that the GPUs need',
  'gpu-firmware': 'GPU firmware',
  'gpu-hardware': 'hardware (GPU)',
  'gpu-missing': 'hardware (a GPU is missing)',
  thermal: 'heat',
  power: 'power',
  driver: 'the driver',
  configuration: 'how the node is set up',
  'host-hardware': 'hardware (host)',
};
const otherHypotheses = 5;
const sentencesShown = 6;

/** What `explain_failure` concluded: whose fault, what to do, why, what else it could be, what was not seen. */
export function renderDiagnosis(answer: StructuredContent, terminal: Terminal): string {
  const node = textOf(answer, 'node', 253);
  const steps = rowsOf(answer, 'nextSteps');
  return [
    head(answer, terminal),
    section('Do now', renderSteps(steps.slice(0, 1), node, terminal), terminal),
    containers(answer, terminal),
    renderFindings(answer, terminal, 'Why'),
    rowsOf(answer, 'incidents')
      .slice(0, 3)
      .map((incident) => renderIncident(incident, terminal))
      .join(''),
    section('What else it could be', others(answer, terminal), terminal),
    section('What would change this', sentences(answer, 'wouldChange', terminal), terminal),
    section('Not seen', sentences(answer, 'notSeen', terminal), terminal),
    section('Then', renderSteps(steps.slice(1), node, terminal), terminal),
    renderCoverage(answer, terminal),
  ].join('');
}

function head(answer: StructuredContent, terminal: Terminal): string {
  const cause = textOf(answer, 'cause', 60) ?? 'unknown';
  // A cause of a newer engine is told by its name.
  const words = Object.hasOwn(causeWords, cause) ? causeWords[cause as Cause] : cause;
  const fault = cause === 'none' ? words : `${whose(answer)}: ${words}`;
  const gpu = textOf(answer, 'gpu', 8);
  const first = [
    verdictWord(verdictOf(answer) ?? 'unknown', terminal),
    ...(gpu === undefined ? [] : [`GPU ${gpu}`]),
    `${terminal.style('bold', fault)} (confidence ${textOf(answer, 'confidence', 40) ?? 'unknown'})`,
  ].join('  ');
  const simulated = fieldOf(fieldOf(fieldOf(answer, 'coverage'), 'gpuBackend'), 'simulated') === true;
  const where = [
    textOf(answer, 'pod', 320) ?? textOf(answer, 'job', 320),
    textOf(answer, 'node', 253),
    textOf(answer, 'observedAt', 40),
    simulated ? 'SIMULATED GPUs' : undefined,
  ].filter(Boolean);
  return `${first}\n${terminal.style('dim', where.join('  '))}\n${paragraph('', textOf(answer, 'summary', 2_000) ?? '', terminal.columns)}`;
}

function whose(answer: unknown): string {
  const notYourCode = fieldOf(answer, 'notYourCode');
  return notYourCode === true ? 'not your code' : notYourCode === false ? 'your code' : 'undecided';
}

/** How the containers of a pod ended, where the answer is about one. */
function containers(answer: StructuredContent, terminal: Terminal): string {
  const lines = rowsOf(answer, 'containers')
    .slice(0, 12)
    .map((container) => {
      const told = ['reason', 'exitCode', 'signal', 'meaning', 'finishedAt'].flatMap((name) => {
        const value = textOf(container, name, 160);
        return value === undefined ? [] : [name === 'exitCode' ? `exit code ${value}` : value];
      });
      const name = textOf(container, 'container', 120) ?? textOf(container, 'name', 120) ?? '?';
      return paragraph(`  ${name}  `, told.join(', '), terminal.columns);
    });
  return section('Containers', lines, terminal);
}

function others(answer: StructuredContent, terminal: Terminal): readonly string[] {
  return rowsOf(answer, 'hypotheses')
    .slice(1)
    .filter((each) => (numberOf(each, 'likelihoodPercent') ?? 0) >= 1)
    .slice(0, otherHypotheses)
    .map((each) => {
      const percent = `${Math.round(numberOf(each, 'likelihoodPercent') ?? 0)} %`.padStart(5);
      const action = textOf(each, 'action', 40) ?? 'none';
      const then = action === 'none' ? '' : ` Then: ${action}.`;
      return paragraph(
        `  ${percent}  `,
        `${whose(each)}: ${textOf(each, 'what') ?? ''}${then}`,
        terminal.columns,
      );
    });
}

function sentences(answer: StructuredContent, name: string, terminal: Terminal): readonly string[] {
  return textsOf(answer, name, sentencesShown).map((text) => paragraph('  - ', text, terminal.columns));
}
