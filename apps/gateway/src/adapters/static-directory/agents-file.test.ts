import { describe, expect, it } from 'vitest';
import { AgentListError } from './agent-list.ts';
import { maximumFileBytes, parseAgentsFile } from './agents-file.ts';

const problemOf = (text: string): string => {
  try {
    parseAgentsFile(text);
  } catch (error) {
    if (error instanceof AgentListError) return error.message;
    throw error;
  }
  return 'none';
};

describe('parseAgentsFile', () => {
  it('reads YAML; values need no quotes', () => {
    const text = [
      '# rack 4',
      '- name: gpu-1',
      '  url: http://10.0.0.1:8080',
      '  labels: {rack: 4, spot: yes}',
      '- {name: 007, url: "https://gpu-2/agent"}',
    ].join('\n');
    expect(parseAgentsFile(text)).toEqual([
      { name: 'gpu-1', url: 'http://10.0.0.1:8080/mcp', labels: { rack: '4', spot: 'yes' } },
      { name: '007', url: 'https://gpu-2/agent', labels: {} },
    ]);
  });

  it('reads JSON, indented by tabs too, and an explicit empty list', () => {
    const entries = [{ name: 'a', url: 'http://a', labels: { 'example.com/zone': 'x' } }];
    const expected = [{ name: 'a', url: 'http://a/mcp', labels: { 'example.com/zone': 'x' } }];
    for (const indent of [undefined, 2, '\t']) {
      expect(parseAgentsFile(JSON.stringify(entries, null, indent))).toEqual(expected);
    }
    expect(parseAgentsFile('[]\n')).toEqual([]);
  });

  it.each([
    ['', 'it is empty; write [] to say that there are no agents'],
    ['# nothing\n', 'it is empty; write [] to say that there are no agents'],
    ['name: a\n', 'line 1: a list of {name, url} is wanted'],
    ['- name: a\n  url: http://a\n- name: b\n  url: "http://b\n', 'line 5: neither valid YAML nor JSON'],
    ['[{"name": "a", "url": "http://a"},\n {"name": "b"', 'neither valid YAML nor JSON'],
    ['- name: a\n  url: http://a\n- name: b\n', 'entry 2 (line 3): the URL is missing or not text'],
    ['- name: a\n  url:\n', 'entry 1 (line 1): the URL is missing or not text'],
    ['- url: http://a\n', 'entry 1 (line 1): the name is missing or not text'],
    ['- name: [a]\n  url: http://a\n', 'entry 1 (line 1): the name is missing or not text'],
    ['- just text\n', 'entry 1 (line 1): an entry has the fields name, url and, if wanted, labels'],
    ['- name: a\n  url: http://a\n  lables: {}\n', 'only the fields name, url and labels are known'],
    ['- name: a\n  name: b\n  url: http://a\n', 'a field is given twice'],
    ['- name: a\n  url: http://a\n  labels: {x: y, x: z}\n', 'a field is given twice'],
    ['- name: a\n  url: http://a\n  labels: [x]\n', 'labels must be names with text values'],
    ['- name: a\n  url: http://a\n  labels: {x: [y]}\n', 'a label value is not text'],
    ['- name: a\n  url: http://a\n  labels: {__proto__: y}\n', 'a label has a key that is not valid'],
    [
      '- name: a\n  url: http://a\n\n- name: a\n  url: http://b\n',
      'entry 2 (line 4): the name is that of entry 1 (line 1)',
    ],
    ['- name: a\n  url: http://u:p@a\n', 'entry 1 (line 1): the URL must not carry a user name or password'],
    ['- name: a\n  url: http://a\n---\n- name: b\n  url: http://b\n', 'line 3: neither valid YAML nor JSON'],
  ])('says what is wrong with %j', (text, words) => {
    expect(problemOf(text)).toContain(words);
  });

  it('reads no alias, no merge and no object that a tag would make', () => {
    expect(problemOf('- &a {name: a, url: http://a}\n- *a\n')).toContain('entry 2 (line 2)');
    expect(problemOf('- &a {name: a, url: http://a}\n- {<<: *a, name: b}\n')).toContain('only the fields');
    expect(problemOf('- {name: a, url: !!binary "aHR0cDovL2E="}')).toContain(
      'the URL is missing or not text',
    );
    expect(parseAgentsFile('- {name: !!js/function "a", url: http://a}')[0]?.name).toBe('a');
  });

  const half = maximumFileBytes / 2;
  it.each([
    ['brackets', '['.repeat(maximumFileBytes), 'lists nest too deep'],
    ['dashes', '- '.repeat(half), 'lists nest too deep'],
    ['keys', '? '.repeat(half), 'lists nest too deep'],
    ['closing brackets', ']'.repeat(half), 'a bracket closes that none opened'],
    ['a very wide map', `- {${'a: 1, '.repeat(80_000)}}`, 'too many parts for a list of agents'],
    ['anchors', '&a '.repeat(maximumFileBytes / 3), 'too many parts for a list of agents'],
    [
      'labels',
      `- {name: a, url: http://a, labels: {${Array.from({ length: 300 }, (_, i) => `l${i}: x`)}}}`,
      'more than 256 fields',
    ],
    ['size', ' '.repeat(maximumFileBytes + 1), 'more than 512 KiB'],
  ])('refuses a bomb of %s at once', (_, text, words) => {
    expect(problemOf(text)).toContain(words);
  });

  it('refuses a laughing bomb of aliases', () => {
    const lines = ['- &a0 [x, x]'];
    for (let level = 1; level < 30; level += 1) lines.push(`- &a${level} [*a${level - 1}, *a${level - 1}]`);
    expect(problemOf(lines.join('\n'))).toContain('entry 1 (line 1)');
  });

  it('planted fault: half of a good file is refused wherever it is cut inside an entry', () => {
    const good = JSON.stringify([
      { name: 'a', url: 'http://a' },
      { name: 'b', url: 'http://b' },
    ]);
    expect(problemOf(good)).toBe('none');
    for (let length = 0; length < good.length; length += 1) {
      expect(problemOf(good.slice(0, length))).not.toBe('none');
    }
  });
});
