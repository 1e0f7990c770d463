import type { GpuSection, GpuSectionReadings } from '@k8s-gpu-mcp/core';
import { pathOf } from './document.ts';
import type { Decoder } from './values.ts';
import * as values from './values.ts';

type Sections = Required<GpuSectionReadings>;
/** `section.leaf`. */
export type LeafPath = { [S in GpuSection]: `${S}.${keyof Sections[S] & string}` }[GpuSection];
/** What a leaf holds when it is there. */
export type LeafValue<P extends LeafPath> = P extends `${infer S extends GpuSection}.${infer L}`
  ? L extends keyof Sections[S]
    ? NonNullable<Sections[S][L]>
    : never
  : never;

/**
 * Where a leaf stands in both forms of the output. A row's names are spellings over the driver generations: the first with a value is
 * taken. Two rows of one leaf are not the same thing: the second is only looked at where the output has nothing of the first.
 */
export interface Field<P extends LeafPath = LeafPath> {
  readonly reading: P;
  readonly xml: readonly (readonly string[])[];
  readonly text: readonly (readonly string[])[];
  readonly decode: Decoder<LeafValue<P>>;
  /** The words that elsewhere mean "no value" are values here. */
  readonly decodesAbsences: boolean;
}

type Names = string | readonly string[];
const paths = (names: Names) => [names].flat().map(pathOf);

function row<P extends LeafPath>(
  reading: P,
  xml: Names,
  text: Names,
  decode: Decoder<LeafValue<NoInfer<P>>>,
  decodesAbsences = false,
): Field<P> {
  return { reading, xml: paths(xml), text: paths(text), decode, decodesAbsences };
}

/** A size, a limit or a clock has one name in each form for all of its members. */
const powerXml = (name: string) => `gpu_power_readings/${name}`;
const powerText = (name: string) => `GPU Power Readings/${name}`;
/** R610 prints three of the limits in a group of their own. */
const ceilingText = (name: string) => `GPU Power Readings/GPU Ceiling Power Limit/${name}`;
const linkXml = (name: string) => `pci/pci_gpu_link_info/${name}`;
const linkText = (name: string) => `PCI/GPU Link Info/${name}`;
const sourcesXml = (name: string) => `ecc_errors/aggregate_uncorrectable_sram_sources/${name}`;
const sourcesText = (name: string) => `ECC Errors/Aggregate Uncorrectable SRAM Sources/${name}`;

