import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseSmi } from '../src/nvidia-smi/parse-smi.ts';
import type { CapturedGpu, SmiCapture } from '../src/recording.ts';
import { differences, type Expectation, readingOf } from './nvidia-smi-comparison.ts';

const folder = new URL('../fixtures/nvidia-smi/', import.meta.url);
const filesOf = (kind: string) => readdirSync(new URL(`${kind}/`, folder)).sort();
const load = (kind: string, file: string) => readFileSync(new URL(`${kind}/${file}`, folder), 'utf8');

function read(kind: string, file: string, text = load(kind, file)): SmiCapture {
  const capture = parseSmi(text, { file, firstLine: 1 });
  if (capture === undefined) throw new Error(`${kind}/${file} was not recognised`);
  return capture;
}

// An extraction of its own: element names and plain string searches, nothing of the parser and its tables.

/** What stands between the first `<tag>` and its end, going inwards; undefined where one of them is missing. */
function element(xml: string, ...tags: readonly string[]): string | undefined {
  let inside = xml;
  for (const tag of tags) {
    const start = inside.indexOf(`<${tag}>`);
    const end = inside.indexOf(`</${tag}>`, start);
    if (start === -1 || end === -1) return undefined;
    inside = inside.slice(start + tag.length + 2, end);
  }
  return inside.trim();
}

/** The GPUs' own elements: what repeats names inside (MIG devices, supported clocks) is taken out. */
function gpusOf(xml: string): readonly string[] {
  return xml
    .split(/<gpu id=/)
    .slice(1)
    .map((part) => part.slice(0, part.lastIndexOf('</gpu>')));
}
const withoutLists = (gpu: string) =>
  gpu
    .replace(/<mig_devices>[\s\S]*<\/mig_devices>/, '')
    .replace(/<supported_clocks>[\s\S]*<\/supported_clocks>/, '')
    .replace(/<processes>[\s\S]*<\/processes>/, '');

const number = (text: string) => Number.parseFloat(text);
const mebibytes = (text: string) => Number.parseInt(text, 10) * 1024 * 1024;
const yes = (text: string) => text === 'Yes' || text === 'Enabled';
const same = (text: string) => text;

