import { type Clock, systemClock } from '@k8s-gpu-mcp/core';
import { composeAgent } from '../../composition/compose-agent.ts';
import type { CommandContext } from '../command.ts';
import { exitCodeOf } from '../exit-codes.ts';
import { hasBlockCharacters } from '../render/sparkline.ts';
import { curveWidth, renderTimeline } from '../render/timeline.ts';
import { exitCodeOfError } from './call.ts';

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
  clock: Pick<Clock, 'after'> = systemClock,
): Promise<number> {
  const { gpu, since, recordDirectory, windowSeconds } = config;
  const agent = await composeAgent(config, await createLogger());
  try {
    const { recorder } = agent;
    await recorder.start(false);
    const { from, store } = recorder.status;
    if (store?.detail !== undefined) note(`the record directory: ${store.detail}`);
    const isLive = from === null;
    if (isLive) {
      const why = recordDirectory === undefined ? '' : `${recordDirectory} has nothing; `;
      note(`${why}recording for ${windowSeconds} s`);
      recorder.touch();
      await windowOrInterrupt(windowSeconds * 1_000, clock);
    }
    const tool = agent.tools.find(({ name }) => name === 'get_gpu_timeline');
    if (!tool) throw new Error('get_gpu_timeline is not among the tools');
    // A second more: the first reading comes when the driver has said which GPUs there are.
    const span = since ?? (isLive ? `${windowSeconds + 1}s` : undefined);
    const result = await tool.call({
      ...(gpu === undefined ? {} : { gpu }),
      ...(span === undefined ? {} : { since: span }),
      series: shownSeries,
      points: curveWidth(terminal),
      detail: 'full',
    });
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
