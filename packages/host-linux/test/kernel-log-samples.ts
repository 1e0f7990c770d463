/** A seeded generator: a failing random test can be run again. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

// The shape of the line: Source: open-gpu-kernel-modules, NVRM Xid printf.
export const xidMessage = (xid = 79): string =>
  `NVRM: Xid (PCI:0000:3b:00): ${xid}, pid=1234, name=python3, GPU has fallen off the bus.`;
export const dmesgLine = (seconds: number, message: string): string =>
  `[${seconds.toFixed(6).padStart(12)}] ${message}`;

/** Cuts bytes into chunks of the given sizes in turn. */
export async function* chunksOf(bytes: Uint8Array, ...sizes: number[]): AsyncGenerator<Uint8Array> {
  for (let start = 0, turn = 0; start < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? bytes.length;
    yield bytes.subarray(start, start + size);
    start += size;
  }
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

export const neverAborted = (): AbortSignal => new AbortController().signal;
