import type { Style, Terminal } from '@k8s-gpu-mcp/command-line';
import type { GpuNodeEvent, WatchNotice } from '@k8s-gpu-mcp/core';
import { clean } from './layout.ts';

const styleBySeverity: Readonly<Record<GpuNodeEvent['severity'], Style>> = {
  fatal: 'red',
  critical: 'red',
  warning: 'yellow',
  info: 'dim',
};

/** One event as one line, and its line of the kernel log below it. */
export function renderEvent(event: GpuNodeEvent, terminal: Terminal): string {
  const { at, severity, gpu, pciAddress, xid, sxid, title, action, sources, repeatCount, raw } = event;
  const where = gpu === null ? clean(pciAddress ?? 'no GPU named') : `GPU ${gpu.index}`;
  const code = xid !== undefined ? `Xid ${xid} ` : sxid !== undefined ? `SXid ${sxid} ` : '';
  const notes = [
    ...(event.revision > 0 ? ['again'] : []),
    ...(repeatCount > 1 ? [`${repeatCount} times`] : []),
    `from ${sources.join(' and ')}`,
    ...(action === 'none' ? [] : [`action: ${action}`]),
    ...(event.trusted === false ? ['written by a user-space program'] : []),
  ];
  const head = `${terminal.style('dim', clean(at))}  ${terminal.style(styleBySeverity[severity], severity.toUpperCase())}  ${where}  ${code}${clean(title)} (${notes.join('; ')})\n`;
  return raw === undefined ? head : `${head}  | ${clean(raw)}\n`;
}

export function renderNotice({ notice, gap, at }: WatchNotice, terminal: Terminal): string {
  const word = terminal.style('magenta', notice === 'blind' ? 'NOT SEEING' : 'SEEING AGAIN');
  return `${terminal.style('dim', clean(at))}  ${word}  ${clean(gap.field)}: ${clean(gap.detail)}\n`;
}
