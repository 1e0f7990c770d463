import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { silentLogger } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { composeAgent } from '../../composition/compose-agent.ts';
import { resolveConfig } from '../../config.ts';
import { createTerminal, type Terminal } from '../terminal.ts';
import { renderHealth } from './health.ts';
import { renderIncidents } from './incidents.ts';
import { renderInventory } from './inventory.ts';

const terminalOf = (columns: number, environment: Record<string, string> = {}): Terminal =>
  createTerminal(Object.assign(new PassThrough(), { isTTY: true, columns }), environment);
const plain = { NO_COLOR: '1' };

async function answerOf(toolName: string, scenario: string) {
  const config = resolveConfig(
    'health',
    { backend: ['mock'], scenario: [scenario], nodeName: ['node-a'] },
    {},
  );
  const agent = await composeAgent(config, silentLogger);
  const result = await agent.tools.find(({ name }) => name === toolName)?.call({});
  await agent.close();
  if (!result || result.isError) throw new Error(result?.text ?? 'no such tool');
  return result.structuredContent;
}

const cases = [
  ['health', renderHealth, 'get_gpu_health'],
  ['inventory', renderInventory, 'get_gpu_inventory'],
  ['xid', renderIncidents, 'analyze_xid_errors'],
] as const;

describe.each(cases)('%s', (_, render, tool) => {
  it('is the same text with and without colour', async () => {
    const answer = await answerOf(tool, 'mixed-faults');
    const coloured = render(answer, terminalOf(100));
    const uncoloured = render(answer, terminalOf(100, plain));
    expect(coloured).not.toBe(uncoloured);
    expect(stripVTControlCharacters(coloured)).toBe(uncoloured);
    expect(uncoloured).toContain('CRITICAL');
    expect(uncoloured).toContain('SIMULATED');
  });

  it('has its tables and quotes within a terminal of 80 columns', async () => {
    const text = render(await answerOf(tool, 'mixed-faults'), terminalOf(80, plain));
    const rows = text.split('\n').filter((line) => /^\s+\d+ {2}|^GPU|^ {2}\|/.test(line));
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(row.length).toBeLessThanOrEqual(80);
  });
});

describe('untrusted text', () => {
  it('is freed of what a terminal obeys, and quoted', () => {
    const answer = {
      node: 'node-a',
      observedAt: '2026-01-01T00:00:00.000Z',
      verdict: 'critical',
      summary: 'One incident.',
      gaps: [],
      coverage: { gpuBackend: { backend: 'stub', readable: true } },
      nextSteps: [],
      eventCount: 1,
      incidents: [
        {
          kind: 'xid',
          xid: 13,
          title: 'title',
          verdict: 'critical',
          action: 'check-app',
          pciAddress: null,
          count: 1,
          firstAt: null,
          lastAt: null,
          trusted: false,
          explanation: 'explanation',
          processes: [{ pid: 1, name: '\u001b]0;owned\u0007\u202eevil' }],
          raw: ['\u001b[2J\u009b31mNVRM: Xid\r\nok    all is well'],
        },
      ],
    };
    const text = renderIncidents(answer, terminalOf(200, plain));
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text).not.toMatch(/^ok {4}all is well/m);
    expect(text).toContain('user-space program');
  });
});