/** Leaf, where the XML has it (the first that is there), how it reads. */
const simple: readonly (readonly [string, readonly (readonly string[])[], (text: string) => unknown])[] = [
  ['identity.name', [['product_name']], same],
  ['identity.uuid', [['uuid']], same],
  ['identity.serial', [['serial']], same],
  ['identity.vbiosVersion', [['vbios_version']], same],
  ['identity.minorNumber', [['minor_number']], number],
  ['identity.boardId', [['board_id']], same],
  ['identity.multiGpuBoard', [['multigpu_board']], yes],
  ['identity.persistenceModeEnabled', [['persistence_mode']], yes],
  ['identity.gspFirmwareVersion', [['gsp_firmware_version']], same],
  ['identity.boardPartNumber', [['board_part_number'], ['gpu_part_number']], same],
  ['identity.moduleId', [['module_id'], ['gpu_module_id']], number],
  ['identity.hostId', [['platformInfo', 'host_id']], number],
  ['identity.inforomVersion', [['img_version']], same],
  ['identity.inforomOemVersion', [['inforom_version', 'oem_object']], same],
  ['identity.inforomEccVersion', [['inforom_version', 'ecc_object']], same],
  ['identity.inforomPowerVersion', [['inforom_version', 'pwr_object']], same],
  ['identity.brand', [['product_brand']], (text) => text.toLowerCase()],
  ['identity.architecture', [['product_architecture']], (text) => text.toLowerCase().split(' ')[0]],
  ['identity.computeMode', [['compute_mode']], (text) => ({ Default: 'default' })[text]],
  [
    'identity.virtualizationMode',
    [['gpu_virtualization_mode', 'virtualization_mode']],
    (text) => ({ None: 'none', 'Pass-Through': 'passthrough' })[text],
  ],
  ['memory.totalBytes', [['fb_memory_usage', 'total']], mebibytes],
  ['memory.usedBytes', [['fb_memory_usage', 'used']], mebibytes],
  ['memory.freeBytes', [['fb_memory_usage', 'free']], mebibytes],
  ['memory.reservedBytes', [['fb_memory_usage', 'reserved']], mebibytes],
  ['memory.bar1TotalBytes', [['bar1_memory_usage', 'total']], mebibytes],
  ['memory.bar1UsedBytes', [['bar1_memory_usage', 'used']], mebibytes],
  ['memory.bar1FreeBytes', [['bar1_memory_usage', 'free']], mebibytes],
  ['thermal.temperatureCelsius', [['temperature', 'gpu_temp']], number],
  ['thermal.memoryTemperatureCelsius', [['temperature', 'memory_temp']], number],
  ['thermal.slowdownThresholdCelsius', [['gpu_temp_slow_threshold']], number],
  ['thermal.shutdownThresholdCelsius', [['gpu_temp_max_threshold']], number],
  ['thermal.maxOperatingThresholdCelsius', [['gpu_temp_max_gpu_threshold']], number],
  ['thermal.memoryMaxThresholdCelsius', [['gpu_temp_max_mem_threshold']], number],
  ['thermal.marginCelsius', [['gpu_temp_tlimit']], number],
  ['thermal.slowdownMarginCelsius', [['gpu_temp_slow_tlimit_threshold']], number],
  ['thermal.shutdownMarginCelsius', [['gpu_temp_max_tlimit_threshold']], number],
  ['thermal.maxOperatingMarginCelsius', [['gpu_temp_max_gpu_tlimit_threshold']], number],
  ['thermal.memoryMaxMarginCelsius', [['gpu_temp_max_mem_tlimit_threshold']], number],
  ['thermal.fanSpeedPercent', [['fan_speed']], number],
  ['power.averageDrawWatts', [['gpu_power_readings', 'average_power_draw']], number],
  ['power.instantDrawWatts', [['gpu_power_readings', 'instant_power_draw']], number],
  [
    'power.enforcedLimitWatts',
    [
      ['gpu_power_readings', 'current_power_limit'],
      ['power_readings', 'enforced_power_limit'],
    ],
    number,
  ],
  [
    'power.requestedLimitWatts',
    [
      ['gpu_power_readings', 'requested_power_limit'],
      ['power_readings', 'power_limit'],
    ],
    number,
  ],
  [
    'power.defaultLimitWatts',
    [
      ['gpu_power_readings', 'default_power_limit'],
      ['power_readings', 'default_power_limit'],
    ],
    number,
  ],
  [
    'power.maxLimitWatts',
    [
      ['gpu_power_readings', 'max_power_limit'],
      ['power_readings', 'max_power_limit'],
    ],
    number,
  ],
  [
    'power.minLimitWatts',
    [
      ['gpu_power_readings', 'min_power_limit'],
      ['power_readings', 'min_power_limit'],
    ],
    number,
  ],
  ['clocks.graphicsClockMegahertz', [['clocks', 'graphics_clock']], number],
  ['clocks.smClockMegahertz', [['clocks', 'sm_clock']], number],
  ['clocks.memoryClockMegahertz', [['clocks', 'mem_clock']], number],
  ['clocks.videoClockMegahertz', [['clocks', 'video_clock']], number],
  ['clocks.maxGraphicsClockMegahertz', [['max_clocks', 'graphics_clock']], number],
  ['clocks.maxSmClockMegahertz', [['max_clocks', 'sm_clock']], number],
  ['clocks.maxMemoryClockMegahertz', [['max_clocks', 'mem_clock']], number],
  ['clocks.applicationGraphicsClockMegahertz', [['applications_clocks', 'graphics_clock']], number],
  ['clocks.defaultApplicationMemoryClockMegahertz', [['default_applications_clocks', 'mem_clock']], number],
  ['clocks.maxBoostGraphicsClockMegahertz', [['max_customer_boost_clocks', 'graphics_clock']], number],
  ['clocks.performanceState', [['performance_state']], same],
  ['violations.powerMicroseconds', [['clocks_event_reasons_counters_sw_power_cap']], number],
  ['violations.syncBoostMicroseconds', [['clocks_event_reasons_counters_sync_boost']], number],
  ['utilization.gpuPercent', [['utilization', 'gpu_util']], number],
  ['utilization.memoryPercent', [['utilization', 'memory_util']], number],
  ['utilization.encoderPercent', [['utilization', 'encoder_util']], number],
  ['utilization.jpegPercent', [['utilization', 'jpeg_util']], number],
  ['ecc.enabled', [['current_ecc']], yes],
  ['ecc.pendingEnabled', [['pending_ecc']], yes],
  ['ecc.sramCorrectableVolatileCount', [['ecc_errors', 'volatile', 'sram_correctable']], number],
  ['ecc.sramCorrectableAggregateCount', [['ecc_errors', 'aggregate', 'sram_correctable']], number],
  ['ecc.sramThresholdExceeded', [['sram_threshold_exceeded']], yes],
  ['ecc.sramUncorrectableL2AggregateCount', [['sram_l2']], number],
  ['ecc.sramUncorrectableSmAggregateCount', [['sram_sm']], number],
  ['ecc.sramUncorrectablePcieAggregateCount', [['sram_pcie']], number],
  ['ecc.sramUncorrectableMicrocontrollerAggregateCount', [['sram_microcontroller']], number],
  ['ecc.sramUncorrectableOtherAggregateCount', [['sram_other']], number],
  ['rowRemap.correctableRowCount', [['remapped_row_corr'], ['remapped_rows']], number],
  ['rowRemap.uncorrectableRowCount', [['remapped_row_unc'], ['remapped_rows']], number],
  ['rowRemap.pending', [['remapped_row_pending'], ['remapped_rows']], yes],
  ['rowRemap.failureOccurred', [['remapped_row_failure'], ['remapped_rows']], yes],
  ['rowRemap.singleBitRetiredPageCount', [['multiple_single_bit_retirement', 'retired_count']], number],
  ['rowRemap.doubleBitRetiredPageCount', [['double_bit_retirement', 'retired_count']], number],
  ['rowRemap.retiredPagesPending', [['pending_retirement']], yes],
  ['rowRemap.channelRepairPending', [['channel_repair_pending']], yes],
  ['rowRemap.tpcRepairPending', [['tpc_repair_pending']], yes],
  ['rowRemap.memoryUnrepairable', [['unrepairable_memory']], yes],
  ['pcie.currentGeneration', [['current_link_gen']], number],
  ['pcie.maxGeneration', [['max_link_gen']], number],
  ['pcie.deviceMaxGeneration', [['max_device_link_gen']], number],
  ['pcie.currentLinkWidthLanes', [['current_link_width']], number],
  ['pcie.maxLinkWidthLanes', [['max_link_width']], number],
  ['pcie.replayCount', [['replay_counter']], number],
  ['pcie.replayRolloverCount', [['replay_rollover_counter']], number],
  ['pcieTraffic.transmitKilobytesPerSecond', [['tx_util']], number],
  ['pcieTraffic.receiveKilobytesPerSecond', [['rx_util']], number],
  ['mig.enabled', [['current_mig']], yes],
  ['mig.pendingEnabled', [['pending_mig']], yes],
  ['processes.accountingEnabled', [['accounting_mode']], yes],
  ['recovery.action', [['gpu_recovery_action']], (text) => text.toLowerCase()],
  ['fabric.state', [['fabric', 'state']], (text) => text.toLowerCase()],
  ['fabric.cliqueId', [['fabric', 'cliqueId']], number],
  ['fabric.healthSummary', [['fabric', 'health', 'summary']], (text) => text.toLowerCase()],
  ['fabric.accessTimeoutRecovery', [['access_timeout_recovery']], (text) => text === 'True'],
];

