import { type KernelEvent, quarantine } from '@k8s-gpu-mcp/core';

const maximumRawLength = 2_000;
const maximumNameLength = 64;

/**
 * One event as a line of JSON: a published format. `pciAddress` is `domain:bus:device`; what the line does not tell is left out. `raw` and
 * `processName` are text of the machine, freed of control and bidirectional characters.
 */
export function eventLine(event: KernelEvent, file: string): string {
  const { kind, xid, sxid, pciAddress, pid, processName, link, at, severity, action } = event;
  // Undefined values are left out by JSON.stringify.
  const row = {
    file,
    line: event.line,
    kind,
    xid,
    sxid,
    pciAddress: pciAddress ?? undefined,
    pid,
    processName: processName === undefined ? undefined : quarantine(processName, maximumNameLength),
    link,
    at: at ?? undefined,
    severity,
    action,
    raw: quarantine(event.raw, maximumRawLength),
  };
  return `${JSON.stringify(row)}\n`;
}
