import { gpuEventTypes } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { decodeEventTypes } from './events.ts';

describe('decodeEventTypes', () => {
  it('has a word for every event of the header', () => {
    // nvmlEventTypeAll
    expect(decodeEventTypes('call', 0xff9fn)).toEqual({ value: [...gpuEventTypes] });
  });

  it('reads single bits', () => {
    expect(decodeEventTypes('call', 0n)).toEqual({ value: [] });
    expect(decodeEventTypes('call', 0x8n)).toEqual({ value: ['xid'] });
    expect(decodeEventTypes('call', 0x8000n | (1n << 63n))).toEqual({ value: ['recovery-action'] });
  });

  it('does not call a GPU silent whose events it cannot name', () => {
    expect(decodeEventTypes('call', 1n << 40n)).toMatchObject({ value: null, reason: 'error' });
  });
});