/** In the captures these are all the ways to say "nothing". */
const absent = ['N/A', 'Requested functionality has been deprecated', 'REDACTED', '[REDACTED]', ''];

function expectationsOf(whole: string): readonly Expectation[] {
  const gpu = withoutLists(whole);
  const first = (places: readonly (readonly string[])[]) =>
    places.map((tags) => element(gpu, ...tags)).find((text) => text !== undefined);
  const printed = (...tags: readonly string[]) => element(gpu, ...tags) ?? '';
  const expectations: Expectation[] = simple.map(([leaf, places, decode]) => {
    const text = first(places);
    if (text === undefined) return { leaf, is: 'not printed' };
    return absent.includes(text) ? { leaf, is: 'absent' } : { leaf, is: 'value', value: decode(text) };
  });
  for (const counter of ['Volatile', 'Aggregate'] as const) {
    const group = counter.toLowerCase();
    const bits = { correctable: 'single_bit', uncorrectable: 'double_bit' };
    for (const kind of ['correctable', 'uncorrectable'] as const) {
      const inOld = element(gpu, 'ecc_errors', group, bits[kind], 'total');
      const block = printed('ecc_errors', group);
      const inNew = [...block.matchAll(/<([sd]ram)_(correctable|uncorrectable)(?:_\w+)?>([^<]*)</g)]
        .filter((match) => match[2] === kind)
        .map((match) => match[3] ?? '');
      const parts = inOld === undefined ? inNew : [inOld];
      const leaf = `ecc.${kind}${counter}Count`;
      if (parts.length === 0) expectations.push({ leaf, is: 'not printed' });
      else if (parts.some((part) => absent.includes(part))) expectations.push({ leaf, is: 'absent' });
      else
        expectations.push({ leaf, is: 'value', value: parts.reduce((sum, part) => sum + number(part), 0) });
    }
  }
  const histogram = ['max', 'high', 'partial', 'low', 'none'].map((word) =>
    element(gpu, `row_remapper_histogram_${word}`),
  );
  if (histogram.every((text) => text !== undefined)) {
    const [maxBankCount, highBankCount, partialBankCount, lowBankCount, noneBankCount] =
      histogram.map(number);
    expectations.push({
      leaf: 'rowRemap.histogram',
      is: 'value',
      value: { maxBankCount, highBankCount, partialBankCount, lowBankCount, noneBankCount },
    });
  }
  const processes = element(whole, 'processes') ?? (whole.includes('<processes />') ? '' : undefined);
  const entries = (processes ?? '').split('<process_info>').slice(1);
  const compare = (value: unknown) =>
    (value as readonly Record<string, unknown>[]).map(({ pid, kinds, memoryUsedBytes }) => [
      pid,
      kinds,
      memoryUsedBytes,
    ]);
  expectations.push(
    processes === undefined
      ? { leaf: 'processes.running', is: 'not printed' }
      : {
          leaf: 'processes.running',
          is: 'value',
          compare,
          value: entries.map((entry) => [
            number(element(entry, 'pid') ?? ''),
            { C: ['compute'], G: ['graphics'], 'C+G': ['compute', 'graphics'] }[element(entry, 'type') ?? ''],
            absent.includes(element(entry, 'used_memory') ?? '')
              ? null
              : mebibytes(element(entry, 'used_memory') ?? ''),
          ]),
        },
  );
  const devices = (element(whole, 'mig_devices') ?? '').split('<mig_device>').slice(1);
  if (devices.length > 0) {
    expectations.push({
      leaf: 'mig.devices',
      is: 'value',
      compare: (value) =>
        (value as readonly Record<string, unknown>[]).map((device) => [
          device['index'],
          device['gpuInstanceId'],
          device['computeInstanceId'],
          device['multiprocessorCount'],
          device['memoryTotalBytes'],
          device['memoryUsedBytes'],
        ]),
      value: devices.map((device) => [
        number(element(device, 'index') ?? ''),
        number(element(device, 'gpu_instance_id') ?? ''),
        number(element(device, 'compute_instance_id') ?? ''),
        number(element(device, 'multiprocessor_count') ?? ''),
        mebibytes(element(device, 'fb_memory_usage', 'total') ?? ''),
        mebibytes(element(device, 'fb_memory_usage', 'used') ?? ''),
      ]),
    });
  }
  return expectations;
}

