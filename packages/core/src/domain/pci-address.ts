/**
 * PCI addresses in one spelling. The driver's log prints `0000:3b:00`, its tools print `00000000:3B:00.0`, sysfs and lspci print
 * `0000:3b:00.0` or `3b:00.0`: all name the same device and must join.
 */
export interface PciAddress {
  readonly domain: number;
  readonly bus: number;
  readonly device: number;
  /** Absent in the driver's log lines. */
  readonly function?: number;
}

const spelling = /^(?:PCI:)?(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.([0-7]))?$/i;

/** Parses any usual spelling; `undefined` when the text is not a PCI address. */
export function parsePciAddress(text: string): PciAddress | undefined {
  const match = spelling.exec(text.trim());
  if (!match) return undefined;
  const [, domain = '0', bus = '', device = '', fn] = match;
  const address = {
    domain: Number.parseInt(domain, 16),
    bus: Number.parseInt(bus, 16),
    device: Number.parseInt(device, 16),
  };
  return fn === undefined ? address : { ...address, function: Number.parseInt(fn, 8) };
}

const hex = (value: number, width: number) => value.toString(16).padStart(width, '0');

/** `domain:bus:device`, lower case, four-digit domain (more only when needed): the form the driver logs, and the key to join on. */
export function formatPciDevice(address: PciAddress): string {
  return `${hex(address.domain, 4)}:${hex(address.bus, 2)}:${hex(address.device, 2)}`;
}

/** `domain:bus:device.function`, the form of sysfs and lspci; function 0 when it is not known. */
export function formatPciAddress(address: PciAddress): string {
  return `${formatPciDevice(address)}.${address.function ?? 0}`;
}

/** As sysfs and the driver's log spell it, which is how most addresses come: they begin with their own key. */
const beginsWithKey = /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?$/;
const keyLength = '0000:00:00'.length;

/** The join key of any spelling, or `undefined` for something that is not a PCI address. */
export function pciDeviceKey(text: string | null | undefined): string | undefined {
  if (!text) return undefined;
  if (beginsWithKey.test(text)) return text.slice(0, keyLength);
  const address = parsePciAddress(text);
  return address && formatPciDevice(address);
}
