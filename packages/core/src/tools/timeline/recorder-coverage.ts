import type { Gap } from '../../domain/gap.ts';
import type { RecorderStatus } from '../../recorder/flight-recorder.ts';
import type { Detail } from '../answer.ts';
import { type GpuRows, gapReason } from './timeline-events.ts';
import type { TimelineRequest } from './timeline-request.ts';

/** What was not recorded, and which series were never read. */
export function recorderGaps(
  gpus: readonly GpuRows[],
  status: RecorderStatus | undefined,
  { ids, span }: TimelineRequest,
): Gap[] {
  if (!status) {
    const detail = 'this server has no flight recorder: nothing is known of the past but the kernel log';
    return [{ field: 'recorder', reason: 'not-observable', detail }];
  }
  const whole = Math.round((span.toMilliseconds - span.fromMilliseconds) / 1_000);
  const notRecorded = `${status.refusedGpuCount} GPUs are not recorded: there are more than the recorder has room for`;
  const missed = (field: string, detail: string, gpu?: number): Gap => ({
    ...(gpu === undefined ? {} : { gpu }),
    field,
    reason: 'not-observable',
    detail,
  });
  return [
    ...(status.refusedGpuCount > 0 ? [missed('recorder.gpus', notRecorded)] : []),
    ...(status.store?.failing ? [notKept(status.store.detail)] : []),
    ...gpus.flatMap((gpu): Gap[] => {
      const { ref, rows, gaps, summaryOf } = gpu;
      const missing = gaps.reduce((sum, gap) => sum + gap.toMilliseconds - gap.fromMilliseconds, 0) / 1_000;
      const reasons = [...new Set(gaps.map((gap) => gapReason(gap, gpu, status)))].join(', ');
      const noSamples = `no samples in ${Math.round(missing)} of ${whole} s: ${reasons}`;
      const hasRows = rows !== undefined && rows.firstAtMilliseconds.length > 0;
      const unread = hasRows ? ids.filter((id) => !summaryOf(id)) : [];
      const notRead = 'not read in any sample; get_gpu_telemetry says why';
      return [
        ...(gaps.length > 0 ? [missed('recorder', noSamples, ref.index)] : []),
        ...(unread.length > 0 ? [missed(`recorder.${unread.join(', ')}`, notRead, ref.index)] : []),
      ];
    }),
  ];
}

const notKept = (detail = 'no reason was told'): Gap => ({
  field: 'recorder.store',
  reason: 'error',
  detail: `what is recorded now does not outlive the process: ${detail}`,
});

/** What an answer says of the recorder. */
export function recorderCoverage(status: RecorderStatus | undefined, detail: Detail) {
  if (!status) return { recording: false };
  const { recording, loading, from, to, intervalMilliseconds, sampleCount, memoryBytes } = status;
  const short = {
    recording,
    ...(loading ? { loading } : {}),
    from,
    to,
    intervalMilliseconds,
    sampleCount,
    memoryBytes,
  };
  const { always, since, retentionMilliseconds, store } = status;
  return detail === 'full'
    ? { ...short, always, since, retentionMilliseconds, ...(store ? { store } : {}) }
    : short;
}
