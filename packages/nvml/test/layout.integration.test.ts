import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { type StructLayout, structs } from '../src/abi/structs.ts';
import { compile, noCompiler } from './fake/rig.ts';

const bytesOf = { u32: 4, i32: 4, u64: 8, i64: 8 } as const;

/** The tables, in the words of the compiled program. */
function spell(tables: Readonly<Record<string, StructLayout>>): string[] {
  return Object.entries(tables).flatMap(([name, { size, version, fields }]) => [
    `${name} ${size}`,
    ...(version === undefined ? [] : [`${name} version ${version}`]),
    ...Object.entries(fields).map(([member, field]) => {
      const bytes = field.type === 'text' ? field.length : bytesOf[field.type];
      return `${name}.${member} ${field.offset} ${bytes}`;
    }),
  ]);
}

describe.skipIf(noCompiler !== undefined)(
  `struct layouts${noCompiler ? ` (skipped: ${noCompiler})` : ''}`,
  () => {
    const fromCompiler = () =>
      execFileSync(compile('layout.c', ['-Wall', '-Werror']), { encoding: 'utf8' })
        .trim()
        .split('\n');

    it('are what the C compiler makes of the header, member by member', () => {
      expect(spell(structs).sort()).toEqual(fromCompiler().sort());
    });

    it.each([
      ['a wrong offset', { ...structs.nvmlMemory_v2_t.fields, total: { offset: 4, type: 'u64' } }, 40],
      ['a wrong member size', { ...structs.nvmlMemory_v2_t.fields, used: { offset: 32, type: 'u32' } }, 40],
      ['a wrong stride', structs.nvmlMemory_v2_t.fields, 48],
    ] as const)('planted fault: %s turns the comparison red', (_, fields, size) => {
      const planted = { ...structs, nvmlMemory_v2_t: { ...structs.nvmlMemory_v2_t, size, fields } };
      expect(spell(planted).sort()).not.toEqual(fromCompiler().sort());
    });
  },
);
