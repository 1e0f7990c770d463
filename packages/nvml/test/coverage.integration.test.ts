import { type GpuRef, type GpuSample, type GpuSection, gpuSections } from '@k8s-gpu-mcp/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { essentialFunctions } from '../src/abi/functions.ts';
import type { CoverageCall, CoverageRow } from '../src/coverage/coverage-row.ts';
import { nvmlCoverage } from '../src/coverage/index.ts';
import { everyLink, everyMigDevice } from './fake/every-link.ts';
import { type Generation, generations, notExported } from './fake/exports.ts';
import { compileFakeLibrary, createRig, h100, type NodeConfig, noCompiler, type Values } from './fake/rig.ts';

/**
 * The coverage table against the adapter. Nothing here knows how a reading is had: the table says what has to be there for it, a library
 * is made without some of it, and the reading must then be there or be the gap that the table promises.
 */

interface Row {
  readonly path: string;
  readonly section: GpuSection;
  readonly leaf: string;
  readonly member?: string;
  readonly row: CoverageRow;
}

const rowsOf = (table: Readonly<Record<string, Readonly<Record<string, CoverageRow>>>>): readonly Row[] =>
  gpuSections.flatMap((section) =>
    Object.entries(table[section] ?? {}).map(([key, row]) => {
      const [leaf = key, member] = key.split('.');
      return { path: `${section}.${key}`, section, leaf, ...(member === undefined ? {} : { member }), row };
    }),
  );
const rows = rowsOf(nvmlCoverage);

const callsOf = (row: CoverageRow): CoverageCall[] => [
  row.call,
  ...(row.fallback ?? []),
  ...(row.needs ?? []),
];
const isField = (call: CoverageCall) => call.startsWith('field ');
const fieldId = (call: CoverageCall) => Number(/^field (\d+)/.exec(call)?.[1]);

/** Whether the table says that the reading can be had while some calls are absent. */
function isHad(
  table: readonly Row[],
  { row, section, leaf, member }: Row,
  absent: ReadonlySet<string>,
): boolean {
  const isThere = (call: CoverageCall) =>
    !absent.has(call) && !(isField(call) && absent.has('nvmlDeviceGetFieldValues'));
  if (!(row.needs ?? []).every(isThere)) return false;
  const earlier = table.filter(({ path }) => row.after?.some((after) => after === path));
  if (!earlier.every((entry) => isHad(table, entry, absent))) return false;
  if (![row.call, ...(row.fallback ?? [])].some(isThere)) return false;
  const list = member === undefined ? undefined : table.find(({ path }) => path === `${section}.${leaf}`);
  return list === undefined || isHad(table, list, absent);
}

/** Not asked of anybody but worked out from what other readings are had from; see mig.integration.test.ts. */
const workedOut: ReadonlySet<string> = new Set(['mig.devices.profile', 'mig.profiles.name']);

/** What the sample says otherwise than the table does. */
function differences(table: readonly Row[], sample: GpuSample, absent: ReadonlySet<string>): string[] {
  const unheardOf = sample.gaps.filter(({ field }) => !table.some(({ path }) => path === field));
  const wrong = table.flatMap((entry) => {
    const { path, section, leaf, member, row } = entry;
    if (workedOut.has(path)) return [];
    const leaves = sample[section] as Readonly<Record<string, unknown>> | undefined;
    const value = leaves?.[leaf] ?? null;
    const reasons = sample.gaps.filter(({ field }) => field === path).map(({ reason }) => reason);
    const shouldBe = isHad(table, entry, absent);
    if (member !== undefined) {
      if (!Array.isArray(value)) return shouldBe ? [`${path}: no list`] : [];
      const values = value.map((item: Readonly<Record<string, unknown>>) => item[member] ?? null);
      const isThere = values.some((one) => one !== null);
      if (isThere !== shouldBe) return [`${path}: ${isThere ? 'there' : 'missing'}`];
      return shouldBe || values.length === 0 || reasons.includes(row.absence.reason)
        ? []
        : [`${path}: ${reasons}`];
    }
    if ((value !== null) !== shouldBe)
      return [`${path}: ${value === null ? `missing (${reasons})` : 'there'}`];
    return shouldBe || (reasons.length === 1 && reasons[0] === row.absence.reason)
      ? []
      : [`${path}: ${reasons}`];
  });
  return [...wrong, ...unheardOf.map(({ field, reason }) => `${field}: a gap without a row (${reason})`)];
}

/** A GPU that has everything there is to read, which no real one has: fans and a rack, retired pages and row remapping. */
const everything: Values = {
  platform: '12 3 1 2 1820325150136',
  'inforom.2': '1.0',
  ...{ fans: 2, 'fan.0': 30, 'fan.1': 31, 'fan.target.0': 35, 'fan.target.1': 36, 'fan.rpm.0': 1500 },
  ...{ 'retired.0': 1, 'retired.1': 2, 'retired.pending': 0 },
  ...everyLink,
};

