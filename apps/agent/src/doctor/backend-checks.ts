import { existsSync } from 'node:fs';
import { type GpuProvider, isGpuError, type KernelLog, type NodeDescription } from '@k8s-gpu-mcp/core';
import { type Check, fail, ok, warn } from './check.ts';

const describeMilliseconds = 10_000;
const candidateMilliseconds = 8_000;
const logMilliseconds = 5_000;

/** Opens one library in a helper process; never in this one. */
export type OpenLibrary = (library: string | undefined) => GpuProvider;

interface Attempt {
  readonly node?: NodeDescription;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}

async function attempt(provider: GpuProvider, limitMilliseconds: number): Promise<Attempt> {
  try {
    return { node: await provider.describeNode(AbortSignal.timeout(limitMilliseconds)) };
  } catch (error) {
    if (isGpuError(error)) return { code: error.code, message: error.message, hint: error.hint };
    return { code: 'INTERNAL', message: String(error), hint: 'Run again with --log-level debug.' };
  } finally {
    await provider.close();
  }
}

/** The backend as it will be used, and how many GPUs it counts. */
export async function checkBackend(
  provider: GpuProvider,
): Promise<{ readonly checks: readonly Check[]; readonly gpuCount?: number }> {
  const name = 'gpu backend';
  const { backend, simulated } = provider.manifest;
  const { node, code, message, hint } = await attempt(provider, describeMilliseconds);
  if (!node) return { checks: [fail(name, `${backend}: ${code}: ${message}`, hint ?? '')] };
  const count = node.gpus.length;
  const versions = `driver ${node.driverVersion ?? 'unknown'}, library ${node.libraryVersion ?? 'unknown'}`;
  const counted = `${backend}: ${count} GPU${count === 1 ? '' : 's'}, ${versions}`;
  const silent = node.gpus.filter(({ uuid }) => uuid === null).map(({ index }) => index);
  const checks = [
    silent.length > 0
      ? warn(name, `${counted}; GPU ${silent.join(', ')} could not be identified`, 'Run health and xid.')
      : count === 0
        ? fail(name, counted, 'The driver works but has no GPU: look at dmesg, and at the pci bus below.')
        : ok(name, counted),
    ...(simulated
      ? [warn('simulated', 'the readings are invented', 'Leave out --backend mock to ask real GPUs.')]
      : []),
  ];
  return { checks, gpuCount: count };
}

/** Which of the places that are tried have a library, and whether each can be used. */
export async function checkLibraries(
  candidates: readonly string[],
  open: OpenLibrary,
): Promise<readonly Check[]> {
  const attempts: { readonly path: string; readonly result: Attempt }[] = [];
  for (const path of candidates) {
    if (path.includes('/') && !existsSync(path)) continue;
    attempts.push({ path, result: await attempt(open(path), candidateMilliseconds) });
  }
  const broken = attempts.find(isUntried);
  const native = broken
    ? fail(
        'koffi',
        `the helper process for native code does not work: ${broken.result.message}`,
        'koffi needs glibc or musl on x64 or arm64; reinstall without --omit=optional.',
      )
    : ok('koffi', 'native code loads, in a helper process');
  const tried = attempts.map((each) => {
    const { path, result } = each;
    const isUnusable = result.code === 'LIBRARY_NOT_FOUND' || result.code === 'LIBRARY_INVALID';
    if (isUntried(each)) return { isUsable: false, text: `${path} could not be tried` };
    return {
      isUsable: !isUnusable,
      text: `${path} ${isUnusable ? `cannot be used (${result.message})` : 'loads'}`,
    };
  });
  const absent = candidates.length - attempts.length;
  const detail = [
    ...tried.map(({ text }) => text),
    ...(absent > 0 ? [`${absent} other place${absent === 1 ? ' has' : 's have'} none`] : []),
  ].join('; ');
  const isUsable = tried.some((each) => each.isUsable);
  if (broken && !isUsable)
    return [native, warn('nvml library', detail, 'Mend koffi first: nothing is known of the library.')];
  const library = isUsable
    ? ok('nvml library', detail)
    : fail(
        'nvml library',
        detail,
        'Install the NVIDIA driver, point --nvml-library at its libnvidia-ml.so.1, or run the container with the NVIDIA runtime (NVIDIA_DRIVER_CAPABILITIES=utility).',
      );
  return [native, library];
}

/** The helper process failed, so the library was never asked. */
const isUntried = ({ result }: { readonly result: Attempt }) =>
  result.code === 'INTERNAL' || result.code === 'ADAPTER_CRASHED';

/** Each source by itself. One readable source is enough. */
export async function checkKernelLogs(
  sources: readonly { readonly name: string; readonly log: KernelLog }[],
): Promise<readonly Check[]> {
  const results = await Promise.all(
    sources.map(async ({ name, log }) => ({ name, problem: await problemOf(log) })),
  );
  const used = results.find(({ problem }) => problem === undefined);
  return results.map(({ name, problem }) => {
    const title = `kernel log ${name}`;
    if (problem === undefined) return ok(title, used?.name === name ? 'readable, used' : 'readable');
    return used
      ? ok(title, `not readable, not needed: ${problem}`)
      : warn(
          title,
          problem,
          'Past GPU errors are unknown without it: run as root with CAP_SYSLOG (syslog), privileged (kmsg), or on the machine itself as a member of systemd-journal (journal).',
        );
  });
}

async function problemOf(log: KernelLog): Promise<string | undefined> {
  try {
    const { coverage } = await log.read({ signal: AbortSignal.timeout(logMilliseconds) });
    if (coverage.readable) return undefined;
    return (coverage.skipped ?? []).map(({ reason }) => reason).join('; ') || 'not readable';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
