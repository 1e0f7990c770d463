import type {
  ClockEventReason,
  GpuSection,
  GpuSectionReadings,
  MigDevice,
  RecoveryAction,
} from '@k8s-gpu-mcp/core';

/** What a number may be. Bounds are those of the unit, wide enough for any product, narrow enough to show a wrong unit. */
export const numberKinds = {
  percent: { minimum: 0, maximum: 100, integer: false },
  celsius: { minimum: -60, maximum: 200, integer: false },
  /** Signed distance to a temperature limit. */
  marginCelsius: { minimum: -100, maximum: 200, integer: false },
  watts: { minimum: 0, maximum: 20_000, integer: false },
  joules: { minimum: 0, maximum: 1e15, integer: false },
  megahertz: { minimum: 0, maximum: 50_000, integer: true },
  bytes: { minimum: 0, maximum: Number.MAX_SAFE_INTEGER, integer: true },
  count: { minimum: 0, maximum: Number.MAX_SAFE_INTEGER, integer: true },
  /** A position or an instance number. */
  ordinal: { minimum: 0, maximum: 65_535, integer: true },
  pcieGeneration: { minimum: 1, maximum: 10, integer: true },
  lanes: { minimum: 1, maximum: 32, integer: true },
} as const satisfies Record<string, { minimum: number; maximum: number; integer: boolean }>;
export type NumberKind = keyof typeof numberKinds;

/** How a text must be spelled. */
export const textKinds = {
  text: /\S/,
  lowerCaseName: /^[a-z0-9][a-z0-9 _.-]*$/,
  version: /^\d+\.\d+$/,
  performanceState: /^P(?:\d|1[0-5])$/,
} as const satisfies Record<string, RegExp>;
export type TextKind = keyof typeof textKinds;

export type LeafKind = NumberKind | TextKind | 'flag' | 'eventReasons' | 'recoveryAction' | 'migDevices';

type KindOf<Value> = [Exclude<Value, null>] extends [RecoveryAction]
  ? 'recoveryAction'
  : [Exclude<Value, null>] extends [readonly ClockEventReason[]]
    ? 'eventReasons'
    : [Exclude<Value, null>] extends [readonly MigDevice[]]
      ? 'migDevices'
      : [Exclude<Value, null>] extends [boolean]
        ? 'flag'
        : [Exclude<Value, null>] extends [number]
          ? NumberKind
          : TextKind;
type KindTable<Readings> = { readonly [Leaf in keyof Readings]: KindOf<Readings[Leaf]> };
type Sections = Required<GpuSectionReadings>;

/** Every leaf of every section with its kind. The compiler refuses a missing, an unknown or a wrongly typed leaf. */
export const leafKinds = {
  identity: {
    name: 'text',
    uuid: 'text',
    serial: 'text',
    boardPartNumber: 'text',
    vbiosVersion: 'text',
    inforomVersion: 'text',
    architecture: 'lowerCaseName',
    computeCapability: 'version',
    minorNumber: 'ordinal',
    persistenceModeEnabled: 'flag',
  },
  memory: { totalBytes: 'bytes', usedBytes: 'bytes', freeBytes: 'bytes', reservedBytes: 'bytes' },
  thermal: {
    temperatureCelsius: 'celsius',
    memoryTemperatureCelsius: 'celsius',
    slowdownThresholdCelsius: 'celsius',
    shutdownThresholdCelsius: 'celsius',
    maxOperatingThresholdCelsius: 'celsius',
    memoryMaxThresholdCelsius: 'celsius',
    marginCelsius: 'marginCelsius',
    slowdownMarginCelsius: 'marginCelsius',
    shutdownMarginCelsius: 'marginCelsius',
    fanSpeedPercent: 'percent',
  },
  power: {
    drawWatts: 'watts',
    instantDrawWatts: 'watts',
    enforcedLimitWatts: 'watts',
    defaultLimitWatts: 'watts',
    minLimitWatts: 'watts',
    maxLimitWatts: 'watts',
    energyJoules: 'joules',
  },
  clocks: {
    smClockMegahertz: 'megahertz',
    memoryClockMegahertz: 'megahertz',
    maxSmClockMegahertz: 'megahertz',
    maxMemoryClockMegahertz: 'megahertz',
    performanceState: 'performanceState',
    eventReasons: 'eventReasons',
  },
  utilization: {
    gpuPercent: 'percent',
    memoryPercent: 'percent',
    encoderPercent: 'percent',
    decoderPercent: 'percent',
  },
  ecc: {
    enabled: 'flag',
    pendingEnabled: 'flag',
    correctableVolatileCount: 'count',
    uncorrectableVolatileCount: 'count',
    correctableAggregateCount: 'count',
    uncorrectableAggregateCount: 'count',
    sramUncorrectableVolatileCount: 'count',
    sramUncorrectableAggregateCount: 'count',
    sramThresholdExceeded: 'flag',
  },
  rowRemap: {
    correctableRowCount: 'count',
    uncorrectableRowCount: 'count',
    pending: 'flag',
    failureOccurred: 'flag',
    retiredPagesPending: 'flag',
    retiredPageCount: 'count',
  },
  pcie: {
    currentGeneration: 'pcieGeneration',
    maxGeneration: 'pcieGeneration',
    currentLinkWidthLanes: 'lanes',
    maxLinkWidthLanes: 'lanes',
    replayCount: 'count',
  },
  mig: { enabled: 'flag', pendingEnabled: 'flag', devices: 'migDevices' },
  recovery: { action: 'recoveryAction' },
} as const satisfies { readonly [Section in GpuSection]: KindTable<Sections[Section]> };

/** Every key of a MIG device with its kind. */
export const migDeviceKinds = {
  index: 'ordinal',
  uuid: 'text',
  gpuInstanceId: 'ordinal',
  computeInstanceId: 'ordinal',
  profile: 'text',
  memoryTotalBytes: 'bytes',
  memoryUsedBytes: 'bytes',
} as const satisfies KindTable<MigDevice>;

export type LeafKeys = { readonly [Section in GpuSection]: readonly (keyof Sections[Section] & string)[] };

/** The leaf keys of each section, in the order of the port: what a complete section must hold. */
export const gpuSectionLeafKeys: LeafKeys = {
  identity: keysOf(leafKinds.identity),
  memory: keysOf(leafKinds.memory),
  thermal: keysOf(leafKinds.thermal),
  power: keysOf(leafKinds.power),
  clocks: keysOf(leafKinds.clocks),
  utilization: keysOf(leafKinds.utilization),
  ecc: keysOf(leafKinds.ecc),
  rowRemap: keysOf(leafKinds.rowRemap),
  pcie: keysOf(leafKinds.pcie),
  mig: keysOf(leafKinds.mig),
  recovery: keysOf(leafKinds.recovery),
};

function keysOf<Table extends object>(table: Table): readonly (keyof Table & string)[] {
  return Object.keys(table) as (keyof Table & string)[];
}