function compareXml(xml: string, capture: SmiCapture): readonly string[] {
  const gpus = gpusOf(xml);
  return [
    ...(gpus.length === capture.gpus.length ? [] : [`${gpus.length} GPUs, ${capture.gpus.length} read`]),
    ...capture.gpus.flatMap((gpu, index) => differences(gpu, expectationsOf(gpus[index] ?? ''))),
  ];
}

describe('every nvidia-smi -q -x capture says what its file says', () => {
  test.each(filesOf('qx'))('%s', (file) => {
    const xml = load('qx', file);
    const capture = read('qx', file);
    expect(capture.format).toBe('nvidia-smi -q -x');
    expect(capture.driverVersion).toBe(element(xml, 'driver_version') ?? null);
    expect(capture.attachedGpuCount).toBe(Number(element(xml, 'attached_gpus') ?? Number.NaN) || null);
    expect(compareXml(xml, capture)).toEqual([]);
    expect(capture.unread).toEqual([]);
    expect(capture.gpus.map(({ state }) => state)).toEqual(capture.gpus.map(() => undefined));
    const addresses = [...xml.matchAll(/<gpu id="0000(.*?)">/g)].map((match) => match[1]?.toLowerCase());
    expect(capture.gpus.map(({ ref }) => ref.pciAddress)).toEqual(addresses);
  });

  test('there is something to compare', () => {
    const all = filesOf('qx').flatMap((file) => gpusOf(load('qx', file)).flatMap(expectationsOf));
    expect(all.filter(({ is }) => is === 'value').length).toBeGreaterThan(1_500);
    expect(all.filter(({ is }) => is === 'absent').length).toBeGreaterThan(250);
  });

  test('planted faults: a changed value turns the comparison red', () => {
    const file = 'nvidia__qx-b200.xml';
    const xml = load('qx', file);
    const changes = [
      ['<remapped_row_pending>No<', '<remapped_row_pending>Yes<'],
      ['<replay_counter>0<', '<replay_counter>7<'],
      ['<dram_uncorrectable>0<', '<dram_uncorrectable>1<'],
      ['<current_link_width>16x<', '<current_link_width>8x<'],
      ['<current_mig>Disabled<', '<current_mig>Enabled<'],
    ] as const;
    for (const [from, to] of changes) {
      expect(xml).toContain(from);
      expect(compareXml(xml, read('qx', file, xml.replace(from, to))), to).not.toEqual([]);
    }
    // The other way about: the parser reads the file, the expectation changed.
    const withProcesses = load('qx', 'influxdata__tesla-t4.xml');
    const t4 = read('qx', 'influxdata__tesla-t4.xml');
    expect(compareXml(withProcesses.replace('<pid>', '<pid>1'), t4)).toHaveLength(1);
    expect(compareXml(xml.replace(/<gpu_temp>\d+ C/, '<gpu_temp>99 C'), read('qx', file))).toHaveLength(1);
  });

  test('each value is cited where it stands', () => {
    for (const file of filesOf('qx')) {
      const lines = load('qx', file).split('\n');
      for (const gpu of read('qx', file).gpus) {
        const at = (leaf: string) => lines[(gpu.citations[leaf]?.line ?? 0) - 1] ?? '';
        expect(at('identity.uuid')).toContain(gpu.ref.uuid ?? '?');
        expect(at('thermal.temperatureCelsius')).toContain('<gpu_temp>');
        const leaves = Object.entries(gpu.readings).flatMap(([section, values]) =>
          Object.keys(values).map((leaf) => `${section}.${leaf}`),
        );
        expect(leaves.filter((leaf) => gpu.citations[leaf] === undefined)).toEqual([]);
      }
    }
  });
});

