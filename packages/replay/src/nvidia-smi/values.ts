import type {
  AddressingMode,
  ComputeMode,
  FabricHealthSummary,
  FabricMisconfiguration,
  FabricState,
  GapReason,
  RecoveryAction,
  VirtualizationMode,
} from '@k8s-gpu-mcp/core';

/** What nvidia-smi's words and numbers mean. The only file that knows how it spells units and absence. */

/** One leaf: a value, or why there is none. */
export type SmiReading<T> = { readonly value: T } | Missing;

export interface Missing {
  readonly value: null;
  readonly reason: GapReason;
  readonly detail: string;
}

export type Decoder<T> = (text: string) => SmiReading<T>;

export function missing(reason: GapReason, detail: string): Missing {
  return { value: null, reason, detail };
}

export function isMissing<T>(reading: SmiReading<T>): reading is Missing {
  return 'reason' in reading;
}

/** The driver gave the tool an error instead of a value. Sources: `nvmlErrorString` in NVML's API reference, and captures. */
const absences = {
  'N/A': 'unsupported',
  'Not Supported': 'unsupported',
  'Function Not Found': 'unsupported',
  'Requested functionality has been deprecated': 'unsupported',
  'Not available in WDDM driver model': 'unsupported',
  'Insufficient Permissions': 'no-permission',
  'GPU is lost': 'gpu-lost',
  Timeout: 'timeout',
  'No data': 'not-observable',
  // What whoever passes a capture on puts in place of a number.
  REDACTED: 'not-observable',
  'Unknown Error': 'error',
  'ERR!': 'error',
  'GPU requires reset': 'error',
  'Corrupted infoROM': 'error',
  'Invalid Argument': 'error',
  'Not Found': 'error',
  'Insufficient Resources': 'error',
  'Insufficient Memory': 'error',
  'Interrupt Request Issue': 'error',
  'In use by another client': 'error',
  'GPU access blocked by the operating system': 'error',
  'Driver/library version mismatch': 'error',
  'Argument version mismatch': 'error',
  'Undefined Error': 'error',
} as const satisfies Readonly<Record<string, GapReason>>;
type Absence = keyof typeof absences;

const absenceByText = new Map<string, Absence>(
  (Object.keys(absences) as Absence[]).map((spelling) => [spelling.toLowerCase(), spelling]),
);

/** By which word nvidia-smi says that it has no value, also in brackets. */
export function absenceOf(text: string): Absence | undefined {
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  return absenceByText.get(bare.trim().toLowerCase());
}

/** The gap that an absence or an empty value stands for. */
export function absentReading(text: string): Missing | undefined {
  if (text === '') return missing('unsupported', 'nvidia-smi printed nothing');
  const absence = absenceOf(text);
  return absence && missing(absences[absence], `nvidia-smi printed "${absence}"`);
}

const plainNumber = /^-?\d{1,16}(?:\.\d{1,9})?$/;

/** A number with its unit and nothing else. What is cut or garbled has no unit left, and is not guessed at. */
function numberOf(unit: string, what: string, least: number, scale = 1): Decoder<number> {
  return (text) => {
    const digits = unit === '' ? text : text.endsWith(unit) ? text.slice(0, -unit.length).trimEnd() : '';
    const value = plainNumber.test(digits) ? Number(digits) * scale : Number.NaN;
    return Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER && value >= least
      ? { value }
      : missing('error', `nvidia-smi printed what is no ${what}`);
  };
}

/** Of whole things: `12`, not `1.5`. */
function whole(decode: Decoder<number>, what: string): Decoder<number> {
  return (text) => {
    const reading = decode(text);
    return reading.value === null || Number.isInteger(reading.value)
      ? reading
      : missing('error', `nvidia-smi printed what is no ${what}`);
  };
}

export const count = whole(numberOf('', 'count', 0), 'count');
export const bankCount = whole(numberOf('bank(s)', 'number of banks', 0), 'number of banks');
export const bytes = whole(numberOf('MiB', 'number of MiB', 0, 1024 ** 2), 'number of MiB');
export const celsius = numberOf('C', 'temperature', -273);
export const watts = numberOf('W', 'power', 0);
export const megahertz = numberOf('MHz', 'clock', 0);
export const percent = numberOf('%', 'percentage', 0);
export const microseconds = numberOf('us', 'number of microseconds', 0);
export const milliseconds = numberOf('ms', 'number of milliseconds', 0);
export const kilobytesPerSecond = numberOf('KB/s', 'rate', 0);
export const lanes = whole(numberOf('x', 'link width', 1), 'link width');