/** Sources: captures of drivers 410 to 610 in both forms, and nvidia-smi's manual page. */
export const fields = [
  row('identity.name', 'product_name', 'Product Name', values.productName),
  row('identity.uuid', 'uuid', 'GPU UUID', values.uuid),
  row('identity.serial', 'serial', 'Serial Number', values.label),
  row('identity.boardPartNumber', 'board_part_number', 'Board Part Number', values.label),
  // Version 11 of the XML had one part number, the board's.
  row('identity.boardPartNumber', 'gpu_part_number', 'GPU Part Number', values.label),
  row('identity.boardId', 'board_id', 'Board ID', values.hexadecimal),
  row('identity.multiGpuBoard', 'multigpu_board', 'MultiGPU Board', values.flag),
  row(
    'identity.moduleId',
    ['platforminfo/module_id', 'gpu_module_id'],
    ['Platform Info/Module Id', 'Module ID', 'GPU Module ID'],
    values.count,
  ),
  row(
    'identity.chassisSerial',
    'platforminfo/chassis_serial_number',
    'Platform Info/Chassis Serial Number',
    values.label,
  ),
  row('identity.slotNumber', 'platforminfo/slot_number', 'Platform Info/Slot Number', values.count),
  row('identity.trayIndex', 'platforminfo/tray_index', 'Platform Info/Tray Index', values.count),
  row('identity.hostId', 'platforminfo/host_id', 'Platform Info/Host ID', values.count),
  row('identity.brand', 'product_brand', 'Product Brand', values.brand),
  row('identity.vbiosVersion', 'vbios_version', 'VBIOS Version', values.label),
  row(
    'identity.inforomVersion',
    'inforom_version/img_version',
    'Inforom Version/Image Version',
    values.label,
  ),
  row('identity.inforomOemVersion', 'inforom_version/oem_object', 'Inforom Version/OEM Object', values.label),
  row('identity.inforomEccVersion', 'inforom_version/ecc_object', 'Inforom Version/ECC Object', values.label),
  row(
    'identity.inforomPowerVersion',
    'inforom_version/pwr_object',
    'Inforom Version/Power Management Object',
    values.label,
  ),
  row('identity.architecture', 'product_architecture', 'Product Architecture', values.architecture),
  row('identity.minorNumber', 'minor_number', 'Minor Number', values.count),
  row('identity.persistenceModeEnabled', 'persistence_mode', 'Persistence Mode', values.flag),
  row('identity.computeMode', 'compute_mode', 'Compute Mode', values.computeMode),
  row(
    'identity.virtualizationMode',
    'gpu_virtualization_mode/virtualization_mode',
    'GPU Virtualization Mode/Virtualization Mode',
    values.virtualizationMode,
  ),
  row('identity.addressingMode', 'addressing_mode', 'Addressing Mode', values.addressingMode),
  row('identity.gspFirmwareVersion', 'gsp_firmware_version', 'GSP Firmware Version', values.label),

  row('memory.totalBytes', 'fb_memory_usage/total', 'FB Memory Usage/Total', values.bytes),
  row('memory.usedBytes', 'fb_memory_usage/used', 'FB Memory Usage/Used', values.bytes),
  row('memory.freeBytes', 'fb_memory_usage/free', 'FB Memory Usage/Free', values.bytes),
  row('memory.reservedBytes', 'fb_memory_usage/reserved', 'FB Memory Usage/Reserved', values.bytes),
  row('memory.bar1TotalBytes', 'bar1_memory_usage/total', 'BAR1 Memory Usage/Total', values.bytes),
  row('memory.bar1UsedBytes', 'bar1_memory_usage/used', 'BAR1 Memory Usage/Used', values.bytes),
  row('memory.bar1FreeBytes', 'bar1_memory_usage/free', 'BAR1 Memory Usage/Free', values.bytes),

  row('thermal.temperatureCelsius', 'temperature/gpu_temp', 'Temperature/GPU Current Temp', values.celsius),
  row(
    'thermal.memoryTemperatureCelsius',
    'temperature/memory_temp',
    'Temperature/Memory Current Temp',
    values.memoryCelsius,
  ),
  row(
    'thermal.slowdownThresholdCelsius',
    'temperature/gpu_temp_slow_threshold',
    'Temperature/GPU Slowdown Temp',
    values.celsius,
  ),
  row(
    'thermal.shutdownThresholdCelsius',
    'temperature/gpu_temp_max_threshold',
    'Temperature/GPU Shutdown Temp',
    values.celsius,
  ),
  row(
    'thermal.maxOperatingThresholdCelsius',
    'temperature/gpu_temp_max_gpu_threshold',
    'Temperature/GPU Max Operating Temp',
    values.celsius,
  ),
  row(
    'thermal.memoryMaxThresholdCelsius',
    'temperature/gpu_temp_max_mem_threshold',
    'Temperature/Memory Max Operating Temp',
    values.celsius,
  ),
  row(
    'thermal.marginCelsius',
    ['temperature/gpu_temp_tlimit', 'temperature/gpu_current_temp_tlimit'],
    ['Temperature/GPU T.Limit Temp', 'Temperature/GPU Current T.Limit Temp'],
    values.celsius,
  ),
  row(
    'thermal.slowdownMarginCelsius',
    'temperature/gpu_temp_slow_tlimit_threshold',
    'Temperature/GPU Slowdown T.Limit Temp',
    values.celsius,
  ),
  row(
    'thermal.shutdownMarginCelsius',
    'temperature/gpu_temp_max_tlimit_threshold',
    'Temperature/GPU Shutdown T.Limit Temp',
    values.celsius,
  ),
  row(
    'thermal.maxOperatingMarginCelsius',
    'temperature/gpu_temp_max_gpu_tlimit_threshold',
    'Temperature/GPU Max Operating T.Limit Temp',
    values.celsius,
  ),
  row(
    'thermal.memoryMaxMarginCelsius',
    'temperature/gpu_temp_max_mem_tlimit_threshold',
    'Temperature/Memory Max Operating T.Limit Temp',
    values.celsius,
  ),
  row('thermal.fanSpeedPercent', 'fan_speed', 'Fan Speed', values.percent),

  row(
    'power.drawWatts',
    [powerXml('power_draw'), 'power_readings/power_draw'],
    [powerText('Power Draw'), 'Power Readings/Power Draw'],
    values.watts,
  ),
  // The driver's default reading has no line of its own since the two it can be are printed: averaged where the product can average.
  row(
    'power.drawWatts',
    [powerXml('average_power_draw'), powerXml('instant_power_draw')],
    [powerText('Average Power Draw'), powerText('Instantaneous Power Draw')],
    values.watts,
  ),
  row(
    'power.averageDrawWatts',
    powerXml('average_power_draw'),
    powerText('Average Power Draw'),
    values.watts,
  ),
  row(
    'power.instantDrawWatts',
    powerXml('instant_power_draw'),
    powerText('Instantaneous Power Draw'),
    values.watts,
  ),
  row(
    'power.enforcedLimitWatts',
    [powerXml('current_power_limit'), 'power_readings/enforced_power_limit'],
    [
      powerText('Current Power Limit'),
      ceilingText('Current Power Limit'),
      'Power Readings/Enforced Power Limit',
    ],
    values.watts,
  ),
  row(
    'power.requestedLimitWatts',
    [powerXml('requested_power_limit'), 'power_readings/power_limit'],
    [powerText('Requested Power Limit'), ceilingText('Requested Power Limit'), 'Power Readings/Power Limit'],
    values.watts,
  ),
  row(
    'power.defaultLimitWatts',
    [powerXml('default_power_limit'), 'power_readings/default_power_limit'],
    [
      powerText('Default Power Limit'),
      ceilingText('Default Power Limit'),
      'Power Readings/Default Power Limit',
    ],
    values.watts,
  ),
  row(
    'power.minLimitWatts',
    [powerXml('min_power_limit'), 'power_readings/min_power_limit'],
    [powerText('Min Power Limit'), 'Power Readings/Min Power Limit'],
    values.watts,
  ),
  row(
    'power.maxLimitWatts',
    [powerXml('max_power_limit'), 'power_readings/max_power_limit'],
    [powerText('Max Power Limit'), 'Power Readings/Max Power Limit'],
    values.watts,
  ),

  row('clocks.graphicsClockMegahertz', 'clocks/graphics_clock', 'Clocks/Graphics', values.megahertz),
  row('clocks.smClockMegahertz', 'clocks/sm_clock', 'Clocks/SM', values.megahertz),
  row('clocks.memoryClockMegahertz', 'clocks/mem_clock', 'Clocks/Memory', values.megahertz),
  row('clocks.videoClockMegahertz', 'clocks/video_clock', 'Clocks/Video', values.megahertz),
  row(
    'clocks.maxGraphicsClockMegahertz',
    'max_clocks/graphics_clock',
    'Max Clocks/Graphics',
    values.megahertz,
  ),
  row('clocks.maxSmClockMegahertz', 'max_clocks/sm_clock', 'Max Clocks/SM', values.megahertz),
  row('clocks.maxMemoryClockMegahertz', 'max_clocks/mem_clock', 'Max Clocks/Memory', values.megahertz),
  row('clocks.maxVideoClockMegahertz', 'max_clocks/video_clock', 'Max Clocks/Video', values.megahertz),
  row(
    'clocks.applicationGraphicsClockMegahertz',
    'applications_clocks/graphics_clock',
    'Applications Clocks/Graphics',
    values.megahertz,
  ),
  row(
    'clocks.applicationMemoryClockMegahertz',
    'applications_clocks/mem_clock',
    'Applications Clocks/Memory',
    values.megahertz,
  ),
  row(
    'clocks.defaultApplicationGraphicsClockMegahertz',
    'default_applications_clocks/graphics_clock',
    'Default Applications Clocks/Graphics',
    values.megahertz,
  ),
  row(
    'clocks.defaultApplicationMemoryClockMegahertz',
    'default_applications_clocks/mem_clock',
    'Default Applications Clocks/Memory',
    values.megahertz,
  ),
  row(
    'clocks.maxBoostGraphicsClockMegahertz',
    'max_customer_boost_clocks/graphics_clock',
    'Max Customer Boost Clocks/Graphics',
    values.megahertz,
  ),
  row('clocks.performanceState', 'performance_state', 'Performance State', values.performanceState),

  row(
    'violations.powerMicroseconds',
    'clocks_event_reasons_counters/clocks_event_reasons_counters_sw_power_cap',
    'Clocks Event Reasons Counters/SW Power Capping',
    values.microseconds,
  ),
  row(
    'violations.syncBoostMicroseconds',
    'clocks_event_reasons_counters/clocks_event_reasons_counters_sync_boost',
    'Clocks Event Reasons Counters/Sync Boost',
    values.microseconds,
  ),

  row('utilization.gpuPercent', 'utilization/gpu_util', 'Utilization/GPU', values.percent),
  row('utilization.memoryPercent', 'utilization/memory_util', 'Utilization/Memory', values.percent),
  row('utilization.encoderPercent', 'utilization/encoder_util', 'Utilization/Encoder', values.percent),
  row('utilization.decoderPercent', 'utilization/decoder_util', 'Utilization/Decoder', values.percent),
  row('utilization.jpegPercent', 'utilization/jpeg_util', 'Utilization/JPEG', values.percent),
  row('utilization.opticalFlowPercent', 'utilization/ofa_util', 'Utilization/OFA', values.percent),

  row('ecc.enabled', 'ecc_mode/current_ecc', 'ECC Mode/Current', values.flag),
  row('ecc.pendingEnabled', 'ecc_mode/pending_ecc', 'ECC Mode/Pending', values.flag),
  row(
    'ecc.sramCorrectableVolatileCount',
    'ecc_errors/volatile/sram_correctable',
    'ECC Errors/Volatile/SRAM Correctable',
    values.count,
  ),
  row(
    'ecc.sramCorrectableAggregateCount',
    'ecc_errors/aggregate/sram_correctable',
    'ECC Errors/Aggregate/SRAM Correctable',
    values.count,
  ),
  row(
    'ecc.sramThresholdExceeded',
    'ecc_errors/aggregate/sram_threshold_exceeded',
    'ECC Errors/Aggregate/SRAM Threshold Exceeded',
    values.flag,
  ),
  row('ecc.sramUncorrectableL2AggregateCount', sourcesXml('sram_l2'), sourcesText('SRAM L2'), values.count),
  row('ecc.sramUncorrectableSmAggregateCount', sourcesXml('sram_sm'), sourcesText('SRAM SM'), values.count),
  row(
    'ecc.sramUncorrectablePcieAggregateCount',
    sourcesXml('sram_pcie'),
    sourcesText('SRAM PCIE'),
    values.count,
  ),
  row(
    'ecc.sramUncorrectableMicrocontrollerAggregateCount',
    sourcesXml('sram_microcontroller'),
    sourcesText('SRAM Microcontroller'),
    values.count,
  ),
  row(
    'ecc.sramUncorrectableOtherAggregateCount',
    sourcesXml('sram_other'),
    sourcesText('SRAM Other'),
    values.count,
  ),

  row(
    'rowRemap.correctableRowCount',
    'remapped_rows/remapped_row_corr',
    'Remapped Rows/Correctable Error',
    values.count,
  ),
  row(
    'rowRemap.uncorrectableRowCount',
    'remapped_rows/remapped_row_unc',
    'Remapped Rows/Uncorrectable Error',
    values.count,
  ),
  row('rowRemap.pending', 'remapped_rows/remapped_row_pending', 'Remapped Rows/Pending', values.flag),
  row(
    'rowRemap.failureOccurred',
    'remapped_rows/remapped_row_failure',
    'Remapped Rows/Remapping Failure Occurred',
    values.flag,
  ),
  row(
    'rowRemap.retiredPagesPending',
    ['retired_pages/pending_retirement', 'retired_pages/pending_blacklist'],
    ['Retired Pages/Pending Page Blacklist', 'Retired Pages/Pending'],
    values.flag,
  ),
  row(
    'rowRemap.singleBitRetiredPageCount',
    'retired_pages/multiple_single_bit_retirement/retired_count',
    'Retired Pages/Single Bit ECC',
    values.count,
  ),
  row(
    'rowRemap.doubleBitRetiredPageCount',
    'retired_pages/double_bit_retirement/retired_count',
    'Retired Pages/Double Bit ECC',
    values.count,
  ),
  row(
    'rowRemap.channelRepairPending',
    'ecc_errors/channel_repair_pending',
    'ECC Errors/Channel Repair Pending',
    values.flag,
  ),
  row(
    'rowRemap.tpcRepairPending',
    'ecc_errors/tpc_repair_pending',
    'ECC Errors/TPC Repair Pending',
    values.flag,
  ),
  row(
    'rowRemap.memoryUnrepairable',
    'ecc_errors/unrepairable_memory',
    'ECC Errors/Unrepairable Memory',
    values.flag,
  ),

  row(
    'pcie.currentGeneration',
    linkXml('pcie_gen/current_link_gen'),
    linkText('PCIe Generation/Current'),
    values.count,
  ),
  row('pcie.maxGeneration', linkXml('pcie_gen/max_link_gen'), linkText('PCIe Generation/Max'), values.count),
  row(
    'pcie.deviceMaxGeneration',
    linkXml('pcie_gen/max_device_link_gen'),
    linkText('PCIe Generation/Device Max'),
    values.count,
  ),
  row(
    'pcie.currentLinkWidthLanes',
    linkXml('link_widths/current_link_width'),
    linkText('Link Width/Current'),
    values.lanes,
  ),
  row(
    'pcie.maxLinkWidthLanes',
    linkXml('link_widths/max_link_width'),
    linkText('Link Width/Max'),
    values.lanes,
  ),
  row('pcie.replayCount', 'pci/replay_counter', 'PCI/Replays Since Reset', values.count),
  row('pcie.replayRolloverCount', 'pci/replay_rollover_counter', 'PCI/Replay Number Rollovers', values.count),
  row(
    'pcieTraffic.transmitKilobytesPerSecond',
    'pci/tx_util',
    'PCI/Tx Throughput',
    values.kilobytesPerSecond,
  ),
  row('pcieTraffic.receiveKilobytesPerSecond', 'pci/rx_util', 'PCI/Rx Throughput', values.kilobytesPerSecond),

  row('fabric.state', 'fabric/state', 'Fabric/State', values.fabricState, true),
  row('fabric.status', 'fabric/status', 'Fabric/Status', values.fabricStatus, true),
  row('fabric.clusterUuid', 'fabric/clusteruuid', 'Fabric/ClusterUUID', values.clusterUuid),
  row('fabric.cliqueId', 'fabric/cliqueid', 'Fabric/CliqueId', values.count),
  row('fabric.degradedBandwidth', 'fabric/health/bandwidth', 'Fabric/Health/Bandwidth', values.degraded),
  row(
    'fabric.routeRecovery',
    'fabric/health/route_recovery_in_progress',
    'Fabric/Health/Route Recovery in progress',
    values.flag,
  ),
  row('fabric.routeUnhealthy', 'fabric/health/route_unhealthy', 'Fabric/Health/Route Unhealthy', values.flag),
  row(
    'fabric.accessTimeoutRecovery',
    'fabric/health/access_timeout_recovery',
    'Fabric/Health/Access Timeout Recovery',
    values.flag,
  ),
  row(
    'fabric.misconfiguration',
    'fabric/health/incorrect_configuration',
    'Fabric/Health/Incorrect Configuration',
    values.fabricMisconfiguration,
  ),
  row(
    'fabric.healthSummary',
    'fabric/health/summary',
    'Fabric/Health/Summary',
    values.fabricHealthSummary,
    true,
  ),

  row('mig.enabled', 'mig_mode/current_mig', 'MIG Mode/Current', values.flag),
  row('mig.pendingEnabled', 'mig_mode/pending_mig', 'MIG Mode/Pending', values.flag),
  row('processes.accountingEnabled', 'accounting_mode', 'Accounting Mode', values.flag),
  row('recovery.action', 'gpu_recovery_action', 'GPU Recovery Action', values.recoveryAction),
] as const satisfies readonly Field[];

