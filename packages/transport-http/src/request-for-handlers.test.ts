import { describe, expect, it, vi } from 'vitest';
import { requestForHandlers } from './request-for-handlers.ts';

const url = 'http://localhost/mcp?trace=1';
const received = (headers: Record<string, string> = {}) =>
  new Request(url, {
    method: 'POST',
    headers: { authorization: 'Bearer s3cret', 'mcp-method': 'ping', ...headers },
    body: '{}',
  });

describe('the request that handlers see', () => {
  it('has method, URL and headers, but not the token', () => {
    const seen = requestForHandlers(received());
    expect([seen.method, seen.url, seen.headers.get('mcp-method')]).toEqual(['POST', url, 'ping']);
    expect(seen.headers.get('authorization')).toBeNull();
    expect([...seen.headers.keys()]).not.toContain('authorization');
    expect(seen.clone().headers.has('authorization')).toBe(false);
  });

  it('leaves the token where it was: others read it after', () => {
    const request = received();
    requestForHandlers(request);
    expect(request.headers.get('authorization')).toBe('Bearer s3cret');
  });

  it('aborts with the signal it was given, else with the one that came with it', () => {
    const given = new AbortController();
    expect(requestForHandlers(received(), given.signal).signal).toBe(given.signal);
    const request = received();
    expect(requestForHandlers(request).signal).toBe(request.signal);
  });

  it('has no body: it was read', async () => {
    const seen = requestForHandlers(received());
    expect([seen.body, seen.bodyUsed, await seen.text()]).toEqual([null, false, '']);
  });

  it('is a Request to who asks for any of it', () => {
    const given = new AbortController();
    const seen = requestForHandlers(received(), given.signal);
    expect(seen).toBeInstanceOf(Request);
    expect([seen.redirect, seen.destination]).toEqual(['follow', '']);
    const copy = seen.clone();
    given.abort();
    expect(copy.signal.aborted).toBe(true);
  });

  it('makes a whole Request only for who looks at the rest, and once', () => {
    const made = vi.fn();
    class Counted extends Request {
      constructor(...all: ConstructorParameters<typeof Request>) {
        super(...all);
        made();
      }
    }
    const request = received();
    vi.stubGlobal('Request', Counted);
    try {
      const seen = requestForHandlers(request);
      seen.headers.get('mcp-name');
      expect([seen.method, seen.url, seen.signal.aborted]).toEqual(['POST', url, false]);
      expect(made).not.toHaveBeenCalled();
      // Planted fault: what does make one would be seen.
      expect([seen.mode, seen.cache]).toHaveLength(2);
      expect(made).toHaveBeenCalledTimes(1);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
