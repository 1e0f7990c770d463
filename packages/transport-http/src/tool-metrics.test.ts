import { describe, expect, it } from 'vitest';
import { countCalls, createToolMetrics, type ToolOutcome } from './tool-metrics.ts';

/** Metrics on a clock of the test, and the samples of their text by name and labels. */
function create() {
  let now = 1_000_000;
  const metrics = createToolMetrics(['get_gpu_health', 'get_gpu_inventory'], { now: () => now });
  return {
    metrics,
    advance: (milliseconds: number) => {
      now += milliseconds;
    },
    samples: async () => {
      const lines = (await metrics.render())
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'));
      return new Map(
        lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
      );
    },
  };
}
const requests = (tool: string, status: string) => `mcp_requests_total{tool="${tool}",status="${status}"}`;
const active = (tool: string) => `mcp_active_requests{tool="${tool}"}`;

describe('tool metrics', () => {
  it('begins every known tool at zero', async () => {
    const samples = await create().samples();
    for (const tool of ['get_gpu_health', 'get_gpu_inventory', 'other']) {
      expect(samples.get(active(tool))).toBe(0);
      for (const status of ['ok', 'partial', 'error']) expect(samples.get(requests(tool, status))).toBe(0);
    }
  });

  it('counts calls in flight, then how they ended and how long they took', async () => {
    const { metrics, advance, samples } = create();
    const first = metrics.observe('get_gpu_health');
    const second = metrics.observe('get_gpu_health');
    expect((await samples()).get(active('get_gpu_health'))).toBe(2);
    advance(300);
    first('ok');
    advance(1_700);
    second('error');
    const after = await samples();
    expect(after.get(active('get_gpu_health'))).toBe(0);
    expect(after.get(requests('get_gpu_health', 'ok'))).toBe(1);
    expect(after.get(requests('get_gpu_health', 'partial'))).toBe(0);
    expect(after.get(requests('get_gpu_health', 'error'))).toBe(1);
    const family = 'mcp_request_duration_seconds';
    expect(after.get(`${family}_count{tool="get_gpu_health"}`)).toBe(2);
    expect(after.get(`${family}_sum{tool="get_gpu_health"}`)).toBeCloseTo(2.3, 9);
    expect(after.get(`${family}_bucket{le="0.25",tool="get_gpu_health"}`)).toBe(0);
    expect(after.get(`${family}_bucket{le="0.5",tool="get_gpu_health"}`)).toBe(1);
    expect(after.get(`${family}_bucket{le="2.5",tool="get_gpu_health"}`)).toBe(2);
    expect(after.get(requests('get_gpu_inventory', 'ok'))).toBe(0);
  });

  it('counts a call that is ended twice once', async () => {
    const { metrics, samples } = create();
    const ended = metrics.observe('get_gpu_inventory');
    ended('partial');
    ended('error');
    const after = await samples();
    expect(after.get(active('get_gpu_inventory'))).toBe(0);
    expect(after.get(requests('get_gpu_inventory', 'partial'))).toBe(1);
    expect(after.get(requests('get_gpu_inventory', 'error'))).toBe(0);
  });

  it('makes no label of a name that callers invent', async () => {
    const { metrics, samples } = create();
    const before = (await samples()).size;
    for (let index = 0; index < 500; index += 1) metrics.observe(`evil"} 1\n${index}`)('error');
    metrics.observe('__proto__')('error');
    const after = await samples();
    expect(after.get(requests('other', 'error'))).toBe(501);
    // One histogram for `other`: 13 bounds, +Inf, sum and count.
    expect(after.size - before).toBe(16);
  });

  it('shows a call that never ends as one in flight, not as one that ended', async () => {
    const { metrics, samples } = create();
    metrics.observe('get_gpu_health');
    const after = await samples();
    expect(after.get(active('get_gpu_health'))).toBe(1);
    expect([...after].filter(([name]) => name.startsWith('mcp_requests_total')).map(([, n]) => n)).toEqual(
      Array(9).fill(0),
    );
  });
});

describe('tools whose calls are counted', () => {
  interface Result {
    readonly isError: boolean;
    readonly lacks?: string;
  }
  const set = (call: (input: unknown, context?: { caller: string }) => Promise<Result>) => {
    const events: string[] = [];
    const observe = (tool: string) => {
      events.push(`begin ${tool}`);
      return (outcome: ToolOutcome) => void events.push(`end ${tool} ${outcome}`);
    };
    const given = [{ name: 'get_gpu_health', title: 'Health', call }];
    const tools = countCalls(given, { observe }, (result) => result.lacks !== undefined);
    return { events, given, tools };
  };
  const only = <T>([first]: readonly T[]): T => {
    if (first === undefined) throw new Error('no tool');
    return first;
  };

  it.each<readonly [Result, string]>([
    [{ isError: false }, 'ok'],
    [{ isError: false, lacks: 'a node' }, 'partial'],
    // An error is one, whatever it lacks besides.
    [{ isError: true }, 'error'],
    [{ isError: true, lacks: 'a node' }, 'error'],
  ])('%o is %s, and reaches the caller as it is', async (result, outcome) => {
    const { events, tools } = set(async () => result);
    expect(await only(tools).call({})).toBe(result);
    expect(events).toEqual(['begin get_gpu_health', `end get_gpu_health ${outcome}`]);
  });

  it('counts a call that throws as an error, and throws it on', async () => {
    const { events, tools } = set(() => Promise.reject(new Error('a defect')));
    await expect(only(tools).call({})).rejects.toThrow('a defect');
    expect(events).toEqual(['begin get_gpu_health', 'end get_gpu_health error']);
  });

  it('hands input and context on, and leaves the given tools as they were', async () => {
    const seen: unknown[] = [];
    const call = async (...all: unknown[]) => {
      seen.push(all);
      return { isError: false };
    };
    const { events, given, tools } = set(call);
    await only(tools).call({ gpu: 1 }, { caller: 'c' });
    expect(seen).toEqual([[{ gpu: 1 }, { caller: 'c' }]]);
    expect(only(tools)).toMatchObject({ name: 'get_gpu_health', title: 'Health' });
    expect(events).toHaveLength(2);
    // Planted fault: a call past the counter is not counted.
    expect(only(given).call).toBe(call);
    await only(given).call({});
    expect(events).toHaveLength(2);
  });

  it('ends each of many calls at once by its own outcome, in the real metrics too', async () => {
    const { metrics, samples } = create();
    const tools = countCalls(
      [{ name: 'get_gpu_health', call: async (input: unknown) => ({ isError: input === 'bad' }) }],
      metrics,
    );
    await Promise.all(['bad', 'good', 'good'].map((input) => only(tools).call(input)));
    const after = await samples();
    expect(after.get(requests('get_gpu_health', 'ok'))).toBe(2);
    expect(after.get(requests('get_gpu_health', 'error'))).toBe(1);
    expect(after.get(active('get_gpu_health'))).toBe(0);
  });
});
