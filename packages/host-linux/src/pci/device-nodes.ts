import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gap, GpuDeviceNode } from '@k8s-gpu-mcp/core';
import { errnoGap, errorCodeOf } from '../os/errno.ts';

/** `nvidia0`, not `nvidiactl`, `nvidia-uvm`, `nvidia-modeset` or the folder `nvidia-caps`. */
const nodeName = /^nvidia(0|[1-9]\d{0,4})$/;

/** The device nodes in `devRoot`, by minor number. Looks at permission bits only: opening one would start the driver's work. */
export async function readDeviceNodes(
  devRoot: string,
  maximumNodes: number,
  addGap: (gap: Gap) => void,
): Promise<readonly GpuDeviceNode[] | null> {
  const field = 'hostDevices.deviceNodes';
  let names: readonly string[];
  try {
    names = await readdir(devRoot);
  } catch (error) {
    addGap({ ...errnoGap(field, error), reason: 'not-observable' });
    return null;
  }
  const minors = names
    .flatMap((name) => nodeName.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  if (minors.length > maximumNodes) {
    addGap({
      field,
      reason: 'error',
      detail: `only the first ${maximumNodes} of ${minors.length} are listed`,
    });
  }
  const nodes: GpuDeviceNode[] = [];
  for (const minorNumber of minors.slice(0, maximumNodes)) {
    const path = join(devRoot, `nvidia${minorNumber}`);
    try {
      if (!(await stat(path)).isCharacterDevice()) {
        addGap({ field, reason: 'error', detail: `${path} is not a character device` });
        continue;
      }
      nodes.push({ path, minorNumber, accessible: await mayOpen(path) });
    } catch (error) {
      if (errorCodeOf(error) !== 'ENOENT') addGap(errnoGap(field, error));
    }
  }
  return nodes;
}

async function mayOpen(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
