import { UsageError } from '@k8s-gpu-mcp/command-line';
import {
  GpuReader,
  type GpuRef,
  gpuResolver,
  isGpuError,
  mergeGpuEvents,
  presentNodeEvent,
  resolveGpu,
  systemClock,
} from '@k8s-gpu-mcp/core';
import { composeEvents } from '../../composition/compose-agent.ts';
import type { CommandContext } from '../command.ts';
import { renderEvent, renderNotice } from '../render/event.ts';

const describeMilliseconds = 10_000;
const stopSignals = ['SIGTERM', 'SIGINT'] as const;

/** Prints what happens to the GPUs as it happens, until interrupted or nobody reads any more. Live only: `xid` has the past. */
export async function watch({ config, terminal, note, createLogger }: CommandContext): Promise<number> {
  const logger = await createLogger();
  const parts = await composeEvents(config, logger);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  for (const signal of stopSignals) process.on(signal, onSignal);
  try {
    const reader = new GpuReader(parts.gpuProvider, systemClock, logger);
    // A driver that hangs keeps nobody from interrupting.
    const deadline = AbortSignal.any([AbortSignal.timeout(describeMilliseconds), stop.signal]);
    const node = await reader.describe(deadline);
    if (stop.signal.aborted) return 0;
    if (isGpuError(node)) note(`the GPUs cannot be named: ${node.message}`);
    const gpus = isGpuError(node) ? [] : node.gpus;
    const only = await selected(config.gpu, gpus, reader, deadline);
    // Naming is done: the driver must be free to be unloaded while nothing happens but listening.
    await parts.gpuProvider.close();
    const { eventSource: driver, kernelLogFollower: kernelLog } = parts;
    const isSimulated = parts.gpuProvider.manifest.simulated && config.kernelLog === 'auto';
    const hasKernelLog = config.kernelLog !== 'none' && !isSimulated;
    const events = mergeGpuEvents(
      { driver, ...(hasKernelLog ? { kernelLog } : {}) },
      { clock: systemClock, resolve: gpuResolver(gpus), signal: stop.signal },
    );
    for await (const event of events) {
      if ('notice' in event) {
        await terminal.write(config.json ? `${JSON.stringify(event)}\n` : renderNotice(event, terminal));
        continue;
      }
      if (only !== undefined && event.gpu?.index !== only.index) continue;
      const shown = presentNodeEvent(event);
      await terminal.write(config.json ? `${JSON.stringify(shown)}\n` : renderEvent(shown, terminal));
    }
    return 0;
  } finally {
    stop.abort();
    for (const signal of stopSignals) process.off(signal, onSignal);
    await parts.close();
  }
}

async function selected(
  selector: string | undefined,
  gpus: readonly GpuRef[],
  reader: GpuReader,
  signal: AbortSignal,
): Promise<GpuRef | undefined> {
  if (selector === undefined) return undefined;
  try {
    return await resolveGpu(selector, gpus, reader, signal);
  } catch (error) {
    if (isGpuError(error)) throw new UsageError(`--gpu: ${error.message}`);
    throw error;
  }
}
