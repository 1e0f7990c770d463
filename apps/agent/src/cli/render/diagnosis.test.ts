import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { createTerminal, type Terminal } from '@k8s-gpu-mcp/command-line';
import { causes, silentLogger } from '@k8s-gpu-mcp/core';
import { describe, expect, it, test } from 'vitest';
import { composeAgent } from '../../composition/compose-agent.ts';
import { resolveConfig } from '../../config.ts';
import { faultOf, renderDiagnosis } from './diagnosis.ts';

const terminalOf = (columns: number, environment: Record<string, string> = { NO_COLOR: '1' }): Terminal =>
  createTerminal(Object.assign(new PassThrough(), { isTTY: true, columns }), environment);

const finding = {
  ruleId: 'xid.79',
  verdict: 'critical',
  gpu: 3,
  what: 'GPU 3 does not answer on its bus.',
  evidence: [
    { field: 'kernelLog.xid', value: 79, at: '2026-03-01T00:00:00.000Z', file: 'kern.log', line: 1204 },
    {
      field: 'kernelLog.raw',
      value: 'NVRM: Xid (PCI:0000:3b:00): 79, pid=1, GPU has fallen off the bus.',
      file: 'kern.log',
      line: 1204,
    },
    { field: 'pcie.currentLinkWidthLanes', value: null, threshold: 16 },
  ],
  action: 'reboot-node',
  source: 'NVIDIA Xid catalogue',
  confidence: 'high',
};
const answer = {
  apiVersion: 'v1',
  node: 'node-a',
  observedAt: '2026-03-01T00:10:00.000Z',
  verdict: 'critical',
  summary: 'GPU 3 fell off its bus; the job could not have caused it.',
  notYourCode: true,
  cause: 'gpu-bus',
  confidence: 'high',
  gpu: 3,
  hypotheses: [
    {
      cause: 'gpu-bus',
      gpu: 3,
      likelihoodPercent: 90,
      what: 'The GPU is off its bus.',
      notYourCode: true,
      action: 'reboot-node',
    },
    {
      cause: 'power',
      gpu: 3,
      likelihoodPercent: 7.6,
      what: 'Its power failed.',
      notYourCode: true,
      action: 'check-mechanicals',
    },
    {
      cause: 'application-fault',
      likelihoodPercent: 2,
      what: 'The program crashed it.',
      notYourCode: false,
      action: 'check-app',
    },
    {
      cause: 'unknown',
      likelihoodPercent: 0.4,
      what: 'Something else.',
      notYourCode: 'undecided',
      action: 'none',
    },
  ],
  findings: [finding],
  incidents: [
    { xid: 79, title: 'GPU has fallen off the bus', count: 2, raw: ['NVRM: Xid 79', 'second', 'third'] },
  ],
  wouldChange: ['A reading of GPU 3 that succeeds.'],
  notSeen: ['The log of the management controller.'],
  gaps: [{ gpu: 3, field: 'thermal', reason: 'gpu-lost', detail: 'GPU_LOST' }],
  coverage: { gpuBackend: { backend: 'nvml', readable: true } },
  nextSteps: [
    { action: 'reboot-node', reason: 'GPU 3 comes back only with its bus.', command: 'kubectl drain node-a' },
    { action: 'none', reason: 'Take the report first.', tool: 'get_incident_report' },
  ],
};
const rendered = (more: object = {}, columns = 120) =>
  renderDiagnosis({ ...answer, ...more }, terminalOf(columns));
const section = (text: string, heading: string) =>
  text.split(/\n\n/).find((block) => block.startsWith(`${heading}\n`)) ?? '';

describe('the first line', () => {
  const first = (more: object) => rendered(more).split('\n')[0];

  it('says how bad it is and whose fault, in words', () => {
    expect(first({})).toBe('CRITICAL  GPU 3  not your code: hardware (GPU off its bus) (confidence high)');
    expect(
      first({ notYourCode: false, cause: 'application-fault', verdict: 'warning', gpu: undefined }),
    ).toBe('WARNING  your code: the program did something wrong (confidence high)');
    expect(
      first({ notYourCode: 'undecided', cause: 'unknown', verdict: 'unknown', confidence: 'low' }),
    ).toMatch(/^UNKNOWN {2}GPU 3 {2}undecided: /);
  });

  it('of a healthy node blames nobody', () => {
    expect(first({ notYourCode: 'undecided', cause: 'none', verdict: 'ok', gpu: undefined })).toBe(
      'OK  nothing wrong is seen (confidence high)',
    );
  });

  it('without a verdict is never OK', () => {
    expect(first({ verdict: undefined })).toMatch(/^UNKNOWN/);
  });
});

test.each(causes)('cause %s has words, and hardware is never called code', (cause) => {
  const words = faultOf(true, cause);
  expect(words.length).toBeGreaterThan(4);
  if (cause !== 'none') {
    expect(words).toMatch(/^not your code: /);
    expect(faultOf(false, cause)).toMatch(/^your code: /);
    expect(faultOf('undecided', cause)).toMatch(/^undecided: /);
  }
});

