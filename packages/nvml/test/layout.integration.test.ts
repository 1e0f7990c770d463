import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type FieldLayout, type StructLayout, structs } from '../src/abi/structs.ts';
import { compile, noCompiler } from './fake/rig.ts';

type Tables = Readonly<Record<string, StructLayout>>;

const bytesOf = { u8: 1, u32: 4, i32: 4, u64: 8, i64: 8, f64: 8, address: 8 } as const;
const sizeOf = (field: FieldLayout) =>
  field.type === 'text' || field.type === 'bytes' ? field.length : bytesOf[field.type];

/** What the table calls one flat struct is one inside another in the header. */
const nested: Readonly<Record<string, string>> = {
  'nvmlGpuInstanceInfo_t.placementStart': 'placement.start',
  'nvmlGpuInstanceInfo_t.placementSize': 'placement.size',
};
/** The revision is in the type's name, but for the GPM structs, whose version is the plain number 1. */
const revisionOf = (name: string) => /_v(\d+)_t$/.exec(name)?.[1];

/** The tables, in the words of the compiled program. */
function spell(tables: Tables): string[] {
  return Object.entries(tables).flatMap(([name, { size, version, fields }]) => [
    `${name} ${size}`,
    ...(version === undefined ? [] : [`${name} version ${version}`]),
    ...Object.entries(fields).map(([member, field]) => `${name}.${member} ${field.offset} ${sizeOf(field)}`),
  ]);
}

/** A program that asks the compiler for the size of every struct and the place of every member that the table knows. */
function program(tables: Tables): string {
  const lines = Object.entries(tables).flatMap(([name, { version, fields }]) => {
    const revision = revisionOf(name);
    const expected = revision === undefined ? '1u' : `STRUCT_VERSION(${name}, ${revision}u)`;
    return [
      `printf("${name} %zu\\n", sizeof(${name}));`,
      ...(version === undefined ? [] : [`printf("${name} version %u\\n", ${expected});`]),
      ...Object.keys(fields).map((member) => {
        const path = nested[`${name}.${member}`] ?? member;
        return `printf("${name}.${member} %zu %zu\\n", offsetof(${name}, ${path}), sizeof(((${name} *)0)->${path}));`;
      }),
    ];
  });
  return `#include "fake_nvml.h"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n${lines.join('\n')}\nreturn 0;\n}\n`;
}

function askCompiler(): string[] {
  const source = join(mkdtempSync(join(tmpdir(), 'nvml-layout-')), 'layout.c');
  writeFileSync(source, program(structs));
  return execFileSync(compile(source, ['-Wall', '-Werror']), { encoding: 'utf8' })
    .trim()
    .split('\n');
}

describe.skipIf(noCompiler !== undefined)(
  `struct layouts${noCompiler ? ` (skipped: ${noCompiler})` : ''}`,
  () => {
    it('are what the C compiler makes of the header, member by member', () => {
      const fromCompiler = askCompiler();
      expect(fromCompiler.length).toBeGreaterThan(200);
      expect(spell(structs)).toEqual(fromCompiler);
    });

    it.each([
      [
        'a wrong offset',
        { fields: { ...structs.nvmlMemory_v2_t.fields, total: { offset: 4, type: 'u64' } } },
      ],
      [
        'a wrong member size',
        { fields: { ...structs.nvmlMemory_v2_t.fields, used: { offset: 32, type: 'u32' } } },
      ],
      ['a wrong stride', { size: 48 }],
      ['a wrong version', { version: 0x1000028 }],
    ] as const)('planted fault: %s turns the comparison red', (_, fault) => {
      const planted: Tables = { ...structs, nvmlMemory_v2_t: { ...structs.nvmlMemory_v2_t, ...fault } };
      expect(spell(planted)).not.toEqual(askCompiler());
    });
  },
);
