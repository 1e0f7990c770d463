import type { ContractTest } from '../src/index.ts';

/** Runs a suite with a runner of our own, and tells which requirements failed. */
export async function failuresOf(register: (test: ContractTest) => void): Promise<string[]> {
  const tests: { name: string; body: () => Promise<void> }[] = [];
  register((name, body) => tests.push({ name, body }));
  const results = await Promise.allSettled(tests.map(({ body }) => body()));
  return tests
    .filter((_, at) => results[at]?.status === 'rejected')
    .map(({ name }) => name.split(':')[0] ?? '');
}
