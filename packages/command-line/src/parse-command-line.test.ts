import { describe, expect, test } from 'vitest';
import { single, text, toggle } from './option-parsers.ts';
import { type ProgramSpec, parseCommandLine } from './parse-command-line.ts';
import { UsageError } from './usage-error.ts';

type Name = 'list' | 'show' | 'version';
const options = {
  namespace: {
    flag: 'namespace',
    short: 'n',
    value: 'NAME',
    parse: single(text()),
    fallback: '',
    description: 'Where',
    commands: ['list', 'show'],
  },
  label: {
    flag: 'label',
    value: 'TEXT',
    parse: single(text()),
    fallback: '',
    description: 'Which',
    commands: ['list', 'show'],
  },
  quiet: {
    flag: 'quiet',
    short: 'q',
    parse: toggle,
    fallback: false,
    description: 'Less',
    commands: ['list', 'show'],
  },
} as const;
const program: ProgramSpec<Name, typeof options> = {
  name: 'program',
  description: 'Does nothing.',
  commands: {
    list: { description: 'All' },
    show: { description: 'One', operands: '<what...>' },
    version: { description: 'Which' },
  },
  defaultCommand: 'list',
  options,
  footer: '',
};
const parsed = (...argv: readonly string[]) => parseCommandLine(program, argv);

describe('a short flag', () => {
  test.each([
    [['-n', 'ml']],
    [['-nml']],
    [['-n=ml']],
    [['--namespace', 'ml']],
    [['--namespace=ml']],
    [['-n', 'ml', 'list']],
    [['list', '-nml']],
    [['-qn', 'ml']],
  ])('%j', (argv) => {
    expect(parsed(...argv)).toMatchObject({ command: 'list', flags: { namespace: ['ml'] } });
  });

  test('beside others, and before a command whose operand follows', () => {
    expect(parsed('-q', '-n', 'ml', 'show', 'a')).toMatchObject({
      command: 'show',
      operands: ['a'],
      flags: { namespace: ['ml'], quiet: ['true'] },
    });
  });

  test('what is the value of another flag, or behind --, is no flag', () => {
    expect(parsed('--label', '-nml')).toMatchObject({ flags: { label: ['-nml'] } });
    expect(parsed('--label', '-nml')).not.toHaveProperty('flags.namespace');
    expect(parsed('show', '--', '-n')).toMatchObject({ operands: ['-n'], flags: {} });
  });

  test('stands in the help', () => {
    const help = parsed('list', '--help');
    expect(help).toMatchObject({ kind: 'help', text: expect.stringContaining('-n, --namespace <NAME>') });
  });

  test.each([[['-n']], [['-x', 'ml']], [['-N', 'ml']]])('planted fault: %j is refused', (argv) => {
    expect(() => parsed(...argv)).toThrow(UsageError);
  });
});
