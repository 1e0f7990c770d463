import type { Clock } from '@k8s-gpu-mcp/core';
import { maximumNesting } from '../agent-client/agent-fetch.ts';
import { nestingMeter } from '../agent-client/nesting-meter.ts';

/** A notification is about 200 bytes, and an agent sends a few per second at most. */
const windowBytes = 256 * 1024;
const windowMilliseconds = 10_000;
const maximumMessageBytes = 64 * 1024;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Watches a stream of events that never ends: how much comes at a time, how long one message is, how deep it is nested. */
export function streamMeter(clock: Clock): { add(bytes: Uint8Array): string | undefined } {
  const nesting = nestingMeter();
  let windowAt = clock.now();
  let inWindow = 0;
  let inMessage = 0;
  let isAtLineStart = true;
  return {
    /** Why the stream is not to be read on. */
    add(bytes) {
      const now = clock.now();
      if (Math.abs(now - windowAt) >= windowMilliseconds) {
        windowAt = now;
        inWindow = 0;
      }
      inWindow += bytes.byteLength;
      if (inWindow > windowBytes) return 'the agent sends more notifications than can be read';
      for (const byte of bytes) {
        inMessage += 1;
        // An empty line ends a message.
        if (byte === lineFeed) {
          if (isAtLineStart) inMessage = 0;
          isAtLineStart = true;
        } else if (byte !== carriageReturn) isAtLineStart = false;
        if (inMessage > maximumMessageBytes) return "the agent's notification is too long";
      }
      return nesting.add(bytes) > maximumNesting ? "the agent's notification is nested too deep" : undefined;
    },
  };
}
