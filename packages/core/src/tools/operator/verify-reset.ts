import type { GpuReading, GpuSection } from '../../domain/gpu.ts';
import { isGpuError } from '../../errors.ts';
import { pause, type Toolkit } from '../toolkit.ts';
import type { Check } from './operation.ts';

const sections: readonly GpuSection[] = ['identity', 'recovery'];
/** A GPU that was reset takes seconds to answer again. */
const attempts = 4;
const pauseMilliseconds = 3_000;

/** Whether the GPUs answer again, need no further recovery, and have the persistence mode they had. */
export async function verifyReset(
  toolkit: Toolkit,
  before: readonly GpuReading[],
  signal: AbortSignal,
): Promise<readonly Check[]> {
  let after = await read(toolkit, before, signal);
  for (let attempt = 1; attempt < attempts && !allAnswer(after); attempt += 1) {
    if (!(await pause(toolkit.clock, pauseMilliseconds, signal))) break;
    after = await read(toolkit, before, signal);
  }
  return before.flatMap((reading, position) => checksOf(reading, after[position]));
}

const allAnswer = (readings: readonly (GpuReading | undefined)[]) =>
  readings.every((reading) => reading?.state === 'ok');

/** The same GPUs, found again: a reset can change their order. */
async function read(
  { reader }: Toolkit,
  before: readonly GpuReading[],
  signal: AbortSignal,
): Promise<readonly (GpuReading | undefined)[]> {
  const node = await reader.describe(signal);
  if (isGpuError(node)) return before.map(() => undefined);
  const found = before.map(({ gpu }) =>
    node.gpus.find(
      ({ uuid, pciAddress }) =>
        (gpu.uuid !== null && uuid === gpu.uuid) ||
        (gpu.pciAddress !== null && pciAddress === gpu.pciAddress),
    ),
  );
  const readings = await reader.readGpus(
    found.flatMap((gpu) => gpu ?? []),
    sections,
    signal,
  );
  return found.map((ref) => readings.find(({ gpu }) => gpu.index === ref?.index));
}

function checksOf(before: GpuReading, after: GpuReading | undefined): readonly Check[] {
  const gpu = `GPU ${before.gpu.index}`;
  const readable = `gpu-${before.gpu.index}-readable`;
  if (!after)
    return [
      {
        check: readable,
        passed: null,
        detail: `${gpu} could not be found again: the driver or the GPU is gone.`,
      },
    ];
  if (after.state !== 'ok') {
    const passed = after.state === 'lost' || after.state === 'reset-required' ? false : null;
    return [{ check: readable, passed, detail: `${gpu} is ${after.state} after the reset.` }];
  }
  return [
    { check: readable, passed: true, detail: `${gpu} answers.` },
    ...recovery(after, gpu),
    // What did not answer before has nothing to compare with.
    ...(before.state === 'ok' ? [persistence(before, after, gpu)] : []),
  ];
}

function recovery({ gpu, recovery, gaps }: GpuReading, name: string): readonly Check[] {
  const check = `gpu-${gpu.index}-recovery-action`;
  const action = recovery?.action ?? null;
  if (action === null) {
    // Drivers before 570 have no such reading, so there is nothing to wait for.
    if (gaps.some(({ field, reason }) => field === 'recovery.action' && reason === 'unsupported')) return [];
    return [
      { check, passed: null, detail: `The driver does not tell whether ${name} needs further recovery.` },
    ];
  }
  return action === 'none'
    ? [{ check, passed: true, detail: `${name} needs no further recovery.` }]
    : [{ check, passed: false, detail: `The driver still asks for ${action} of ${name}.` }];
}

function persistence(before: GpuReading, after: GpuReading, name: string): Check {
  const check = `gpu-${after.gpu.index}-persistence-mode`;
  const was = before.identity?.persistenceModeEnabled ?? null;
  const is = after.identity?.persistenceModeEnabled ?? null;
  if (was === null || is === null)
    return {
      check,
      passed: null,
      detail: `Whether ${name} has the persistence mode it had could not be read.`,
    };
  return was === is
    ? { check, passed: true, detail: `Its persistence mode is as it was (${is ? 'on' : 'off'}).` }
    : {
        check,
        passed: false,
        detail: `The persistence mode of ${name} was ${was ? 'on' : 'off'} and is now ${is ? 'on' : 'off'}.`,
      };
}