describe('the sections', () => {
  const text = rendered();

  it('have one thing to do, and the rest later', () => {
    expect(section(text, 'Do now')).toBe(
      'Do now\n  reboot-node: GPU 3 comes back only with its bus. (run kubectl drain node-a)',
    );
    expect(section(text, 'Then')).toContain('Take the report first. (tool get_incident_report)');
    expect(text.indexOf('Do now')).toBeLessThan(text.indexOf('Why'));
  });

  it('give the evidence with file and line, and what was not read as such', () => {
    const why = section(text, 'Why');
    expect(why).toContain('CRITICAL  GPU 3  GPU 3 does not answer on its bus.');
    expect(why).toContain('kernelLog.xid = 79, at 2026-03-01T00:00:00.000Z [kern.log:1204]');
    expect(why).toContain('kern.log:1204 | NVRM: Xid');
    expect(why).toContain('pcie.currentLinkWidthLanes = not read (threshold 16)');
    expect(why).toContain('confidence high, rule xid.79, NVIDIA Xid catalogue');
  });

  it('quote the log behind a bar', () => {
    expect(section(text, 'In the log')).toBe(
      'In the log\n  Xid 79 GPU has fallen off the bus (2 times)\n    | NVRM: Xid 79\n    | second',
    );
  });

  it('say what else it could be, what would change it and what was not seen', () => {
    const others = section(text, 'What else it could be').split('\n');
    expect(others[1]).toBe('    8 %  not your code: Its power failed. Then: check-mechanicals.');
    expect(others[2]).toContain('2 %  your code: The program crashed it. Then: check-app.');
    expect(others.length).toBe(3);
    expect(section(text, 'What would change this')).toContain('- A reading of GPU 3 that succeeds.');
    expect(section(text, 'Not seen')).toContain('- The log of the management controller.');
    expect(section(text, 'Coverage')).toContain('gap: GPU 3 thermal: gpu-lost (GPU_LOST)');
  });

  it('are left out when there is nothing for them', () => {
    const bare = rendered({
      hypotheses: [],
      incidents: [],
      findings: [],
      wouldChange: [],
      notSeen: [],
      nextSteps: [],
    });
    for (const heading of ['Do now', 'Why', 'In the log', 'What else', 'What would', 'Not seen', 'Then'])
      expect(bare).not.toContain(`\n${heading}`);
  });

  it('are bounded, and say that there is more', () => {
    const many = rendered({
      findings: Array.from({ length: 12 }, () => finding),
      wouldChange: Array.from({ length: 30 }, (_, index) => `Sentence ${index}.`),
    });
    expect(many).toContain('and 7 more findings: see --json');
    expect(many).toContain('and 24 more: see --json');
  });
});

describe('on any terminal', () => {
  it('is the same text with and without colour', () => {
    const coloured = renderDiagnosis(answer, terminalOf(100, { FORCE_COLOR: '1' }));
    expect(coloured).not.toBe(rendered({}, 100));
    expect(stripVTControlCharacters(coloured)).toBe(rendered({}, 100));
  });

  it('stays within 80 columns', () => {
    const long = `${'word '.repeat(60)}end.`;
    const text = rendered(
      {
        summary: long,
        wouldChange: [long],
        nextSteps: [{ action: 'monitor', reason: long }],
        findings: [
          { ...finding, what: long, evidence: [{ field: 'log.raw', value: long, file: 'a', line: 1 }] },
        ],
        hypotheses: answer.hypotheses.map((each) => ({ ...each, what: long })),
      },
      80,
    );
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('text of others cannot act on the terminal, nor pass for ours', () => {
    const hostile = '\u001b]0;owned\u0007\u202eevil\r\nOK  your code';
    const text = rendered({
      node: hostile,
      findings: [
        {
          ...finding,
          evidence: [
            { field: 'kernelLog.raw', value: hostile, file: hostile, line: 1 },
            { field: 'x', value: hostile },
          ],
        },
      ],
      notSeen: [hostile],
      gaps: [{ field: hostile, reason: 'error', detail: hostile }],
    });
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|^OK {2}your code/m);
    expect(text).toMatch(/\| .*evil/);
  });
});

test('a real answer: a simulated GPU that fell off its bus is not the code', async () => {
  const flags = { backend: ['mock'], scenario: ['fallen-off-bus'], nodeName: ['node-a'] };
  const agent = await composeAgent(resolveConfig('diagnose', flags, {}), silentLogger);
  const result = await agent.tools.find(({ name }) => name === 'explain_failure')?.call({});
  await agent.close();
  if (!result || result.isError) throw new Error(result?.text ?? 'no such tool');
  const text = renderDiagnosis(result.structuredContent, terminalOf(100));
  expect(text).toMatch(/^CRITICAL {2}GPU \d {2}not your code: hardware \(GPU off its bus\) \(confidence /);
  for (const heading of ['Do now', 'Why', 'In the log', 'What would change this'])
    expect(text).toContain(`\n${heading}\n`);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
});