/** Boards without a memory sensor make drivers answer 0; no running memory is at 0 degrees. */
export const memoryCelsius: Decoder<number> = (text) => {
  const reading = celsius(text);
  return reading.value === 0
    ? missing('unsupported', 'nvidia-smi printed 0 C, as for boards without a memory sensor')
    : reading;
};

/** One of a closed set of words. A word that is not in it is newer than this program, and is not guessed at. */
export function wordOf<T>(words: Readonly<Record<string, T>>): Decoder<T> {
  const known = new Map(Object.entries(words).map(([word, value]) => [simplify(word), value]));
  return (text) => {
    const value = known.get(simplify(text));
    return value === undefined
      ? missing('error', 'nvidia-smi printed a word that this version does not know')
      : { value };
  };
}

/** Spellings differ between text and XML (`Exclusive_Process`, `Pass-Through`) and between drivers in case. */
function simplify(word: string): string {
  return word
    .slice(0, 100)
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '');
}

export const flag = wordOf({
  Enabled: true,
  Disabled: false,
  Yes: true,
  No: false,
  True: true,
  False: false,
});
/** An event reason. */
export const active = wordOf({ Active: true, 'Not Active': false });
/** Of the fabric's bandwidth. */
export const degraded = wordOf({ Degraded: true, Full: false, True: true, False: false });

/**
 * Text that the file decides. Copied, because a part of a string keeps the whole file in memory as long as it lives.
 */
function textOf(pattern: RegExp, what: string): Decoder<string> {
  return (text) =>
    pattern.test(text)
      ? { value: Buffer.from(text, 'utf8').toString('utf8') }
      : missing('error', `nvidia-smi printed what is no ${what}`);
}

export const productName = textOf(/^[\x20-\x7e]{1,96}$/, 'product name');
export const uuid = textOf(/^(?:GPU|MIG)-[0-9a-zA-Z/-]{1,80}$/, 'UUID');
/** Serials, part numbers, versions. */
export const label = textOf(/^[0-9A-Za-z][0-9A-Za-z ._:+/-]{0,63}$/, 'number or version');
export const hexadecimal: Decoder<string> = (text) =>
  textOf(/^0x[0-9a-f]{1,16}$/, 'hexadecimal number')(text.toLowerCase());
export const performanceState = textOf(/^P(?:\d|1[0-5])$/, 'performance state');

const brandOf = textOf(/^[a-z][a-z0-9-]{0,39}$/, 'product line');
export const brand: Decoder<string> = (text) => brandOf(text.toLowerCase().replaceAll(' ', '-'));

export const architecture = wordOf({
  Kepler: 'kepler',
  Maxwell: 'maxwell',
  Pascal: 'pascal',
  Volta: 'volta',
  Turing: 'turing',
  Ampere: 'ampere',
  'Ada Lovelace': 'ada',
  Ada: 'ada',
  Hopper: 'hopper',
  Blackwell: 'blackwell',
  Rubin: 'rubin',
});

export const computeMode = wordOf<ComputeMode>({
  Default: 'default',
  'Exclusive Thread': 'exclusive-thread',
  'E. Thread': 'exclusive-thread',
  Prohibited: 'prohibited',
  'Exclusive Process': 'exclusive-process',
  'E. Process': 'exclusive-process',
});

export const virtualizationMode = wordOf<VirtualizationMode>({
  None: 'none',
  'Pass-Through': 'passthrough',
  VGPU: 'vgpu',
  'Host VGPU': 'host-vgpu',
  'Host VSGA': 'host-vsga',
});

export const addressingMode = wordOf<AddressingMode>({ None: 'none', HMM: 'hmm', ATS: 'ats' });

