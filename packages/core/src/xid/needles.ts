const eventNeedles = ['NVRM', 'Xid (', 'AER:', 'IO_PAG', 'Hardw', 'EDAC', 'Kill'] as const;

/**
 * Short ASCII strings for a byte scanner to look for over gigabytes: few, and with rare first letters. A message that can become an event
 * contains one of them, or stands within three lines after one that does (continuations, "last message repeated", AER details).
 */
export const kernelLogNeedles = [...eventNeedles, 'Linux v'] as const satisfies readonly string[];

/** The first line of a boot, which the kernel writes with its compiler; the needle for it alone says too little. */
const bootLine = /Linux version [\w.+~-]{1,96} \(/;

/**
 * Words of messages that follow one with a needle, or stand alone only when a log was cut; and of those that a scan of gigabytes does
 * without, because they are too frequent or begin with too common a letter: they are seen where every line is read.
 */
const followingWords = ['PCIe Bus Error', 'GSP task', 'blocked for more than', 'segfault at'];

/** Whether a line or message can become an event. Cheap, and never false for one that does. */
export function isKernelLogCandidate(text: string): boolean {
  return (
    eventNeedles.some((needle) => text.includes(needle)) ||
    followingWords.some((word) => text.includes(word)) ||
    (text.includes('Linux v') && bootLine.test(text))
  );
}
