import type { DiagnosticTestResult } from '../recordings.ts';

const statuses: Readonly<Record<string, DiagnosticTestResult['status']>> = {
  pass: 'pass',
  fail: 'fail',
  warn: 'warn',
  warning: 'warn',
  skip: 'skip',
  skipped: 'skip',
  'not run': 'skip',
};
const warningLength = 1_000;
const maximumResults = 10_000;

/**
 * The results in an output of `dcgmi diag -j`, in the forms of DCGM 2 to 4: GPUs stand in `gpu_ids`, `gpu_id` or `entity_id`, warnings are a text, a list
 * of texts or a list of objects. `undefined` for any other JSON.
 */
export function parseDcgmDiag(
  value: unknown,
  lines: readonly string[],
  place: { readonly file: string; readonly firstLine: number },
): readonly DiagnosticTestResult[] | undefined {
  const root = record(value);
  const report = root['DCGM GPU Diagnostic'] ?? root['DCGM Diagnostic'];
  if (report === undefined) return undefined;
  const lineOf = nameFinder(lines, place.firstLine);
  const results: DiagnosticTestResult[] = [];
  for (const category of list(record(report)['test_categories'])) {
    for (const test of list(record(category)['tests'])) {
      const { name, results: outcomes, test_summary: summary } = record(test);
      const title = typeof name === 'string' ? name : '';
      const citation = { file: place.file, line: lineOf(title) };
      const told = list(outcomes).length > 0 ? list(outcomes) : summary === undefined ? [] : [summary];
      for (const outcome of told) {
        for (const gpu of gpusOf(record(outcome))) {
          if (results.length >= maximumResults) return results;
          results.push({ test: plain(title), gpu, ...outcomeOf(record(outcome)), citation });
        }
      }
    }
  }
  return results;
}

function outcomeOf(outcome: Readonly<Record<string, unknown>>) {
  const { status, warnings } = outcome;
  const texts = (typeof warnings === 'string' ? [warnings] : list(warnings))
    .map((item) => (typeof item === 'string' ? item : record(item)['warning']))
    .filter((item) => typeof item === 'string');
  const warning = texts.join('; ').slice(0, warningLength);
  return {
    status: (typeof status === 'string' ? statuses[status.toLowerCase()] : undefined) ?? ('unknown' as const),
    ...(warning === '' ? {} : { warning }),
  };
}

function gpusOf(outcome: Readonly<Record<string, unknown>>): readonly (number | null)[] {
  const { gpu_ids: many, gpu_id: one, entity_id: entity, entity_group: group } = outcome;
  if (typeof group === 'string' && group !== 'GPU') return [null];
  const text = String(many ?? one ?? entity ?? '');
  const numbers = text
    .split(',', 1024)
    .flatMap((part) => (/^\s*\d{1,4}\s*$/.test(part) ? [Number(part)] : []));
  return numbers.length > 0 ? numbers : [null];
}

/** Names of tests are words of the format; anything else in their place is not repeated. */
const plain = (name: string) => (/^[A-Za-z0-9 /_-]{1,64}$/.test(name) ? name : 'unnamed test');

/** Where the next test of this name stands. JSON forgets lines; tests keep their order. */
function nameFinder(lines: readonly string[], firstLine: number): (name: string) => number {
  let from = 0;
  let missCount = 0;
  return (name) => {
    const quoted = JSON.stringify(name);
    // A document whose names are spelled with escapes is not searched to its end again and again.
    for (let index = from; index < lines.length && missCount < 100; index += 1) {
      const line = lines[index] ?? '';
      if (!line.includes('"name"') || !line.includes(quoted)) continue;
      from = lines.length > 1 ? index + 1 : 0;
      return firstLine + index;
    }
    missCount += 1;
    return firstLine + Math.min(from, Math.max(0, lines.length - 1));
  };
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
