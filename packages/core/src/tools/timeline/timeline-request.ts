import type { GpuRef } from '../../domain/gpu.ts';
import type { Incident } from '../../domain/incident.ts';
import type { GpuError } from '../../errors.ts';
import type { RecordedSeriesId } from '../../recorder/series.ts';
import type { Detail } from '../answer.ts';
import type { KernelEventRead } from '../kernel-events.ts';
import type { TimeSpan } from './time-span.ts';

/** What a timeline is made of, beside what the recorder kept. */
export interface TimelineRequest {
  readonly span: TimeSpan;
  readonly ids: readonly RecordedSeriesId[];
  readonly asked: readonly GpuRef[];
  /** GPUs that were recorded and that the driver does not list now. */
  readonly gone: readonly GpuRef[];
  readonly incidents: readonly Incident[];
  readonly log: KernelEventRead;
  readonly node: readonly GpuRef[] | GpuError;
  readonly detail: Detail;
  readonly points: number | undefined;
}
