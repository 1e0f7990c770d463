import { GpuError, isGpuError } from '@k8s-gpu-mcp/core';
import { errorCodeOf, messageOf } from '../os/errno.ts';
import type { ReadText } from './boot-time.ts';

type KernelSource = 'kmsg' | 'syslog';

const explanations: Readonly<Record<KernelSource, Readonly<Record<string, string>>>> = {
  kmsg: {
    EPERM: '/dev/kmsg needs CAP_SYSLOG and, in a container, a privileged pod',
    EACCES: '/dev/kmsg needs root, or read access to the device',
    ENOENT: '/dev/kmsg is not there; in a container, mount it from the host',
    ENXIO: '/dev/kmsg is not the kernel log device here',
    ENODEV: '/dev/kmsg is not the kernel log device here',
  },
  syslog: {
    EPERM:
      'syslog(2) needs root with CAP_SYSLOG (securityContext.capabilities.add: [SYSLOG]), or a privileged pod',
    ENOSYS: 'this kernel or sandbox has no syslog(2)',
    EACCES: 'a seccomp or security profile forbids syslog(2)',
  },
};

/** `EPERM: needs ...; kernel.dmesg_restrict=1`: the errno, what it means here, and the setting that decides about it. */
export function errnoReason(source: KernelSource, error: unknown, readText: ReadText): string {
  const code = errorCodeOf(error);
  const message = messageOf(error);
  if (code === undefined) return message;
  const parts = [`${code}: ${explanations[source][code] ?? message}`];
  if (code === 'EPERM') {
    const restrict = dmesgRestrict(readText);
    if (restrict !== undefined) parts.push(`kernel.dmesg_restrict=${restrict}`);
  }
  return parts.join('; ');
}

/** The same as an error, for those who have no coverage to write it into. An abort stays what it is. */
export function unreadableError(source: KernelSource, error: unknown, readText: ReadText): GpuError {
  if (isGpuError(error)) return error;
  const isRefused = ['EPERM', 'EACCES'].includes(errorCodeOf(error) ?? '');
  return new GpuError(isRefused ? 'NO_PERMISSION' : 'UNAVAILABLE', errnoReason(source, error, readText));
}

function dmesgRestrict(readText: ReadText): string | undefined {
  try {
    return readText('/proc/sys/kernel/dmesg_restrict').trim();
  } catch {
    return undefined;
  }
}
