import { unitNoise, wave } from '../noise.ts';
import type { SimulatedGpu, SimulatedNode } from '../simulated-node.ts';

export const mebibyte = 1024 * 1024;
export const round = (value: number, digits = 0) => Math.round(value * 10 ** digits) / 10 ** digits;
export const only = <Value>(told: boolean, value: Value): Value | null => (told ? value : null);

/** A share of what a GPU can do, over time. */
export interface Workload {
  at(seconds: number): number;
  /** Over the time, in seconds at full load. */
  integral(from: number, to: number): number;
}

/** How hard a GPU works: a slow swing round a level of its own, or the level that its scenario gives. */
export function workload(node: SimulatedNode, gpu: SimulatedGpu): Workload {
  const { idle, heldBack, load } = gpu.condition;
  const own = (0.62 + 0.24 * unitNoise(node.seed, gpu.index, 'load')) * (heldBack ? 0.7 : 1);
  const level = idle ? 0 : (load ?? own);
  const swing = idle || load !== undefined ? 0 : 0.08;
  const slow = wave(540, node.seed, gpu.index, 'load');
  return {
    at: (seconds) => level + swing * slow.at(seconds),
    integral: (from, to) => level * (to - from) + swing * slow.integral(from, to),
  };
}
