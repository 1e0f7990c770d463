import { describe, expect, it } from 'vitest';
import { AgentListError, maximumStaticAgents, parseAgentList } from './agent-list.ts';

describe('parseAgentList', () => {
  it('reads names and URLs and completes a URL without a path', () => {
    expect(parseAgentList('a=http://10.0.0.7:8080, b = https://b.example/ ,c=http://[fd00::7]:1/x')).toEqual([
      { name: 'a', url: 'http://10.0.0.7:8080/mcp', labels: {} },
      { name: 'b', url: 'https://b.example/mcp', labels: {} },
      { name: 'c', url: 'http://[fd00::7]:1/x', labels: {} },
    ]);
  });

  it('adds to what earlier flags gave, and allows a comma at the end', () => {
    const first = parseAgentList('a=http://a,');
    expect(parseAgentList('b=http://b', first).map(({ name }) => name)).toEqual(['a', 'b']);
    expect(() => parseAgentList('a=http://b', first)).toThrow('entry 2: the name is that of entry 1');
  });

  it.each([
    ['', 'entry 1: write NAME=URL'],
    ['http://a', 'entry 1: write NAME=URL'],
    ['a=http://a,,b=http://b', 'entry 2: write NAME=URL'],
    ['=http://a', 'entry 1: the name must be'],
    ['__proto__=http://a', 'entry 1: the name must be'],
    ['a b=http://a', 'entry 1: the name must be'],
    [`${'a'.repeat(254)}=http://a`, 'entry 1: the name must be'],
    ['a=ftp://a', 'the URL must begin with http:// or https://'],
    ['a=file:///etc/passwd', 'the URL must begin with http:// or https://'],
    ['a=10.0.0.7:8080', 'the URL must begin with http:// or https://'],
    ['a=http://', 'the URL is not valid'],
    ['a=http://a:99999', 'the URL is not valid'],
    ['a=http://a\\b', 'the URL is not valid'],
    ['a=http://a b', 'the URL is not valid'],
    ['a=http://user:secret@a', 'the URL must not carry a user name or password'],
    ['a=http://user@a', 'the URL must not carry a user name or password'],
    ['a=http://a/mcp?token=secret', 'the URL must not have a query or a fragment'],
    ['a=http://a#x', 'the URL must not have a query or a fragment'],
    ['a=http://a,a=http://b', 'entry 2: the name is that of entry 1'],
    ['a=http://a,b=http://A:80/mcp', 'entry 2: the URL is that of entry 1'],
  ])('refuses %j', (text, words) => {
    expect(() => parseAgentList(text)).toThrow(AgentListError);
    expect(() => parseAgentList(text)).toThrow(words);
  });

  it('repeats nothing of what it refuses: it may be a secret', () => {
    for (const text of [
      'a=http://u:secret@a',
      'a=http://a?secret',
      'secret secret=http://a',
      'a=secret://x',
    ]) {
      expect(() => parseAgentList(text)).toThrow(/^(?!.*secret)/);
    }
  });

  it('bounds the number of agents', () => {
    const all = Array.from({ length: maximumStaticAgents + 1 }, (_, index) => `n${index}=http://n${index}`);
    expect(parseAgentList(all.slice(1).join(',')).length).toBe(maximumStaticAgents);
    expect(() => parseAgentList(all.join(','))).toThrow('entry 5001: more than 5000 agents');
    expect(() => parseAgentList(','.repeat(10_000_000))).toThrow('entry 1');
  });
});
