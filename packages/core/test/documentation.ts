import { readFileSync } from 'node:fs';

/** A page of docs/, for tests that hold it to the code. */
export const documentationPage = (name: string): string =>
  readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8');