/** Columns of `--query-gpu`, the leaf they are, and how far apart two moments of one run may be (a share of the value). */
const columns: readonly (readonly [string, string, ((text: string) => unknown)?, number?])[] = [
  ['name', 'identity.name', same],
  ['serial', 'identity.serial', same],
  ['uuid', 'identity.uuid', same],
  ['pcie.link.gen.max', 'pcie.maxGeneration'],
  ['pcie.link.gen.gpumax', 'pcie.deviceMaxGeneration'],
  ['pcie.link.width.current', 'pcie.currentLinkWidthLanes'],
  ['pcie.link.width.max', 'pcie.maxLinkWidthLanes'],
  ['persistence_mode', 'identity.persistenceModeEnabled', yes],
  ['addressing_mode', 'identity.addressingMode', (text) => text.toLowerCase()],
  ['accounting.mode', 'processes.accountingEnabled', yes],
  ['vbios_version', 'identity.vbiosVersion', same],
  ['inforom.img', 'identity.inforomVersion', same],
  ['inforom.oem', 'identity.inforomOemVersion', same],
  ['inforom.ecc', 'identity.inforomEccVersion', same],
  ['inforom.pwr', 'identity.inforomPowerVersion', same],
  ['gpu_recovery_action', 'recovery.action', (text) => text.toLowerCase()],
  ['fan.speed [%]', 'thermal.fanSpeedPercent', number, 0.2],
  ['pstate', 'clocks.performanceState', same],
  ['memory.total [MiB]', 'memory.totalBytes', mebibytes],
  ['memory.reserved [MiB]', 'memory.reservedBytes', mebibytes],
  ['memory.used [MiB]', 'memory.usedBytes', mebibytes, 0.2],
  ['compute_mode', 'identity.computeMode', (text) => text.toLowerCase()],
  ['ecc.mode.current', 'ecc.enabled', yes],
  ['ecc.mode.pending', 'ecc.pendingEnabled', yes],
  ['ecc.errors.corrected.volatile.total', 'ecc.correctableVolatileCount'],
  ['ecc.errors.corrected.aggregate.total', 'ecc.correctableAggregateCount'],
  ['ecc.errors.uncorrected.volatile.total', 'ecc.uncorrectableVolatileCount'],
  ['ecc.errors.uncorrected.aggregate.total', 'ecc.uncorrectableAggregateCount'],
  ['ecc.errors.corrected.volatile.sram', 'ecc.sramCorrectableVolatileCount'],
  ['ecc.errors.uncorrected.aggregate.sram', 'ecc.sramUncorrectableAggregateCount'],
  ['ecc.errors.uncorrected.aggregate.sram.thresholdExceeded', 'ecc.sramThresholdExceeded', yes],
  ['ecc.errors.uncorrected.aggregate.sram.l2', 'ecc.sramUncorrectableL2AggregateCount'],
  ['retired_pages.single_bit_ecc.count', 'rowRemap.singleBitRetiredPageCount'],
  ['retired_pages.double_bit.count', 'rowRemap.doubleBitRetiredPageCount'],
  ['retired_pages.pending', 'rowRemap.retiredPagesPending', yes],
  ['remapped_rows.correctable', 'rowRemap.correctableRowCount'],
  ['remapped_rows.uncorrectable', 'rowRemap.uncorrectableRowCount'],
  ['remapped_rows.pending', 'rowRemap.pending', yes],
  ['remapped_rows.failure', 'rowRemap.failureOccurred', yes],
  ['temperature.gpu', 'thermal.temperatureCelsius', number, 0.1],
  ['temperature.gpu.tlimit', 'thermal.marginCelsius', number, 0.1],
  ['temperature.memory', 'thermal.memoryTemperatureCelsius', number, 0.1],
  ['power.draw.average [W]', 'power.averageDrawWatts', number, 0.3],
  ['power.draw.instant [W]', 'power.instantDrawWatts', number, 0.5],
  ['power.limit [W]', 'power.requestedLimitWatts'],
  ['enforced.power.limit [W]', 'power.enforcedLimitWatts'],
  ['power.default_limit [W]', 'power.defaultLimitWatts'],
  ['power.min_limit [W]', 'power.minLimitWatts'],
  ['power.max_limit [W]', 'power.maxLimitWatts'],
  ['clocks.current.memory [MHz]', 'clocks.memoryClockMegahertz', number, 0.5],
  ['clocks.applications.graphics [MHz]', 'clocks.applicationGraphicsClockMegahertz'],
  ['clocks.max.graphics [MHz]', 'clocks.maxGraphicsClockMegahertz'],
  ['clocks.max.sm [MHz]', 'clocks.maxSmClockMegahertz'],
  ['clocks.max.memory [MHz]', 'clocks.maxMemoryClockMegahertz'],
  ['mig.mode.current', 'mig.enabled', yes],
  ['mig.mode.pending', 'mig.pendingEnabled', yes],
  ['fabric.cliqueId', 'fabric.cliqueId'],
  ['fabric.state', 'fabric.state', (text) => text.toLowerCase()],
];

