import { GpuError, type KernelLog, type KernelLogRecord } from '@k8s-gpu-mcp/core';
import type { LoggedMessage } from './scenarios/scenario.ts';
import { type SimulatedNode, type SimulationOptions, simulateNode } from './simulated-node.ts';

/** Seconds after boot at which the module is loaded, and how many lines came before. */
const driverLoadUptimeSeconds = 11.4;
const firstSequenceNumber = 1480;

/**
 * The kernel log that goes with a scenario: the driver being loaded, and the messages of its faults at fixed times before the start.
 * @throws RangeError for a scenario that does not exist.
 */
export function createMockKernelLog(options: SimulationOptions): KernelLog {
  const node = simulateNode(options);
  const records = recordsOf(node);
  return {
    async read({ since, signal }) {
      if (signal.aborted) throw new GpuError('TIMEOUT', 'reading the kernel log was cut off');
      const from = since === undefined ? Number.NEGATIVE_INFINITY : Date.parse(since);
      // An unreadable `since` leaves nothing out: too much is better than a silent nothing.
      const isOld = (record: KernelLogRecord) => record.at !== null && Date.parse(record.at) < from;
      return {
        records: records.filter((record) => !isOld(record)).map((record) => ({ ...record })),
        coverage: {
          source: 'mock',
          readable: true,
          from: new Date(node.bootedAt).toISOString(),
          to: records.at(-1)?.at ?? null,
        },
      };
    },
  };
}

function recordsOf(node: SimulatedNode): readonly KernelLogRecord[] {
  const uptimeAtStart = (node.startedAt - node.bootedAt) / 1000;
  const { version, isOpen } = node.model.driver;
  const moduleName = isOpen ? 'UNIX Open Kernel Module for x86_64' : 'UNIX x86_64 Kernel Module';
  const loaded: LoggedMessage = {
    secondsAgo: uptimeAtStart - driverLoadUptimeSeconds,
    level: 5,
    text: `NVRM: loading NVIDIA ${moduleName}  ${version}  Release Build  (simulated)`,
  };
  const gpu = (index: number) => {
    const found = node.gpus[index];
    if (!found) throw new RangeError(`the scenario logs about GPU ${index}, which it does not have`);
    return found;
  };
  return [loaded, ...node.scenario.messages(gpu)].map(({ secondsAgo, level, text }, position) => {
    const uptimeMicroseconds = Math.round((uptimeAtStart - secondsAgo) * 1e6);
    return {
      text,
      // As /dev/kmsg gives it: newlines inside a record are escaped.
      raw: `${level},${firstSequenceNumber + position},${uptimeMicroseconds},-;${text.replaceAll('\n', '\\x0a')}`,
      at: new Date(node.bootedAt + uptimeMicroseconds / 1000).toISOString(),
      uptimeSeconds: uptimeMicroseconds / 1e6,
      trusted: true,
    };
  });
}
