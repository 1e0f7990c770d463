import type { GpuTool, ToolContext } from '@k8s-gpu-mcp/core';

/**
 * The longest that an act and its verification take: a reset has 120 s, verifying 60 s. Past it the program ends all the same. Whoever stops
 * it sooner (Kubernetes kills after 30 s by default) cuts off what is being done.
 */
export const operationLimitMilliseconds = 180_000;

/** What the operator tools of a process are doing. */
export interface Operations {
  /** The tools given, watched. */
  watched(tools: readonly GpuTool[]): readonly GpuTool[];
  /** Shutdown has begun: questions to people are withdrawn, nothing new acts, and what acts already is left to finish. */
  stop(): void;
  /** Resolves when nothing is going on any more. Call `stop` first. */
  readonly finished: () => Promise<void>;
}

/** So that the program can wait for what must not be left half done. */
export function trackOperations(): Operations {
  const stopping = new AbortController();
  const running = new Set<Promise<unknown>>();
  const tracked = (tool: GpuTool): GpuTool => ({
    ...tool,
    call(input, context = {}) {
      const call = tool.call(input, { ...context, signal: eitherOf(context, stopping.signal) });
      running.add(call);
      const done = () => void running.delete(call);
      call.then(done, done);
      return call;
    },
  });
  return {
    watched: (tools) => tools.map(tracked),
    stop: () => stopping.abort(),
    async finished() {
      while (running.size > 0) await Promise.allSettled(running);
    },
  };
}

const eitherOf = ({ signal }: ToolContext, stopping: AbortSignal) =>
  signal === undefined ? stopping : AbortSignal.any([signal, stopping]);