/**
 * Where the two forms of one driver disagree: for a GPU without ECC `-q` prints N/A and `--query-gpu` zeros. A zero is not a reading
 * of a counter that does not exist, so N/A it is.
 */
const withoutEcc = new Set(['ecc.sramThresholdExceeded', 'ecc.sramUncorrectableL2AggregateCount']);

/** The tool quotes nothing and separates by a comma and a blank. */
function rowOf(csv: string): ReadonlyMap<string, string> {
  const [head = '', row = ''] = csv.split('\n').map((line) => line.trimEnd().split(', '));
  return new Map((head as readonly string[]).map((name, position) => [name, row[position] ?? '']));
}

function compareCsv(
  csv: string,
  gpu: CapturedGpu,
): { readonly found: readonly string[]; readonly compared: number } {
  const row = rowOf(csv);
  const expectations = columns.flatMap(([column, leaf, decode = number, within]): Expectation[] => {
    const text = row.get(column);
    if (text === undefined) return [];
    if (withoutEcc.has(leaf) && row.get('ecc.mode.current') === '[N/A]') return [{ leaf, is: 'none' }];
    if (/^\[?(?:N\/A|Requested functionality has been deprecated)\]?$/.test(text))
      return [{ leaf, is: 'none' }];
    return [{ leaf, is: 'value', value: decode(text), ...(within === undefined ? {} : { within }) }];
  });
  return { found: differences(gpu, expectations), compared: expectations.length };
}