/** Groups that are read elsewhere than in the table, and those that no reading of ours needs: known, so not worth a word. */
export const otherGroups: ReadonlySet<string> = new Set(
  [
    // XML
    'clocks_event_reasons',
    'clocks_throttle_reasons',
    'mig_devices',
    'processes',
    'accounted_processes',
    'gpu_reset_status',
    'display_mode',
    'display_attached',
    'display_active',
    'accounting_mode_buffer_size',
    'driver_model',
    'pdi',
    'gpu_part_number',
    'gpu_fru_part_number',
    'inforom_bbx_flush',
    'inforom_time_data',
    'gpu_operation_mode',
    'c2c_mode',
    'ibmnpu',
    'sparse_operation_mode',
    'encoder_stats',
    'fbc_stats',
    'dram_encryption_mode',
    'cc_protected_memory_usage',
    'supported_gpu_target_temp',
    'gpu_memory_power_readings',
    'module_power_readings',
    'power_smoothing',
    'power_profiles',
    'edpp_multiplier',
    'deferred_clocks',
    'clock_policy',
    'voltage',
    'supported_clocks',
    'capabilities',
    'vgpu_device_capability',
    'nvlink',
    // Text
    'Clocks Event Reasons',
    'Clocks Throttle Reasons',
    'MIG Device',
    'MIG Devices',
    'GPU Reset Status',
    'Display Mode',
    'Display Attached',
    'Display Active',
    'Accounting Mode Buffer Size',
    'Driver Model',
    'GPU PDI',
    'FRU Part Number',
    'GPU FRU Part Number',
    'Inforom BBX Object Flush',
    'Inforom Time Data',
    'GPU Operation Mode',
    'GPU C2C Mode',
    'Sparse Operation Mode',
    'Encoder Stats',
    'FBC Stats',
    'DRAM Encryption Mode',
    'Conf Compute Protected Memory Usage',
    'Supported GPU Target Temp',
    'GPU Memory Power Readings',
    'Module Power Readings',
    'Power Smoothing',
    'Workload Power Profiles',
    'EDPp Multiplier',
    'Deferred Clocks',
    'Clock Policy',
    'Voltage',
    'Supported Clocks',
    'Process ID',
    'Power Samples',
    'Memory Samples',
    'GPU Utilization Samples',
    'Memory Utilization Samples',
    'ENC Utilization Samples',
    'DEC Utilization Samples',
    'SM Clock Samples',
    'Memory Clock Samples',
    'GPU Target Temperature',
  ].map((name) => name.toLowerCase()),
);
