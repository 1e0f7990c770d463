import type { EventSeverity } from '../domain/event.ts';
import type { Action } from '../domain/verdict.ts';
import { bucketActions, type VendorBucket } from './vendor-buckets.ts';

/** `link-fatal`: one link is down; drain, then reset. */
export type NvlinkErrorSeverity = 'fatal' | 'link-fatal' | 'nonfatal';

interface NvlinkUnit {
  readonly xid: number;
  /** The names that drivers print for it. */
  readonly units: readonly string[];
  /** The lowest bits of the first word, most significant first: up to driver R570, and from R575 on. */
  readonly intrInfoV1: string;
  readonly intrInfoV2: string;
  /** Reason (bits 25 to 20 of the first word), error status words (null: any), severity, immediate and investigatory bucket. */
  readonly rules: readonly (readonly [
    reason: number,
    errorStatus: readonly number[] | null,
    severity: NvlinkErrorSeverity,
    immediate: VendorBucket,
    investigatory: VendorBucket,
  ])[];
}

/**
 * What the first two words of Xid 144 to 150 mean.
 * Source: NVIDIA Xid catalogue, NVLink 5 decode table.
 */
export const nvlink5Units = [
  {
    xid: 144,
    units: ['SAW_MVB'],
    intrInfoV1: '0000100001',
    intrInfoV2: '0000001',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x2], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x4], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x8], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x10], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x20], 'nonfatal', 'IGNORE', 'IGNORE'],
    ],
  },
  {
    xid: 145,
    units: ['RLW_CTRL'],
    intrInfoV1: '0001100010',
    intrInfoV2: '0000011',
    rules: [[0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT']],
  },
  {
    xid: 145,
    units: ['RLW_REMAP'],
    intrInfoV1: '0010000010',
    intrInfoV2: '0000100',
    rules: [
      [0, [0x1], 'nonfatal', 'XID_154_EVAL', 'CONTACT_SUPPORT'],
      [0, [0x2], 'nonfatal', 'XID_154_EVAL', 'CONTACT_SUPPORT'],
      [0, [0x4], 'nonfatal', 'XID_154_EVAL', 'CHECK_NVLINK_FAILURE_FLOW'],
      [0, [0x8], 'nonfatal', 'XID_154_EVAL', 'CHECK_NVLINK_FAILURE_FLOW'],
      [0, [0x10], 'nonfatal', 'XID_154_EVAL', 'CHECK_NVLINK_FAILURE_FLOW'],
      [0, [0x20], 'nonfatal', 'XID_154_EVAL', 'CHECK_NVLINK_FAILURE_FLOW'],
      [0, [0x40], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x100], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x200], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 145,
    units: ['RLW_RSPCOL'],
    intrInfoV1: '0010100010',
    intrInfoV2: '0000101',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x2], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 145,
    units: ['RLW_RXPIPE'],
    intrInfoV1: '00011000010',
    intrInfoV2: '00000110',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x4], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 145,
    units: ['RLW_RXPIPE'],
    intrInfoV1: '0011000010',
    intrInfoV2: '0000110',
    rules: [
      [0, [0x8], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 145,
    units: ['RLW_SRC_TRACK'],
    intrInfoV1: '0011100010',
    intrInfoV2: '0000111',
    rules: [
      [0, [0x1], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x4], 'nonfatal', 'XID_154_EVAL', 'IGNORE'],
      [0, [0x8], 'nonfatal', 'XID_154_EVAL', 'IGNORE'],
      [0, [0x10], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x20], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 145,
    units: ['RLW_TAGSTATE'],
    intrInfoV1: '0100000010',
    intrInfoV2: '0001000',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x2], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x10000], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x20000], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x100000], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 146,
    units: ['TLW_CTRL'],
    intrInfoV1: '0100100011',
    intrInfoV2: '0001001',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x4], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 146,
    units: ['TLW_RX', 'TLW_RX_PIPE0'],
    intrInfoV1: '0101000011',
    intrInfoV2: '0001010',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x4], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 146,
    units: ['TLW_RX', 'TLW_RX_PIPE1'],
    intrInfoV1: '0101000011',
    intrInfoV2: '0001011',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x4], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 146,
    units: ['TLW_TX', 'TLW_TX_PIPE0'],
    intrInfoV1: '0101100011',
    intrInfoV2: '0001100',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x4], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 146,
    units: ['TLW_TX', 'TLW_TX_PIPE1'],
    intrInfoV1: '0101100011',
    intrInfoV2: '0001101',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x4], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 147,
    units: ['TREX'],
    intrInfoV1: '0110000100',
    intrInfoV2: '0001110',
    rules: [
      [0, [0x1], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
      [0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 148,
    units: ['NVLPW_CTRL', 'NVLPW'],
    intrInfoV1: '0000000101',
    intrInfoV2: '0001111',
    rules: [[0, [0x80000000], 'nonfatal', 'IGNORE', 'CONTACT_SUPPORT']],
  },
  {
    xid: 149,
    units: ['NETIR', 'NETIR_INT'],
    intrInfoV1: '0000000110',
    intrInfoV2: '0011000',
    rules: [[0, null, 'link-fatal', 'RESET_GPU', 'SYMPATHETIC_REPORT_SOLO']],
  },
  {
    xid: 149,
    units: ['NETIR_BER_EVENT'],
    intrInfoV1: '1000100110',
    intrInfoV2: '0010011',
    rules: [
      [0, [0x0], 'nonfatal', 'IGNORE', 'INVESTIGATE_LINK_SI_AND_CABLES'],
      [0, [0x1], 'nonfatal', 'IGNORE', 'INVESTIGATE_LINK_SI_AND_CABLES'],
      [0, [0x2], 'nonfatal', 'IGNORE', 'INVESTIGATE_LINK_SI_AND_CABLES'],
      [0, [0x3], 'nonfatal', 'IGNORE', 'INVESTIGATE_LINK_SI_AND_CABLES'],
    ],
  },
  {
    xid: 149,
    units: ['NETIR_LINK_EVT', 'NETIR_LINK_DOWN'],
    intrInfoV1: '0111000110',
    intrInfoV2: '0010001',
    rules: [
      [0, null, 'link-fatal', 'RESET_GPU', 'SYMPATHETIC_REPORT_SOLO'],
      [1, null, 'link-fatal', 'RESET_GPU', 'REPORT_ISSUE'],
      [2, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_LINK_SI'],
      [4, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_LINK_SI'],
      [10, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_LINK_SI'],
      [15, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_SW_USER'],
      [16, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_SW_USER_LINK_SI'],
      [17, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_SW_USER'],
      [18, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_SW_USER_LINK_SI'],
      [21, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_PEER_DEVICE'],
      [22, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_SW_USER'],
      [32, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_PEER_DEVICE'],
      [33, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_PEER_DEVICE'],
      [34, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_PEER_DEVICE'],
      [35, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_PEER_DEVICE'],
      [36, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_PEER_DEVICE'],
      [37, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_PEER_DEVICE'],
      [38, null, 'link-fatal', 'IGNORE', 'INVESTIGATE_SW_USER'],
      [40, null, 'fatal', 'IGNORE', 'INVESTIGATE_HOST'],
      [42, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_LINK_SI_AND_CABLES'],
      [43, null, 'link-fatal', 'RESET_GPU', 'INVESTIGATE_LINK_SI_AND_CABLES'],
    ],
  },
  {
    xid: 149,
    units: ['NETIR_MFDE_EVENT'],
    intrInfoV1: '1001000110',
    intrInfoV2: '0010100',
    rules: [
      [0, [0x1], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x3], 'nonfatal', 'IGNORE', 'IGNORE'],
      [0, [0x4], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x5], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
      [0, [0x7], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT'],
    ],
  },
  {
    xid: 150,
    units: ['MSE_WATCHDOG'],
    intrInfoV1: '0000000000',
    intrInfoV2: '0000000',
    rules: [[0, [0x0], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT']],
  },
  {
    xid: 150,
    units: ['MSE Degraded'],
    intrInfoV1: '0000000000',
    intrInfoV2: '0000000',
    rules: [[0, [0x0, 0xffffffff], 'fatal', 'RESET_GPU', 'CONTACT_SUPPORT']],
  },
] as const satisfies readonly NvlinkUnit[];

export interface Nvlink5Rule {
  readonly xid: number;
  readonly units: readonly string[];
  readonly reason: number;
  readonly errorStatus: readonly number[] | null;
  readonly vendorSeverity: NvlinkErrorSeverity;
  readonly immediate: VendorBucket;
  readonly investigatory: VendorBucket;
  readonly severity: EventSeverity;
  readonly action: Action;
}

const bits = (pattern: string): { readonly mask: number; readonly value: number } => ({
  mask: 2 ** pattern.length - 1,
  value: Number.parseInt(pattern, 2),
});

/** A fatal error that the vendor says to ignore (host or user took the link down) is one step less; a non-fatal one is only told. */
function severityOf(vendorSeverity: NvlinkErrorSeverity, immediate: VendorBucket): EventSeverity {
  const isIgnored = immediate === 'IGNORE';
  if (vendorSeverity === 'fatal') return isIgnored ? 'critical' : 'fatal';
  if (vendorSeverity === 'link-fatal') return isIgnored ? 'warning' : 'critical';
  return isIgnored ? 'info' : 'warning';
}

const patterns: readonly {
  readonly rule: Nvlink5Rule;
  readonly v1: ReturnType<typeof bits>;
  readonly v2: ReturnType<typeof bits>;
}[] = nvlink5Units.flatMap(({ xid, units, intrInfoV1, intrInfoV2, rules }: NvlinkUnit) =>
  rules.map(([reason, errorStatus, vendorSeverity, immediate, investigatory]) => ({
    rule: {
      xid,
      units,
      reason,
      errorStatus,
      vendorSeverity,
      immediate,
      investigatory,
      severity: severityOf(vendorSeverity, immediate),
      action: bucketActions[immediate],
    },
    v1: bits(intrInfoV1),
    v2: bits(intrInfoV2),
  })),
);

export interface Nvlink5Match {
  readonly rule: Nvlink5Rule;
  /** Which layout of the first word fits; both can. */
  readonly layouts: readonly ('V1' | 'V2')[];
}

/**
 * The rule for an NVLink 5 error. A first word can fit one unit in the old layout and another in the new one: the printed unit decides.
 * `undefined` when the printed unit is known but none of its rules fits.
 */
export function matchNvlink5(
  xid: number,
  unit: string,
  intrInfo: number,
  errorStatus: number,
): Nvlink5Match | undefined {
  const printed = unit.toUpperCase();
  const isPrinted = ({ rule }: (typeof patterns)[number]): boolean =>
    rule.units.some((name) => name.toUpperCase() === printed);
  const ofXid = patterns.filter(({ rule }) => rule.xid === xid);
  const named = ofXid.filter(isPrinted);
  const reason = (intrInfo >>> 20) & 0x3f;
  for (const { rule, v1, v2 } of named.length > 0 ? named : ofXid) {
    if (rule.reason !== reason) continue;
    if (rule.errorStatus && !rule.errorStatus.includes(errorStatus)) continue;
    const layouts: ('V1' | 'V2')[] = [];
    if ((intrInfo & v1.mask) >>> 0 === v1.value) layouts.push('V1');
    if ((intrInfo & v2.mask) >>> 0 === v2.value) layouts.push('V2');
    if (layouts.length > 0) return { rule, layouts };
  }
  return undefined;
}