const pairs = filesOf('query-gpu-csv').map((file) => file.replace(/\.csv$/, ''));

describe('the text form agrees with --query-gpu of the same machine and run', () => {
  test.each(pairs)('%s', (stem) => {
    const capture = read('q', `${stem}.txt`);
    const row = rowOf(load('query-gpu-csv', `${stem}.csv`));
    expect(capture.driverVersion).toBe(row.get('driver_version') ?? row.get('kmd_version'));
    const [gpu] = capture.gpus;
    if (gpu === undefined) throw new Error('no GPU');
    const { found, compared } = compareCsv(load('query-gpu-csv', `${stem}.csv`), gpu);
    expect(found).toEqual([]);
    expect(compared).toBeGreaterThan(50);
  });

  test('planted faults: another limit, another count, another mode', () => {
    const stem = 'linux-x86_64__nvidia-h100-80gb-hbm3__590.48.01__idle';
    const csv = load('query-gpu-csv', `${stem}.csv`);
    const text = load('q', `${stem}.txt`);
    const changes = [
      [/Default Power Limit( +): 700/, 'Default Power Limit$1: 650'],
      [/SRAM Threshold Exceeded( +): No/, 'SRAM Threshold Exceeded$1: Yes'],
      [/Uncorrectable Error( +): 0/, 'Uncorrectable Error$1: 1'],
    ] as const;
    for (const [from, to] of changes) {
      expect(text).toMatch(from);
      const [gpu] = read('q', `${stem}.txt`, text.replace(from, to)).gpus;
      if (gpu === undefined) throw new Error('no GPU');
      expect(compareCsv(csv, gpu).found, to).toHaveLength(1);
    }
  });
});

describe('every other capture is read', () => {
  const kinds = ['q', 'table', 'errors', 'L'] as const;
  const all = kinds.flatMap((kind) => filesOf(kind).map((file) => [kind, file] as const));

  test.each(all)('%s/%s', (kind, file) => {
    const text = load(kind, file);
    if (file === 'stas00-2.txt') {
      // Links, not GPUs: somebody else reads them.
      expect(parseSmi(text, { file, firstLine: 1 })).toBeUndefined();
      return;
    }
    const capture = read(kind, file);
    const uuids = [...text.matchAll(/GPU-[0-9a-f-]{36}/g)].map(([uuid]) => uuid);
    if (uuids.length > 0) expect(capture.gpus.map(({ ref }) => ref.uuid)).toEqual(uuids);
    if (capture.failure === undefined) expect(capture.gpus.length).toBeGreaterThan(0);
    expect(capture.unread.filter(({ part }) => part !== 'lines that were left out')).toEqual([]);
    expect(capture.gpus.map(({ state }) => state)).toEqual(capture.gpus.map(() => undefined));
  });

  test('the processes and MIG devices of the text are those of the table of the same run', () => {
    const stems = filesOf('table').filter((file) => filesOf('q').includes(file));
    expect(stems.length).toBeGreaterThan(4);
    for (const file of stems) {
      const [fromText] = read('q', file).gpus;
      const [fromTable] = read('table', file).gpus;
      for (const leaf of ['mig.devices', 'mig.enabled', 'memory.totalBytes', 'power.enforcedLimitWatts']) {
        expect(readingOf(fromTable, leaf), `${file} ${leaf}`).toEqual(readingOf(fromText, leaf));
      }
      const pids = (gpu: CapturedGpu | undefined) =>
        gpu?.readings.processes?.running?.map(({ pid, kinds }) => [pid, kinds]);
      expect(pids(fromTable), file).toEqual(pids(fromText));
    }
  });
});
