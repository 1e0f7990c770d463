import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  compileFakeLibrary,
  configText,
  ensureBuilt,
  removeCompiled,
} from '../../../packages/nvml/test/fake/rig.ts';

export { noCompiler } from '../../../packages/nvml/test/fake/rig.ts';

export type Driver = ReturnType<typeof createDriver>;

/** A driver with two GPUs that are well: the library that programs load, and a kernel log of its own. */
export function createDriver() {
  ensureBuilt();
  const folder = mkdtempSync(join(tmpdir(), 'driver-'));
  const path = (name: string) => join(folder, name);
  writeFileSync(path('config'), configText({}, path('calls')));
  writeFileSync(path('kernel-log'), '');
  copyFileSync(compileFakeLibrary(), path('libnvidia-ml.so.1'));
  removeCompiled();
  // Also for the user of a container.
  chmodSync(folder, 0o755);
  return {
    kernelLog: path('kernel-log'),
    folder,
    /** By which a program finds it. */
    variables: { LD_LIBRARY_PATH: folder, FAKE_NVML_CONFIG: path('config') },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}
