// Every golden incident, asked of the built command line as a person would: `analyze --json FILES`. README.md says what an incident is.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { isRight, judge } from './judge.js';
import { type GoldenIncident, plantFault, readIncidents, score } from './scorer.js';
import { faultsOf } from './validate.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const incidents = readIncidents(here);
const maximumBytes = 6 * 1024 * 1024;

/** The answer that meets all that an incident expects. */
function rightAnswer({ document: { expected }, gpuAddresses, inputs }: GoldenIncident) {
  const [verdict, notYourCode, cause, action] = [
    expected.verdict[0],
    expected.notYourCode[0],
    expected.cause[0],
    expected.action[0],
  ];
  const gpu = typeof expected.gpu === 'string' ? gpuAddresses.indexOf(expected.gpu) : expected.gpu;
  const evidence = [{ field: 'kernelLog', value: 1, file: inputs[0], line: 1 }];
  const finding = { ruleId: 'log.xid-1', verdict, gpu, what: 'Own words.', evidence, action };
  return {
    verdict,
    notYourCode,
    cause,
    gpu,
    summary: 'Own words.',
    findings: [finding],
    nextSteps: [{ action, reason: 'Own words.' }],
  };
}

function named(name: string): GoldenIncident {
  const found = incidents.find((each) => each.name === name);
  if (!found) throw new Error(`no incident ${name}`);
  return found;
}

describe('the set', () => {
  it('has at least 40 incidents, in no more than 6 MiB', () => {
    expect(incidents.length).toBeGreaterThanOrEqual(40);
    const bytes = readdirSync(here, { recursive: true, encoding: 'utf8' })
      .map((name) => statSync(join(here, name)))
      .reduce((sum, { size }) => sum + size, 0);
    expect(bytes).toBeLessThan(maximumBytes);
  });

  it.each(incidents.map((incident) => [incident.name, incident] as const))(
    '%s is well formed',
    (_, incident) => {
      expect(faultsOf(incident)).toEqual([]);
    },
  );

  it('tells a badly formed one', () => {
    const good = named('xid79-with-aer');
    const { document, texts } = good;
    const broken: GoldenIncident = {
      ...good,
      inputs: [...good.inputs, 'secret.bin'],
      document: {
        ...document,
        sources: [],
        expected: { ...document.expected, cause: ['gremlins'], gpu: 9 },
        forbidden: { verdicts: ['critical'] },
      },
      texts: new Map([
        ...texts,
        [
          'nvidia-smi.xml',
          (texts.get('nvidia-smi.xml') ?? '').replace('<attached_gpus>4', '<attached_gpus>5'),
        ],
      ]),
    };
    expect(faultsOf(broken)).toEqual([
      'verdict critical is both expected and forbidden',
      'gremlins is no cause',
      'no source',
      'secret.bin: not a name for an input',
      'nvidia-smi.xml: 5 attached GPUs, 4 listed',
      'GPU 9 is not in the capture',
    ]);
  });
});

describe('the judge', () => {
  it.each(incidents.map((incident) => [incident.name, incident] as const))(
    'can be content with %s',
    (_, incident) => {
      expect(judge(incident, rightAnswer(incident))).toMatchObject({
        wrong: [],
        forbiddenConclusions: [],
        contract: [],
      });
    },
  );

  const incident = named('xid79-with-aer');
  const right = rightAnswer(incident);
  const [finding] = right.findings;
  it.each([
    ['a wrong verdict', { ...right, verdict: 'unknown' }],
    ['a wrong cause', { ...right, cause: 'gpu-memory' }],
    ['a forbidden cause', { ...right, cause: 'application-fault' }],
    ['a wrong GPU', { ...right, gpu: 0 }],
    ['a blamed program', { ...right, notYourCode: false }],
    ['another action than the first finding', { ...right, nextSteps: [{ action: 'power-cycle' }] }],
    ['no next step', { ...right, nextSteps: [] }],
    ['a finding without a citation', { ...right, findings: [{ ...finding, evidence: [] }] }],
    [
      'a citation behind the end of the file',
      {
        ...right,
        findings: [{ ...finding, evidence: [{ field: 'kernelLog', file: 'kernel.log', line: 99_999 }] }],
      },
    ],
    [
      'log text in the summary',
      { ...right, summary: "It said: can't recover (no error_detected callback)." },
    ],
    ['an answer that is too long', { ...right, raw: 'x'.repeat(10_100) }],
  ])('turns red for %s', (_, answer) => {
    expect(isRight(judge(incident, answer))).toBe(false);
  });

  it('lets log text stand in its own fields', () => {
    const incidentsOfLog = [
      { raw: ["nvidia 0000:4c:00.0: AER: can't recover (no error_detected callback)"] },
    ];
    expect(isRight(judge(incident, { ...right, incidents: incidentsOfLog }))).toBe(true);
  });
});

describe('analyze', () => {
  it.each(incidents.map((incident) => [incident.name, incident] as const))('%s', async (_, incident) => {
    const { failure, wrong, forbiddenConclusions, contract } = await score(incident);
    expect({ failure, wrong, forbiddenConclusions, contract }).toEqual({
      failure: undefined,
      wrong: [],
      forbiddenConclusions: [],
      contract: [],
    });
  });

  it('turns red for a planted fault', async () => {
    expect(await score(plantFault(named('empty-log')))).toMatchObject({
      ok: false,
      wrong: ['verdict: expected a planted fault, given unknown'],
    });
  });
});
