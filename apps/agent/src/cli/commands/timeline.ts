import { exitCodeOf, exitCodeOfError } from '@k8s-gpu-mcp/command-line';
import { type Clock, systemClock } from '@k8s-gpu-mcp/core';
import { composeAgent } from '../../composition/compose-agent.ts';
import type { CommandContext } from '../command.ts';
import { hasBlockCharacters } from '../render/sparkline.ts';
import { curveWidth, renderTimeline } from '../render/timeline.ts';

/** How much is shown of a record that ends before now. */
const shownMilliseconds = 10 * 60_000;

const stopSignals = ['SIGTERM', 'SIGINT'] as const;

/** What a person looks at first; the tool has the rest. */
const shownSeries = [
  'temperatureCelsius',
  'powerDrawWatts',
  'smClockMegahertz',
  'gpuUtilizationPercent',
  'memoryUsedMebibytes',
  'clockEventReasons',
  'thermalViolationMicroseconds',
  'eccUncorrectableCount',
];

/**
 * What was recorded of the GPUs, drawn: from the record directory when it has anything, else what a short live window gives. An interrupt
 * ends the window early.
 */
export async function timeline(
  { config, host, terminal, note, createLogger }: CommandContext,
  clock: Pick<Clock, 'after' | 'now'> = systemClock,
): Promise<number> {
  const { gpu, since, recordDirectory, windowSeconds } = config;
  const agent = await composeAgent(config, await createLogger());
  try {
    const { recorder } = agent;
    await recorder.start(false);
    const { from, to, store } = recorder.status;
    if (store?.detail !== undefined) note(`the record directory: ${store.detail}`);
    const tool = agent.tools.find(({ name }) => name === 'get_gpu_timeline');
    if (!tool) throw new Error('get_gpu_timeline is not among the tools');
    const asked = {
      ...(gpu === undefined ? {} : { gpu }),
      ...(since === undefined ? {} : { since }),
      series: shownSeries,
      points: curveWidth(terminal),
      detail: 'full',
    };
    const beganAt = clock.now();
    // Also what begins the recording of a live window; a wrong argument is told before it, not after.
    let result = await tool.call({ ...asked, ...(since === undefined ? endOfRecord(to, beganAt) : {}) });
    if (from === null && !result.isError) {
      const why = recordDirectory === undefined ? '' : `${recordDirectory} has nothing; `;
      const window = windowOrInterrupt(windowSeconds * 1_000, clock);
      note(`${why}recording for ${windowSeconds} s`);
      await window;
      // An interrupt may have ended it early.
      const seconds = Math.ceil((clock.now() - beganAt) / 1_000);
      result = await tool.call({ since: `${seconds + 1}s`, ...asked });
    }
    if (result.isError) {
      note(result.text);
      return exitCodeOfError(result.code);
    }
    const { structuredContent: answer, text } = result;
    const hasBlocks = hasBlockCharacters(host.env);
    await terminal.write(config.json ? `${text}\n` : renderTimeline(answer, terminal, { hasBlocks }));
    return exitCodeOf(answer);
  } finally {
    await agent.close();
  }
}

/** Of a record that ended a while ago, as after a crash, its end; nothing of it would be seen in the minutes before now. */
function endOfRecord(to: string | null, now: number): { readonly since?: string; readonly until?: string } {
  if (to === null || now - Date.parse(to) < shownMilliseconds) return {};
  return { since: new Date(Date.parse(to) - shownMilliseconds).toISOString(), until: to };
}

function windowOrInterrupt(milliseconds: number, clock: Pick<Clock, 'after'>): Promise<void> {
  return new Promise((resolve) => {
    let cancel = () => {};
    const end = () => {
      cancel();
      for (const signal of stopSignals) process.off(signal, end);
      resolve();
    };
    for (const signal of stopSignals) process.on(signal, end);
    cancel = clock.after(milliseconds, end);
  });
}