/** The node without the fields among `absent`. */
function nodeWithout(absent: ReadonlySet<string>): NodeConfig {
  const ids = [...absent]
    .filter((call) => call.startsWith('field '))
    .map((call) => fieldId(call as CoverageCall));
  const gone = Object.keys({ ...h100(0), ...everything }).filter((key) =>
    ids.includes(Number(/^field\.(\d+)/.exec(key)?.[1])),
  );
  const values = { ...everything, ...Object.fromEntries(gone.map((key) => [key, null])) };
  return { gpus: [values, {}], mig: everyMigDevice };
}

/** All sections; profiling compares, so it is read before too. */
async function readWithout(absent: ReadonlySet<string>): Promise<GpuSample> {
  const functions = [...absent].filter((call) => !call.startsWith('field '));
  const rig = createRig(nodeWithout(absent), { library: compileFakeLibrary(610, functions) });
  const read = (gpu: GpuRef | undefined, sections: readonly GpuSection[]) =>
    rig.provider.readGpu(gpu as GpuRef, sections, AbortSignal.timeout(20_000));
  try {
    const { gpus } = await rig.provider.describeNode(AbortSignal.timeout(20_000));
    await read(gpus[0], ['profiling']);
    return await read(gpus[0], gpuSections);
  } finally {
    await rig.dispose();
  }
}

/**
 * Every call has a number, and each library lacks the calls with one certain bit of it set, or clear. Any two calls differ in a bit, so
 * some library lacks the one and has the other: a row that names the wrong call, or hides one that it needs, is found out.
 */
const essential: readonly string[] = essentialFunctions;
const calls = [...new Set(rows.flatMap(({ row }) => callsOf(row)))].filter(
  (call) => !essential.includes(call),
);
const bits = Math.ceil(Math.log2(calls.length));
const absences: readonly ReadonlySet<string>[] = [
  new Set<string>(),
  new Set(['nvmlDeviceGetFieldValues']),
  ...Array.from({ length: bits }, (_, bit) =>
    [0, 1].map((wanted) => new Set<string>(calls.filter((_, number) => ((number >> bit) & 1) === wanted))),
  ).flat(),
];

/** Release of the header (CUDA) that a driver branch was built with. */
const headerOf: Readonly<Record<Generation, string>> = {
  470: '11.4',
  535: '12.2',
  550: '12.4',
  580: '13.0',
  610: '13.3',
};
function isNewer(since: string, than: string): boolean {
  const [major = 0, minor = 0] = since.split('.').map(Number);
  const [ofMajor = 0, ofMinor = 0] = than.split('.').map(Number);
  return major > ofMajor || (major === ofMajor && minor > ofMinor);
}

describe.skipIf(noCompiler !== undefined)('coverage', () => {
  const samples = new Map<ReadonlySet<string>, GpuSample>();
  beforeAll(async () => {
    for (const absent of absences) samples.set(absent, await readWithout(absent));
  }, 120_000);
  afterAll(() => samples.clear());

  const found = (table: readonly Row[]) =>
    [...samples].flatMap(([absent, sample]) => differences(table, sample, absent));

  it('has a call for every reading', () => {
    const [sample] = samples.values();
    for (const section of gpuSections) {
      const leaves = Object.keys(sample?.[section] ?? {});
      expect(rows.filter((row) => row.section === section && row.member === undefined).length).toBe(
        leaves.length,
      );
    }
    expect(rows.length).toBeGreaterThan(150);
  });

  it.each(gpuSections.map((section) => [section, rows.filter((row) => row.section === section).length]))(
    '%s: each of the %i readings is had from what the table names, and from nothing else',
    (section) => {
      const ofSection = rows.filter((row) => row.section === section);
      expect(ofSection.length).toBeGreaterThan(0);
      expect(found(rows).filter((difference) => difference.startsWith(`${section}.`))).toEqual([]);
    },
  );

  it.each(generations)('driver %i: values, or gaps with the reasons of the table', async (generation) => {
    const newerFields = calls.filter((call) => {
      const row = rows.find((entry) => entry.row.call === call)?.row;
      return isField(call) && row !== undefined && isNewer(row.since, headerOf[generation]);
    });
    const absent = new Set<string>([...notExported[generation], ...newerFields]);
    expect(differences(rows, await readWithout(absent), absent)).toEqual([]);
  });

  it.each([
    ['a wrong function', 'thermal.temperatureCelsius', { call: 'nvmlDeviceGetPowerUsage', fallback: [] }],
    ['a wrong field', 'power.instantDrawWatts', { call: 'field 185 (NVML_FI_DEV_POWER_AVERAGE)' }],
    ['a fallback that is none', 'power.drawWatts', { fallback: ['nvmlDeviceGetTemperature'] }],
    ['a hidden need', 'profiling.smActivePercent', { needs: [] }],
    ['a wrong reason', 'ecc.enabled', { absence: { reason: 'no-permission', means: '' } }],
  ] as const)('planted fault: %s turns a row red', (_, path, change) => {
    const planted = rows.map((entry) =>
      entry.path === path ? { ...entry, row: { ...entry.row, ...change } as CoverageRow } : entry,
    );
    expect(found(planted).filter((difference) => difference.startsWith(path))).not.toEqual([]);
  });
});
