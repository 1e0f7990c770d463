import type { Expectation } from './nvidia-smi-comparison.ts';

// An extraction of its own: element names and plain string searches, nothing of the parser and its tables.

/** What stands between the first `<tag>` and its end, going inwards; undefined where one of them is missing. */
export function element(xml: string, ...tags: readonly string[]): string | undefined {
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
export function gpusOf(xml: string): readonly string[] {
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

export const number = (text: string) => Number.parseFloat(text);
export const mebibytes = (text: string) => Number.parseInt(text, 10) * 1024 * 1024;
export const yes = (text: string) => text === 'Yes' || text === 'Enabled';
export const same = (text: string) => text;

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

/** Those that are active in the captures. */
const reasonWords: Readonly<Record<string, string>> = {
  gpu_idle: 'idle',
  sw_power_cap: 'software-power-cap',
  applications_clocks_setting: 'application-clocks',
};

export function expectationsOf(whole: string): readonly Expectation[] {
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
  for (const counter of ['Volatile', 'Aggregate'] as const) {
    const leaf = `ecc.sramUncorrectable${counter}Count`;
    const block = printed('ecc_errors', counter.toLowerCase());
    const parts = [...block.matchAll(/<sram_uncorrectable\w*>([^<]*)</g)].map((match) => match[1] ?? '');
    if (parts.length === 0) expectations.push({ leaf, is: 'not printed' });
    else if (parts.some((part) => absent.includes(part))) expectations.push({ leaf, is: 'absent' });
    else expectations.push({ leaf, is: 'value', value: parts.reduce((sum, part) => sum + number(part), 0) });
  }
  const reasons = [...gpu.matchAll(/<clocks_(?:event|throttle)_reason_(\w+)>([^<]*)</g)];
  expectations.push(
    reasons.length === 0
      ? { leaf: 'clocks.eventReasons', is: 'not printed' }
      : {
          leaf: 'clocks.eventReasons',
          is: 'value',
          value: reasons.filter((match) => match[2] === 'Active').map((match) => reasonWords[match[1] ?? '']),
        },
  );
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
