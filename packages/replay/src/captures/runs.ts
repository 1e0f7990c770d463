import { type Capture, formatRank, isRun } from './capture.ts';
import type { Observation } from './machines.ts';

/** What several outputs of one moment show of one GPU, the most exact first. */
export type Run = readonly Observation[];

/** A person who collects several outputs needs seconds; a fault that begins in between is rare. */
const sameRunMilliseconds = 120_000;

/**
 * The runs that show one GPU, oldest first: outputs of different formats near in time are one run, the same format again is the next. Outputs without a time
 * stand with those before them in their file; lists and matrices complete the newest run.
 */
export function runsOf(observations: readonly Observation[]): readonly Run[] {
  const timed = withTimes(observations.filter(({ capture }) => isRun(capture)));
  const runs: { time: number; members: Observation[] }[] = [];
  for (const { observation, time } of timed) {
    const newest = runs.at(-1);
    const isNear =
      newest !== undefined && (time === newest.time || Math.abs(time - newest.time) <= sameRunMilliseconds);
    const isNewFormat = newest?.members.every(({ capture }) => capture.format !== observation.capture.format);
    if (isNear && isNewFormat) newest.members.push(observation);
    else runs.push({ time, members: [observation] });
  }
  const parts = observations.filter(({ capture }) => !isRun(capture)).reverse();
  const last = runs.at(-1);
  if (!last && parts.length > 0) runs.push({ time: 0, members: parts });
  else last?.members.push(...parts);
  // Stable: of two lists the later one stands first.
  return runs.map(({ members }) =>
    members.toSorted((a, b) => formatRank[a.capture.format] - formatRank[b.capture.format]),
  );
}

function withTimes(observations: readonly Observation[]) {
  const hasTime = observations.some(({ capture }) => timeOf(capture) !== undefined);
  return observations
    .map((observation) => ({
      observation,
      time: timeOf(observation.capture) ?? neighbourTime(observation, observations) ?? (hasTime ? -1 : 0),
    }))
    .sort((a, b) => a.time - b.time || a.observation.capture.order - b.observation.capture.order);
}

function timeOf({ at }: Capture): number | undefined {
  const time = at === null ? Number.NaN : Date.parse(at);
  return Number.isNaN(time) ? undefined : time;
}

/** The time of the nearest capture before it in its file, or else after it. */
function neighbourTime({ capture }: Observation, all: readonly Observation[]): number | undefined {
  const timed = all.filter(
    (other) => other.capture.file === capture.file && timeOf(other.capture) !== undefined,
  );
  const before = timed.filter((other) => other.capture.order < capture.order).at(-1);
  const nearest = before ?? timed[0];
  return nearest && timeOf(nearest.capture);
}

/** ISO 8601 of the newest output of a run. */
export function timeOfRun(run: Run): string | null {
  const times = run.flatMap(({ capture }) => (capture.at === null ? [] : [capture.at]));
  return times.sort().at(-1) ?? null;
}