export const recoveryAction = wordOf<RecoveryAction>({
  None: 'none',
  Reset: 'reset',
  'GPU Reset': 'reset',
  Reboot: 'reboot',
  'Node Reboot': 'reboot',
  'Drain P2P': 'drain-p2p',
  'Drain and Reset': 'drain-and-reset',
  'Recover IMEX Domain': 'recover-imex-domain',
  'Recover IMEX': 'recover-imex-domain',
  // NVML 13 names two more; the bus is reset for this GPU, and the system is the node.
  'Bus Reset': 'reset',
  'System Reboot': 'reboot',
});

export const fabricState = wordOf<FabricState>({
  'Not Supported': 'not-supported',
  'Not Started': 'not-started',
  'In Progress': 'in-progress',
  Completed: 'completed',
});

const knownFabricStatus = wordOf({
  Success: 'NVML_SUCCESS',
  'Not Supported': 'NVML_ERROR_NOT_SUPPORTED',
  'Not Found': 'NVML_ERROR_NOT_FOUND',
  Timeout: 'NVML_ERROR_TIMEOUT',
  'Insufficient Resources': 'NVML_ERROR_INSUFFICIENT_RESOURCES',
  'In use by another client': 'NVML_ERROR_IN_USE',
  'Not Ready': 'NVML_ERROR_NOT_READY',
  'Unknown Error': 'NVML_ERROR_UNKNOWN',
});
const anyStatus = /^[A-Za-z][A-Za-z _/-]{2,60}$/;
/**
 * Here an error string is the reading itself, not the reason for not having one. There is one word for success; any other is an error,
 * also one that this program has no name for.
 */
export const fabricStatus: Decoder<string> = (text) => {
  const known = knownFabricStatus(text);
  const isError = known.value === null && anyStatus.test(text) && simplify(text) !== 'na';
  return isError ? { value: 'NVML_ERROR_UNKNOWN' } : known;
};

export const fabricHealthSummary = wordOf<FabricHealthSummary>({
  'Not Supported': 'not-supported',
  Healthy: 'healthy',
  Unhealthy: 'unhealthy',
  'Limited Capacity': 'limited-capacity',
});

export const fabricMisconfiguration = wordOf<FabricMisconfiguration>({
  None: 'none',
  'Incorrect System GUID': 'incorrect-system-guid',
  'Incorrect SysGUID': 'incorrect-system-guid',
  'Incorrect Chassis Serial': 'incorrect-chassis-serial',
  'Incorrect Chassis SN': 'incorrect-chassis-serial',
  'Incorrect Chassis Serial Number': 'incorrect-chassis-serial',
  'No Partition': 'no-partition',
  'Insufficient NVLinks': 'insufficient-nvlinks',
  'Incompatible GPU Firmware': 'incompatible-gpu-firmware',
  'Incompatible GPU FW': 'incompatible-gpu-firmware',
  'Invalid Location': 'invalid-location',
  'Invalid GPU State': 'invalid-gpu-state',
});

const printedUuid = textOf(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'UUID');
/** All zero on systems without a cluster of their own (a single HGX board). */
export const clusterUuid: Decoder<string> = (text) =>
  /^[0-]{1,64}$/.test(text)
    ? missing('unsupported', 'nvidia-smi printed all zeros, as without a cluster')
    : printedUuid(text.toLowerCase());

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const stamp =
  /^[A-Z][a-z]{2}\s{1,4}([A-Z][a-z]{2})\s{1,4}(\d{1,2})\s{1,4}(\d{2}):(\d{2}):(\d{2})\s{1,4}(\d{4})$/;

/** `Fri Aug  4 11:44:30 2023` as ISO 8601. The tool prints no zone: read as UTC. Null for anything else. */
export function timeOf(text: string): string | null {
  const [, month = '', ...numbers] = stamp.exec(text.trim().slice(0, 60)) ?? [];
  const [day = 0, hour = 0, minute = 0, second = 0, year = 0] = numbers.map(Number);
  if (!months.includes(month) || hour > 23 || minute > 59 || second > 60) return null;
  const time = new Date(Date.UTC(year, months.indexOf(month), day, hour, minute, second));
  return time.getUTCDate() === day ? time.toISOString() : null;
}

/** The version at the beginning of a text; newer tools add a remark in brackets. */
export function versionOf(text: string | null | undefined): string | null {
  const found = /^\d{1,5}(?:\.\d{1,5}){1,3}/.exec(text ?? '')?.[0];
  return found === undefined ? null : Buffer.from(found).toString();
}
