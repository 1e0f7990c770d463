import type { Clock, GpuDriverEvent, GpuEventSource } from '@k8s-gpu-mcp/core';
import { type SimulatedNode, type SimulationOptions, simulateNode } from './simulated-node.ts';

/** After a watch began, and between the events of a scenario. */
const firstEventMilliseconds = 2_000;
const betweenEventsMilliseconds = 500;

const xidLine = /^NVRM: Xid \(PCI:([0-9a-f:]+)\): (\d+), (.*)$/;
/** Xid 154 is the driver's way to say that its advice changed. Source: open-gpu-kernel-modules 570 and newer. */
const recoveryXid = 154;

/**
 * The faults of a scenario as they happen: each Xid of its log is an event to everyone who watches, the first a moment after the watch
 * began. A scenario without faults stays silent. Ends when `signal` aborts, and never throws.
 * @throws RangeError for a scenario that does not exist.
 */
export function mockEventSource(
  options: SimulationOptions & { readonly clock: Pick<Clock, 'now' | 'after'> },
): GpuEventSource {
  const { clock } = options;
  const events = eventsOf(simulateNode(options));
  return {
    async *watch(signal) {
      let wait = firstEventMilliseconds;
      for (const event of events) {
        await passed(clock, wait, signal);
        if (signal.aborted) return;
        yield { ...event, gpu: { ...event.gpu }, at: new Date(clock.now()).toISOString() };
        wait = betweenEventsMilliseconds;
      }
      await aborted(signal);
    },
  };
}

function eventsOf({ scenario, gpus }: SimulatedNode): readonly Omit<GpuDriverEvent, 'at'>[] {
  const gpu = (index: number) => {
    const found = gpus[index];
    if (!found) throw new RangeError(`the scenario logs about GPU ${index}, which it does not have`);
    return found;
  };
  return scenario.messages(gpu).flatMap(({ text }) => {
    const [, device, number, detail = ''] = xidLine.exec(text) ?? [];
    const about = gpus.find(({ pciDevice }) => pciDevice === device);
    if (!about) return [];
    // Who watched before it failed knows it by more than its place in the count.
    const { index, uuid, pciAddress, model } = about;
    const xid = Number(number);
    const action = /to 0x([0-9a-f]+) /.exec(detail)?.[1];
    const isAdvice = xid === recoveryXid && action !== undefined;
    return [
      {
        type: isAdvice ? ('recovery-action' as const) : ('xid' as const),
        gpu: { index, uuid, pciAddress, name: model.name },
        value: isAdvice ? Number.parseInt(action, 16) : xid,
        gpuInstanceId: null,
        computeInstanceId: null,
      },
    ];
  });
}

/** Resolves after the time, or at once when the signal aborts. */
function passed(clock: Pick<Clock, 'after'>, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const stop = () => {
      cancel();
      signal.removeEventListener('abort', stop);
      resolve();
    };
    const cancel = clock.after(milliseconds, stop);
    signal.addEventListener('abort', stop);
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
