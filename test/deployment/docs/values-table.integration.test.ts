import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readPage, root, tablesOf } from './markdown.ts';

const page = 'docs/kubernetes.md';
const chart = 'deployment/helm/k8s-gpu-mcp-server';
const script = join(root, 'scripts/generate-chart-docs.mjs');
const generate = (...args: readonly string[]) => promisify(execFile)(process.execPath, [script, ...args]);
const valueRowsOf = (text: string) =>
  tablesOf(text)
    .filter(({ head }) => head[0] === 'value')
    .flatMap(({ rows }) => rows);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'chart-docs-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
function put(file: string, text: string) {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

test('the table of values is current, and says of each what it is for', async () => {
  await generate('--check');
  const rows = valueRowsOf(readPage(page));
  expect(rows.length).toBeGreaterThan(80);
  expect(
    rows.filter(([, type = '', , meaning = '']) => type === 'any' || meaning === '').map(([name]) => name),
  ).toEqual([]);
});

test('a default that changed is found, and written when asked', async () => {
  for (const file of [page, `${chart}/values.yaml`, `${chart}/values.schema.json`])
    cpSync(join(root, file), join(folder, file), { recursive: true });
  put(`${chart}/values.yaml`, readPage(`${chart}/values.yaml`).replace('hostPID: false', 'hostPID: true'));
  await expect(generate('--check', folder)).rejects.toMatchObject({
    code: 1,
    stderr: /docs\/kubernetes.md is not current/,
  });
  await generate(folder);
  await generate('--check', folder);
  expect(valueRowsOf(readFileSync(join(folder, page), 'utf8'))).toContainEqual(
    expect.arrayContaining(['`hostPID`', '`true`']),
  );
});

test('objects become dotted names; types, ranges, choices and references are told', async () => {
  put(page, 'before\n<!-- values:start -->\nold\n<!-- values:end -->\nafter\n');
  put(`${chart}/values.yaml`, 'b: {x: 1, labels: {}}\na: null\nlist: [s]\nmode: one\n');
  const properties = {
    b: {
      type: 'object',
      description: 'The group',
      properties: {
        x: { type: 'integer', minimum: 1, maximum: 9, description: 'Between | both' },
        labels: { allOf: [{ $ref: '#/definitions/labels' }], description: 'Those of b' },
        more: { $ref: '#/definitions/labels' },
      },
    },
    a: { type: ['integer', 'null'], minimum: 0, description: 'Number' },
    list: { type: 'array', items: { type: 'string' }, description: 'Names' },
    mode: { enum: ['one', 'two'], description: 'Which' },
    late: { type: 'boolean', description: 'Without a default' },
  };
  const definitions = {
    labels: { type: 'object', description: 'Any', additionalProperties: { type: 'string' } },
  };
  put(`${chart}/values.schema.json`, JSON.stringify({ type: 'object', properties, definitions }));
  await generate(folder);
  expect(readFileSync(join(folder, page), 'utf8')).toBe(
    [
      'before',
      '<!-- values:start -->',
      '| value | type | default | meaning |',
      '| --- | --- | --- | --- |',
      '| **`b`** |  |  | The group |',
      '| `b.x` | integer 1 to 9 | `1` | Between \\| both |',
      '| `b.labels` | map | `{}` | Those of b |',
      '| `b.more` | map |  | Any |',
      '| `a` | integer from 0 or null | `null` | Number |',
      '| `list` | list of string | `["s"]` | Names |',
      '| `mode` | `"one"`, `"two"` | `"one"` | Which |',
      '| `late` | boolean |  | Without a default |',
      '<!-- values:end -->',
      'after',
      '',
    ].join('\n'),
  );
});
