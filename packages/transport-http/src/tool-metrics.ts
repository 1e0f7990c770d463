import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { durationBucketsSeconds } from './metrics.ts';

/** `partial`: an answer that lacks something it was asked for. */
export const toolOutcomes = ['ok', 'partial', 'error'] as const;
export type ToolOutcome = (typeof toolOutcomes)[number];

export interface ToolMetricsOptions {
  /** Milliseconds on a clock that never goes back. Default `performance.now`. */
  readonly now?: () => number;
}

/** Tool calls in Prometheus metrics. Any name that is not a known tool is counted as `other`, so that callers cannot make labels. */
export interface ToolMetrics {
  /** The value of the `tool` label for a name that a caller gave. */
  labelOf(tool: string): string;
  /** Call at the start of a tool call; call what it returns at its end. Only the first end counts. */
  observe(tool: string): (outcome: ToolOutcome) => void;
  /** Prometheus text, for `HttpAppOptions.collectMetrics`. */
  render(): Promise<string>;
}

export function createToolMetrics(
  toolNames: Iterable<string>,
  { now = () => performance.now() }: ToolMetricsOptions = {},
): ToolMetrics {
  const known = new Set(toolNames);
  const registry = new Registry();
  const registers = [registry];
  const requests = new Counter({
    name: 'mcp_requests_total',
    help: 'Tool calls that ended.',
    labelNames: ['tool', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'mcp_request_duration_seconds',
    help: 'Time from the start of a tool call to its end.',
    labelNames: ['tool'],
    buckets: durationBucketsSeconds,
    registers,
  });
  const active = new Gauge({
    name: 'mcp_active_requests',
    help: 'Tool calls that have not ended.',
    labelNames: ['tool'],
    registers,
  });
  // A rate needs a first zero: without it the first error of a tool would not show as an increase.
  for (const tool of [...known, 'other']) {
    active.set({ tool }, 0);
    for (const status of toolOutcomes) requests.inc({ tool, status }, 0);
  }
  const labelOf = (tool: string) => (known.has(tool) ? tool : 'other');
  return {
    labelOf,
    observe(name) {
      const tool = labelOf(name);
      const startedAt = now();
      let isEnded = false;
      active.inc({ tool });
      return (status) => {
        if (isEnded) return;
        isEnded = true;
        active.dec({ tool });
        durations.observe({ tool }, Math.max(0, now() - startedAt) / 1000);
        requests.inc({ tool, status });
      };
    },
    render: () => registry.metrics(),
  };
}

interface CallableTool<Context, Result> {
  readonly name: string;
  call(input: unknown, context?: Context): Promise<Result>;
}

/** The tools, each of their calls counted and timed. `isPartial` tells an answer that lacks something it was asked for. */
export function countCalls<
  Context,
  Result extends { readonly isError: boolean },
  Tool extends CallableTool<Context, Result>,
>(
  tools: readonly (Tool & CallableTool<Context, Result>)[],
  metrics: Pick<ToolMetrics, 'observe'>,
  isPartial: (result: Result) => boolean = () => false,
): readonly Tool[] {
  return tools.map((tool) => ({
    ...tool,
    async call(input: unknown, context?: Context) {
      const ended = metrics.observe(tool.name);
      let outcome: ToolOutcome = 'error';
      try {
        const result = await tool.call(input, context);
        outcome = result.isError ? 'error' : isPartial(result) ? 'partial' : 'ok';
        return result;
      } finally {
        ended(outcome);
      }
    },
  }));
}
