import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../test/kernel-log-samples.ts';
import { parseCgroupOwner } from './cgroup-owner.ts';

interface Sample {
  readonly lines: readonly string[];
  readonly container: string | null;
  readonly runtime?: string | null;
  readonly podUid?: string | null;
  readonly slurmJobId?: string | null;
  readonly source: string;
}
const samples = JSON.parse(
  readFileSync(new URL('../../test/fixtures/cgroup-paths.json', import.meta.url), 'utf8'),
) as readonly Sample[];

const expected = ({ container, runtime = null, podUid = null, slurmJobId = null }: Sample) => ({
  container: container === null ? null : { id: container, runtime },
  podUid,
  slurmJobId,
});

describe('parseCgroupOwner', () => {
  it.each(samples)('$lines.0 ($source)', (sample) => {
    expect(parseCgroupOwner(`${sample.lines.join('\n')}\n`)).toEqual(expected(sample));
  });

  it('planted fault: a container id of another line is noticed', () => {
    const [one, other] = samples.filter(({ container }) => container !== null);
    expect(parseCgroupOwner(one?.lines.join('\n') ?? '')).not.toEqual(expected(other as Sample));
  });

  it('takes a job only from where Slurm puts it', () => {
    for (const path of [
      '/user.slice/job_7',
      '/slurmx/uid_1/job_7',
      '/slurm/uid_1/job_7x',
      '/a/slurm/job_7',
    ]) {
      expect(parseCgroupOwner(`0::${path}`).slurmJobId).toBeNull();
    }
  });

  it('survives any bytes', () => {
    const random = createRandom(7);
    for (let round = 0; round < 300; round += 1) {
      const bytes = Buffer.from(Array.from({ length: random(200) }, () => random(256)));
      expect(parseCgroupOwner(`0::/${bytes.toString('utf8')}`).container).toBeNull();
    }
    // No run of digits and dashes takes more than a moment.
    const startedAt = performance.now();
    parseCgroupOwner(
      `0::/${'a-'.repeat(50_000)}\n0::/${'pod'.repeat(50_000)}\n0::/${'slurm_'.repeat(50_000)}`,
    );
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});
