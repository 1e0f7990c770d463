import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGpuTools, type StructuredContent } from '@k8s-gpu-mcp/core';
import { readText, scanKernelLog } from '@k8s-gpu-mcp/host-linux';
import { describe, expect, test } from 'vitest';
import { openRecordings } from '../src/index.ts';

const fixtures = join(import.meta.dirname, '../fixtures/nvidia-smi');
/** Real captures, idle and under load, none of which shows a fault; sources in the README beside them. */
const captures = ['q', 'qx'].flatMap((folder) =>
  readdirSync(join(fixtures, folder)).map((file) => join(folder, file)),
);

interface Judged {
  readonly health: StructuredContent;
  readonly explanation: StructuredContent;
}

async function judge(...paths: readonly string[]): Promise<Judged> {
  const inputs = paths.map((path) => ({ name: path, path }));
  const recordings = await openRecordings(inputs, { readText, scanKernelLog });
  const { gpuProvider, kernelLog } = recordings;
  const tools = createGpuTools({ gpuProvider, kernelLog }, { nodeName: 'n', lookback: null });
  const answerOf = async (name: string): Promise<StructuredContent> => {
    const result = await tools.find((tool) => tool.name === name)?.call({ detail: 'full' });
    if (!result || result.isError) throw new Error(result?.text ?? `no ${name}`);
    return result.structuredContent;
  };
  const judged = { health: await answerOf('get_gpu_health'), explanation: await answerOf('explain_failure') };
  await recordings.close();
  return judged;
}

const alarms = ({ findings }: StructuredContent) =>
  (findings as { verdict: string; ruleId: string; what: string }[]).filter(
    ({ verdict }) => verdict === 'warning' || verdict === 'critical',
  );

describe('captures of healthy GPUs raise no alarm', () => {
  test('there are all of them', () => expect(captures.length).toBeGreaterThanOrEqual(27));

  test.each(captures)('%s', async (capture) => {
    const { health, explanation } = await judge(join(fixtures, capture));
    expect(alarms(health)).toEqual([]);
    expect(alarms(explanation)).toEqual([]);
    expect(explanation['notYourCode']).not.toBe(true);
  });

  test('a fault in one of them would be seen', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'planted-'));
    const healthy = await readFile(join(fixtures, 'qx/nvidia__qx-a100.xml'), 'utf8');
    const planted = healthy.replace('<remapped_row_failure>No<', '<remapped_row_failure>Yes<');
    expect(planted).not.toBe(healthy);
    const file = join(folder, 'planted.xml');
    await writeFile(file, planted);
    const { health } = await judge(file);
    await rm(folder, { recursive: true });
    expect(alarms(health)).toMatchObject([{ ruleId: 'remap.failed' }]);
  });
});
