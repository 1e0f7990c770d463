import { formatPciAddress, type GpuRef, type NvLink, parsePciAddress } from '@k8s-gpu-mcp/core';
import type { CapturedGpu } from '../recording.ts';

const gpuLine = /^\s{0,32}GPU (\d{1,4}): (.{1,100}?) \(UUID: (GPU-[0-9A-Fa-f-]{1,60})?\)/;
const linkLine = /^\s{0,32}Link (\d{1,3}): (.{1,200})$/;
const maximumGpus = 256;
const maximumLinks = 64;

type Counter = Extract<keyof NvLink, `${string}Count` | `${string}Rate`>;

/** What `nvidia-smi nvlink -e` calls the counters, in lower case. */
const counters: Readonly<Record<string, Counter>> = {
  'replay errors': 'replayErrorCount',
  'recovery errors': 'recoveryErrorCount',
  'crc errors': 'crcFlitErrorCount',
  'crc flit errors': 'crcFlitErrorCount',
  'crc data errors': 'crcDataErrorCount',
  'ecc errors': 'eccDataErrorCount',
  'rx errors': 'receiveErrorCount',
  'malformed packet errors': 'malformedPacketErrorCount',
  'buffer overrun errors': 'bufferOverrunErrorCount',
  'local link integrity errors': 'linkIntegrityErrorCount',
  'link recovery successful events': 'linkRecoverySuccessCount',
  'link recovery failed events': 'linkRecoveryFailureCount',
  'effective errors': 'effectiveErrorCount',
  'effective ber': 'effectiveBitErrorRate',
  'symbol errors': 'symbolErrorCount',
  'symbol ber': 'symbolBitErrorRate',
};

const emptyLink: Omit<NvLink, 'link'> = {
  active: null,
  version: null,
  speedMegabytesPerSecond: null,
  remoteDeviceType: null,
  remotePciAddress: null,
  remoteLink: null,
  replayErrorCount: null,
  recoveryErrorCount: null,
  crcFlitErrorCount: null,
  crcDataErrorCount: null,
  eccDataErrorCount: null,
  receiveErrorCount: null,
  malformedPacketErrorCount: null,
  bufferOverrunErrorCount: null,
  linkIntegrityErrorCount: null,
  linkRecoverySuccessCount: null,
  linkRecoveryFailureCount: null,
  effectiveErrorCount: null,
  effectiveBitErrorRate: null,
  symbolErrorCount: null,
  symbolBitErrorRate: null,
};

interface LinkedGpu {
  readonly ref: GpuRef;
  readonly at: number;
  readonly links: Map<number, NvLink>;
  /** Of its first link, or of the first that is down. */
  line: number;
  isDown: boolean;
}

/** The links that `nvidia-smi nvlink -s`, `-e` and `-R` print under each GPU. */
export function parseNvlinks(
  lines: readonly string[],
  place: { readonly file: string; readonly firstLine: number },
): readonly CapturedGpu[] {
  const gpus: LinkedGpu[] = [];
  for (const [offset, line] of lines.entries()) {
    const [, index, name = '', uuid = ''] = gpuLine.exec(line) ?? [];
    if (index !== undefined) {
      if (gpus.length >= maximumGpus) break;
      const ref = { index: Number(index), uuid: uuid || null, pciAddress: null, name };
      gpus.push({ ref, at: place.firstLine + offset, links: new Map(), line: 0, isDown: false });
      continue;
    }
    const gpu = gpus.at(-1);
    const [, number, told = ''] = linkLine.exec(line.trimEnd()) ?? [];
    const link = Number(number);
    const more = gpu && link < maximumLinks ? tellOfLink(told) : undefined;
    if (!gpu || !more) continue;
    const isFirstDown = more.active === false && !gpu.isDown;
    if (gpu.links.size === 0 || isFirstDown) gpu.line = place.firstLine + offset;
    gpu.isDown ||= isFirstDown;
    gpu.links.set(link, { ...emptyLink, link, ...gpu.links.get(link), ...more });
  }
  return gpus.flatMap(({ ref, at, links, line }) =>
    links.size === 0
      ? []
      : [
          {
            ref,
            readings: {
              identity: identityOf(ref),
              nvlink: { links: [...links.values()].sort((a, b) => a.link - b.link) },
            },
            gaps: [],
            citations: {
              'nvlink.links': { file: place.file, line },
              'identity.name': { file: place.file, line: at },
              'identity.uuid': { file: place.file, line: at },
            },
          },
        ],
  );
}

const identityOf = ({ name, uuid }: GpuRef) => ({ ...(name ? { name } : {}), ...(uuid ? { uuid } : {}) });

function tellOfLink(told: string): Partial<NvLink> | undefined {
  const speed = /^(\d{1,5}(?:\.\d{1,6})?) GB\/s$/.exec(told)?.[1];
  if (speed !== undefined) return { active: true, speedMegabytesPerSecond: Math.round(Number(speed) * 1000) };
  if (/^<?inactive>?$/i.test(told)) return { active: false };
  const [, remote = '', remoteLink] =
    /^Remote Device ([0-9A-Fa-f:.]{5,20}): Link (\d{1,3})$/.exec(told) ?? [];
  const address = parsePciAddress(remote);
  if (address) return { remotePciAddress: formatPciAddress(address), remoteLink: Number(remoteLink) };
  const [, label = '', value = ''] = /^([A-Za-z ]{2,48}):? +([0-9][0-9.eE+-]{0,24})$/.exec(told) ?? [];
  const counter = counters[label.trim().toLowerCase()];
  const number = Number(value);
  return counter === undefined || !Number.isFinite(number) ? undefined : { [counter]: number };
}
