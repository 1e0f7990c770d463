import type { HostProcess } from '@k8s-gpu-mcp/core';

/** Whose process it is, as far as its control group tells. */
export type CgroupOwner = Pick<HostProcess, 'container' | 'podUid' | 'slurmJobId'>;

/**
 * What runtimes put before the 64 digits in a group's name, also behind a colon where runc made the group without systemd.
 * Source: kubelet and CRI naming (`cri-containerd-ID.scope`, `crio-ID.scope`), dockerd's systemd driver, libpod.
 */
const runtimes: Readonly<Record<string, string | null>> = {
  docker: 'docker',
  'cri-containerd': 'containerd',
  crio: 'crio',
  libpod: 'podman',
  'libpod-payload': 'podman',
};
const prefixedId = /(?:^|:)([a-z]+(?:-[a-z]+)*)[-:]([0-9a-f]{64})(?:\.[a-z]+)?$/;
const bareId = /^[0-9a-f]{64}$/;

/** A uid as kubelet spells it: systemd units have no room for dashes. Pods from a file have 32 digits, the hash of that file. */
const podSegment =
  /(?:^|-)pod([0-9a-f]{8}([-_])[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{4}\2[0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?(?:$|:)/;

/** Source: Slurm's cgroup plugins. Several daemons on one machine put their node's name in. */
const slurmJob =
  /(?:^|\/)(?:slurm(?:_[^/]+)?\/uid_\d{1,10}|(?:[^/]+_)?slurmstepd\.scope)\/job_(\d{1,18})(?:\/|$)/;

/** From /proc/PID/cgroup, of version 1 (a line per controller), 2 (one line) or both. Each fact is taken from the first line that has it. */
export function parseCgroupOwner(text: string): CgroupOwner {
  let container: CgroupOwner['container'] = null;
  let podUid: string | null = null;
  let slurmJobId: string | null = null;
  for (const line of text.split('\n')) {
    // `hierarchy:controllers:path`, and the path may hold colons.
    const path = /^\d+:[^:]*:(\/.*)$/.exec(line)?.[1];
    if (path === undefined) continue;
    container ??= containerOf(path);
    podUid ??= podOf(path);
    slurmJobId ??= slurmJob.exec(path)?.[1] ?? null;
  }
  return { container, podUid, slurmJobId };
}

/** The innermost: a container may run in a container that plays a node. */
function containerOf(path: string): CgroupOwner['container'] {
  const segments = path.split('/');
  for (let index = segments.length - 1; index >= 0; index -= 1) {
    const segment = segments[index] ?? '';
    if (bareId.test(segment)) {
      return { id: segment, runtime: segments[index - 1] === 'docker' ? 'docker' : null };
    }
    const [, prefix = '', id] = prefixedId.exec(segment) ?? [];
    // `crio-conmon-`, `libpod-conmon-` and their like watch over a container from outside it.
    if (id === undefined || prefix.endsWith('conmon')) continue;
    return { id, runtime: runtimes[prefix] ?? null };
  }
  return null;
}

function podOf(path: string): string | null {
  for (const segment of path.split('/').toReversed()) {
    const uid = podSegment.exec(segment)?.[1];
    if (uid !== undefined) return uid.replaceAll('_', '-');
  }
  return null;
}
