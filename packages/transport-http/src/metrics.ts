import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Logger } from './options.ts';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS']);

/** Upper bounds of every duration histogram here: from a cached answer to the longest call that is let run. */
export const durationBucketsSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Gauges of prom-client that are named like counters, which promtool refuses. Each is the sum of a metric without `_total`. */
const misnamedProcessMetrics = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** The Prometheus metrics of one app, in a registry of its own. Labels come from closed sets, never from callers. */
export class HttpMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<'route' | 'method' | 'status'>;
  readonly #durations: Histogram<'route' | 'method'>;
  readonly #inFlight: Gauge;
  readonly #logger: Logger;
  readonly #collectFurther: (() => Promise<string>) | undefined;

  constructor(options: {
    readonly logger: Logger;
    readonly processMetrics: boolean;
    readonly sessionCount: () => number;
    readonly collectFurther: (() => Promise<string>) | undefined;
  }) {
    const registers = [this.#registry];
    this.#logger = options.logger;
    this.#collectFurther = options.collectFurther;
    if (options.processMetrics) {
      collectDefaultMetrics({ register: this.#registry });
      for (const name of misnamedProcessMetrics) this.#registry.removeSingleMetric(name);
    }
    this.#requests = new Counter({
      name: 'mcp_http_requests_total',
      help: 'HTTP requests answered.',
      labelNames: ['route', 'method', 'status'],
      registers,
    });
    this.#durations = new Histogram({
      name: 'mcp_http_request_duration_seconds',
      help: 'Time from request to the end of its response, streams included.',
      labelNames: ['route', 'method'],
      buckets: durationBucketsSeconds,
      registers,
    });
    this.#inFlight = new Gauge({
      name: 'mcp_http_requests_in_flight',
      help: 'HTTP requests whose response has not ended.',
      registers,
    });
    const { sessionCount } = options;
    new Gauge({
      name: 'mcp_http_sessions',
      help: 'Open sessions of 2025-era clients.',
      registers,
      collect() {
        this.set(sessionCount());
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Call at the start of a request; call what it returns, once, at the end of the response. */
  requestStarted(route: string, method: string): (status: number) => void {
    const labels = { route, method: METHODS.has(method) ? method : 'other' };
    const stopTimer = this.#durations.startTimer(labels);
    this.#inFlight.inc();
    let ended = false;
    return (status) => {
      if (ended) return;
      ended = true;
      this.#inFlight.dec();
      stopTimer();
      this.#requests.inc({ ...labels, status: String(status) });
    };
  }

  async render(): Promise<string> {
    const own = await this.#registry.metrics();
    if (this.#collectFurther === undefined) return own;
    try {
      return `${own.trimEnd()}\n${(await this.#collectFurther()).trimEnd()}\n`;
    } catch (error) {
      this.#logger.warn('http: collecting further metrics failed', { error: String(error) });
      return own;
    }
  }

  close(): void {
    this.#registry.clear();
  }
}
