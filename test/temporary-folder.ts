// A run of the tests has a temporary folder of its own, which goes when the run ends, with all that tests and the programs they started left
// in it. Workers of vitest are ended by a signal, so what they would do on exit is never done.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function setup(): void {
  // Short: the path of a Unix socket in it may have no more than 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), 'gpu-tests-'));
  // Workers, which start after this, inherit it.
  process.env.TMPDIR = folder;
  // Not a teardown of vitest: that comes before the workers are ended, and not at all after Ctrl-C.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
}
