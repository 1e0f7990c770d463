// Tests that need what a machine may not have say so: in their names, which only some reports show, and in the output of the run.

/** The name of a suite with the reason why it is skipped, if it is. */
export const named = (name: string, missing: string | undefined): string =>
  missing === undefined ? name : `${name} (${missing})`;

/** For the top of a test file: what tests in it do not find, each thing once. */
export function tellMissing(...missing: readonly (string | undefined)[]): void {
  for (const reason of new Set(missing)) if (reason !== undefined) console.warn(`Skipped here: ${reason}`);
}
