import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runIsolated } from './isolated.mjs';

const folder = mkdtempSync(join(tmpdir(), 'bench-isolated-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function benchmark(name: string, source: string) {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, source);
  return file;
}
const minute = 60_000;

describe('runIsolated', () => {
  it('gives the figures of the benchmark', async () => {
    const file = benchmark(
      'good',
      `export const run = async () => ({ figures: [{ name: 'a / b' }], notes: ['n'] });`,
    );
    const { benchmark: name, figures, notes, error } = await runIsolated(file, minute);
    expect({ name, figures, notes, error }).toEqual({
      name: 'good',
      figures: [{ name: 'a / b' }],
      notes: ['n'],
      error: undefined,
    });
  });

  it('planted fault: a benchmark that throws has failed, and what it started is ended', async () => {
    const pidFile = join(folder, 'pid');
    const file = benchmark(
      'throws',
      `import { spawn } from 'node:child_process';
       import { writeFileSync } from 'node:fs';
       export const run = async () => {
         const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
         writeFileSync(${JSON.stringify(pidFile)}, String(child.pid));
         throw new Error('planted: this stack belongs to the test');
       };`,
    );
    const { figures, error } = await runIsolated(file, minute);
    expect(figures).toEqual([]);
    expect(error).toMatch(/^ended with \d+ and gave no figures$/);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    // It may be a moment until the kernel has taken it away.
    await expect.poll(() => isRunning(pid)).toBe(false);
  });

  it('planted fault: a benchmark that hangs is ended', async () => {
    const file = benchmark(
      'hangs',
      'setInterval(() => {}, 1000); export const run = () => new Promise(() => {});',
    );
    expect(await runIsolated(file, 1)).toMatchObject({
      figures: [],
      error: expect.stringMatching(/^not done after/),
    });
  });
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
