import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { RecordedSample } from '@k8s-gpu-mcp/core';
import { afterAll, describe, expect, it } from 'vitest';
import { createRecorderStore } from '../src/recorder-store/recorder-store.ts';

const drill = resolve(import.meta.dirname, '../../../bench/drills/recorder-kill-drill.mjs');
const runDrill = (...words: string[]) =>
  spawnSync(process.execPath, [drill, ...words], { encoding: 'utf8', timeout: 50_000 });

describe('the recorder killed with SIGKILL', () => {
  it('has what it acknowledged, but for the last interval', () => {
    const { status, stdout } = runDrill('4');
    expect(stdout).toContain('survived 4/4');
    expect(status).toBe(0);
  });

  it('and a recorder that acknowledges too early is found out', () => {
    const { status, stdout } = runDrill('2', '--planted');
    expect(stdout).toMatch(/round 1 .*: \d+ of \d+ intervals are missing/);
    expect(stdout).toContain('survived 0/2');
    expect(status).toBe(1);
  });
});

const mountPoint = mkdtempSync(join(tmpdir(), 'recorder-full-disk-'));
const diskBytes = 256 * 1024;

/** Whether this process may make a small file system of its own. */
function mounted(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', mountPoint], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}
const hasSmallDisk = mounted();
afterAll(() => {
  if (hasSmallDisk) execFileSync('umount', [mountPoint]);
  rmSync(mountPoint, { recursive: true });
});

const sampleOf = (atMilliseconds: number): RecordedSample => ({
  gpuUuid: 'GPU-0',
  gpuIndex: 0,
  atMilliseconds,
  values: new Float64Array(30).fill(1),
});

describe('a disk that is really full', () => {
  it.skipIf(!hasSmallDisk)(
    'rejects while it is, loses nothing else, and goes on when there is room',
    async () => {
      const directory = join(mountPoint, 'record');
      const seriesNames = Array.from({ length: 30 }, (_, index) => `series${index}`);
      const now = Date.now() - 60_000;
      const store = createRecorderStore({ directory, seriesNames });
      const filler = join(mountPoint, 'filler');
      execFileSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=1k', 'count=200'], { stdio: 'ignore' });
      const kept: number[] = [];
      let refused: unknown;
      for (let index = 0; index < 400 && refused === undefined; index += 1) {
        await store.append([sampleOf(now + index)]).then(
          () => kept.push(now + index),
          (error: unknown) => {
            refused = error;
          },
        );
      }
      expect(refused).toMatchObject({ code: 'UNAVAILABLE' });
      expect(kept.length).toBeGreaterThan(10);
      rmSync(filler);
      await store.append([sampleOf(now + 1_000)]);
      await store.close();
      const { samples, lostSampleCount } = await createRecorderStore({ directory, seriesNames }).load();
      expect(samples.map(({ atMilliseconds }) => atMilliseconds)).toEqual([...kept, now + 1_000]);
      expect(lostSampleCount).toBe(0);
    },
  );
});
