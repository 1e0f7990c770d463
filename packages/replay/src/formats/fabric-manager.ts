import {
  type EventSeverity,
  findSxid,
  formatPciDevice,
  type KernelEvent,
  parsePciAddress,
} from '@k8s-gpu-mcp/core';

const logLine =
  /^\[([A-Z][a-z]{2}) {1,2}(\d{1,2}) (\d{4}) (\d{2}:\d{2}:\d{2})\] \[([A-Z]{1,10})\] \[tid \d{1,10}\] (.*)$/;
const switchError =
  /NVSwitch (non-fatal|fatal) error (\d{5})\b.{0,60}?pci bus id ([0-9A-Fa-f:.]{8,20})(?:.{0,20}?physical id (\d{1,3}))?(?:.{0,20}?port (\d{1,3}))?/;
const months = 'JanFebMarAprMayJunJulAugSepOctNovDec';
const rawLength = 4_096;

/** Whether a line is one of Fabric Manager's own log (`/var/log/fabricmanager.log`). */
export function isFabricManagerLine(line: string): boolean {
  return line.startsWith('[') && line.includes('] [tid ') && logLine.test(line.slice(0, rawLength));
}

/**
 * The NVSwitch error that Fabric Manager reports in a line: the same number that the kernel prints as SXid. It is a program's word, so it is
 * not trusted. Times are taken as UTC.
 */
export function parseFabricManagerLine(
  line: string,
  place: { readonly file: string; readonly line: number },
): KernelEvent | undefined {
  const [, month = '', day = '', year, time, , text = ''] = logLine.exec(line.slice(0, rawLength)) ?? [];
  const found = switchError.exec(text);
  if (!found) return undefined;
  const [, word, code, location = '', switchIndex, port] = found;
  const sxid = Number(code);
  const entry = findSxid(sxid);
  const address = parsePciAddress(location);
  const severity: EventSeverity =
    word === 'fatal' ? 'fatal' : entry?.severity === 'info' ? 'info' : 'warning';
  const monthNumber = String(months.indexOf(month) / 3 + 1).padStart(2, '0');
  const milliseconds = Date.parse(`${year}-${monthNumber}-${day.padStart(2, '0')}T${time}Z`);
  return {
    kind: 'sxid',
    sxid,
    pciAddress: address ? formatPciDevice(address) : null,
    ...(switchIndex === undefined ? {} : { switchIndex: Number(switchIndex) }),
    ...(port === undefined ? {} : { link: Number(port) }),
    detail: text.slice(0, rawLength),
    severity,
    action: severity === 'fatal' ? 'reset-gpu' : severity === 'info' ? 'none' : 'monitor',
    at: Number.isNaN(milliseconds) ? null : new Date(milliseconds).toISOString(),
    uptimeSeconds: null,
    trusted: false,
    raw: line.slice(0, rawLength),
    ...place,
  };
}
