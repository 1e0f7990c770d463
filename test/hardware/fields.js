// Which element of `nvidia-smi -q -x` says what which of our readings says, and how the two are spelt.

/** Decoders: nvidia-smi's text to the value our reading would have. */
const number = (text) => Number.parseFloat(text);
const integer = (text) => Number.parseInt(text, 10);
const flag = (text) =>
  ({ Enabled: true, Disabled: false, Yes: true, No: false, True: true, False: false })[text];
const mebibytes = (text) => number(text) * 1024 ** 2;
const words = (table) => (text) => table[text] ?? text;
const lowerCase = (text) => text.toLowerCase();
const dashed = (text) => text.toLowerCase().replaceAll(' ', '-');

/** All zero is what is printed where there is no cluster. */
const clusterUuid = (text) => (/^[0-]+$/.test(text) ? null : lowerCase(text));

/**
 * `reading`: `section.leaf` of ours. `xml`: path, or the names it has had. `within`: how far apart two equal values may be printed (rounding).
 * `moves`: changes from one moment to the next, so a value outside our two readings is reported but is no difference.
 */
const row = (reading, xml, decode, more = {}) => ({ reading, xml, decode, within: 0, moves: false, ...more });
const moving = { moves: true };
const roundedMebibytes = { within: 1024 ** 2 };
const hundredth = { within: 0.006 };

export const fields = [
  row('identity.name', 'product_name', String),
  row('identity.uuid', 'uuid', String),
  row('identity.serial', 'serial', String),
  row('identity.boardPartNumber', ['board_part_number', 'gpu_part_number'], String),
  row('identity.boardId', 'board_id', lowerCase),
  row('identity.multiGpuBoard', 'multigpu_board', flag),
  row('identity.moduleId', ['platformInfo.module_id', 'gpu_module_id'], integer),
  row('identity.slotNumber', 'platformInfo.slot_number', integer),
  row('identity.trayIndex', 'platformInfo.tray_index', integer),
  row('identity.hostId', 'platformInfo.host_id', integer),
  row('identity.chassisSerial', 'platformInfo.chassis_serial_number', String),
  row('identity.brand', 'product_brand', dashed),
  row(
    'identity.architecture',
    'product_architecture',
    words({
      'Ada Lovelace': 'ada',
      ...Object.fromEntries(
        ['Kepler', 'Maxwell', 'Pascal', 'Volta', 'Turing', 'Ampere', 'Hopper', 'Blackwell', 'Rubin'].map(
          (name) => [name, name.toLowerCase()],
        ),
      ),
    }),
  ),
  row('identity.vbiosVersion', 'vbios_version', String),
  row('identity.inforomVersion', 'inforom_version.img_version', String),
  row('identity.inforomOemVersion', 'inforom_version.oem_object', String),
  row('identity.inforomEccVersion', 'inforom_version.ecc_object', String),
  row('identity.inforomPowerVersion', 'inforom_version.pwr_object', String),
  row('identity.minorNumber', 'minor_number', integer),
  row('identity.persistenceModeEnabled', 'persistence_mode', flag),
  row(
    'identity.computeMode',
    'compute_mode',
    words({
      Default: 'default',
      Prohibited: 'prohibited',
      Exclusive_Process: 'exclusive-process',
      Exclusive_Thread: 'exclusive-thread',
    }),
  ),
  row(
    'identity.virtualizationMode',
    'gpu_virtualization_mode.virtualization_mode',
    words({
      None: 'none',
      'Pass-Through': 'passthrough',
      VGPU: 'vgpu',
      'Host VGPU': 'host-vgpu',
      'Host VSGA': 'host-vsga',
    }),
  ),
  row('identity.addressingMode', 'addressing_mode', lowerCase),
  row('identity.gspFirmwareVersion', 'gsp_firmware_version', String),
  row('memory.totalBytes', 'fb_memory_usage.total', mebibytes, roundedMebibytes),
  row('memory.reservedBytes', 'fb_memory_usage.reserved', mebibytes, roundedMebibytes),
  row('memory.usedBytes', 'fb_memory_usage.used', mebibytes, { ...roundedMebibytes, ...moving }),
  row('memory.freeBytes', 'fb_memory_usage.free', mebibytes, { ...roundedMebibytes, ...moving }),
  row('memory.bar1TotalBytes', 'bar1_memory_usage.total', mebibytes, roundedMebibytes),
  row('memory.bar1UsedBytes', 'bar1_memory_usage.used', mebibytes, { ...roundedMebibytes, ...moving }),
  row('memory.bar1FreeBytes', 'bar1_memory_usage.free', mebibytes, { ...roundedMebibytes, ...moving }),
  row('thermal.temperatureCelsius', 'temperature.gpu_temp', integer, moving),
  row('thermal.memoryTemperatureCelsius', 'temperature.memory_temp', integer, moving),
  row('thermal.marginCelsius', 'temperature.gpu_temp_tlimit', integer, moving),
  row('thermal.shutdownThresholdCelsius', 'temperature.gpu_temp_max_threshold', integer),
  row('thermal.slowdownThresholdCelsius', 'temperature.gpu_temp_slow_threshold', integer),
  row('thermal.maxOperatingThresholdCelsius', 'temperature.gpu_temp_max_gpu_threshold', integer),
  row('thermal.memoryMaxThresholdCelsius', 'temperature.gpu_temp_max_mem_threshold', integer),
  row('thermal.shutdownMarginCelsius', 'temperature.gpu_temp_max_tlimit_threshold', integer),
  row('thermal.slowdownMarginCelsius', 'temperature.gpu_temp_slow_tlimit_threshold', integer),
  row('thermal.maxOperatingMarginCelsius', 'temperature.gpu_temp_max_gpu_tlimit_threshold', integer),
  row('thermal.memoryMaxMarginCelsius', 'temperature.gpu_temp_max_mem_tlimit_threshold', integer),
  row('thermal.fanSpeedPercent', 'fan_speed', integer, moving),
  row('power.averageDrawWatts', 'gpu_power_readings.average_power_draw', number, { ...hundredth, ...moving }),
  row('power.instantDrawWatts', 'gpu_power_readings.instant_power_draw', number, { ...hundredth, ...moving }),
  row('power.drawWatts', ['gpu_power_readings.power_draw', 'power_readings.power_draw'], number, {
    ...hundredth,
    ...moving,
  }),
  row(
    'power.enforcedLimitWatts',
    ['gpu_power_readings.current_power_limit', 'power_readings.enforced_power_limit'],
    number,
    hundredth,
  ),
  row(
    'power.requestedLimitWatts',
    ['gpu_power_readings.requested_power_limit', 'power_readings.power_limit'],
    number,
    hundredth,
  ),
  row(
    'power.defaultLimitWatts',
    ['gpu_power_readings.default_power_limit', 'power_readings.default_power_limit'],
    number,
    hundredth,
  ),
  row(
    'power.minLimitWatts',
    ['gpu_power_readings.min_power_limit', 'power_readings.min_power_limit'],
    number,
    hundredth,
  ),
  row(
    'power.maxLimitWatts',
    ['gpu_power_readings.max_power_limit', 'power_readings.max_power_limit'],
    number,
    hundredth,
  ),
  row('clocks.graphicsClockMegahertz', 'clocks.graphics_clock', integer, moving),
  row('clocks.smClockMegahertz', 'clocks.sm_clock', integer, moving),
  row('clocks.memoryClockMegahertz', 'clocks.mem_clock', integer, moving),
  row('clocks.videoClockMegahertz', 'clocks.video_clock', integer, moving),
  row('clocks.maxGraphicsClockMegahertz', 'max_clocks.graphics_clock', integer),
  row('clocks.maxSmClockMegahertz', 'max_clocks.sm_clock', integer),
  row('clocks.maxMemoryClockMegahertz', 'max_clocks.mem_clock', integer),
  row('clocks.maxVideoClockMegahertz', 'max_clocks.video_clock', integer),
  row('clocks.applicationGraphicsClockMegahertz', 'applications_clocks.graphics_clock', integer),
  row('clocks.applicationMemoryClockMegahertz', 'applications_clocks.mem_clock', integer),
  row(
    'clocks.defaultApplicationGraphicsClockMegahertz',
    'default_applications_clocks.graphics_clock',
    integer,
  ),
  row('clocks.defaultApplicationMemoryClockMegahertz', 'default_applications_clocks.mem_clock', integer),
  row('clocks.maxBoostGraphicsClockMegahertz', 'max_customer_boost_clocks.graphics_clock', integer),
  row('clocks.performanceState', 'performance_state', String, moving),
  row('utilization.gpuPercent', 'utilization.gpu_util', integer, moving),
  row('utilization.memoryPercent', 'utilization.memory_util', integer, moving),
  row('utilization.encoderPercent', 'utilization.encoder_util', integer, moving),
  row('utilization.decoderPercent', 'utilization.decoder_util', integer, moving),
  row('utilization.jpegPercent', 'utilization.jpeg_util', integer, moving),
  row('utilization.opticalFlowPercent', 'utilization.ofa_util', integer, moving),
  row(
    'violations.powerMicroseconds',
    'clocks_event_reasons_counters.clocks_event_reasons_counters_sw_power_cap',
    integer,
    moving,
  ),
  row(
    'violations.syncBoostMicroseconds',
    'clocks_event_reasons_counters.clocks_event_reasons_counters_sync_boost',
    integer,
    moving,
  ),
  row('ecc.enabled', 'ecc_mode.current_ecc', flag),
  row('ecc.pendingEnabled', 'ecc_mode.pending_ecc', flag),
  row('ecc.sramCorrectableVolatileCount', 'ecc_errors.volatile.sram_correctable', integer),
  row('ecc.sramCorrectableAggregateCount', 'ecc_errors.aggregate.sram_correctable', integer),
  row('ecc.sramThresholdExceeded', 'ecc_errors.aggregate.sram_threshold_exceeded', flag),
  row(
    'ecc.sramUncorrectableL2AggregateCount',
    'ecc_errors.aggregate_uncorrectable_sram_sources.sram_l2',
    integer,
  ),
  row(
    'ecc.sramUncorrectableSmAggregateCount',
    'ecc_errors.aggregate_uncorrectable_sram_sources.sram_sm',
    integer,
  ),
  row(
    'ecc.sramUncorrectablePcieAggregateCount',
    'ecc_errors.aggregate_uncorrectable_sram_sources.sram_pcie',
    integer,
  ),
  row(
    'ecc.sramUncorrectableMicrocontrollerAggregateCount',
    'ecc_errors.aggregate_uncorrectable_sram_sources.sram_microcontroller',
    integer,
  ),
  row(
    'ecc.sramUncorrectableOtherAggregateCount',
    'ecc_errors.aggregate_uncorrectable_sram_sources.sram_other',
    integer,
  ),
  row('rowRemap.correctableRowCount', 'remapped_rows.remapped_row_corr', integer),
  row('rowRemap.uncorrectableRowCount', 'remapped_rows.remapped_row_unc', integer),
  row('rowRemap.pending', 'remapped_rows.remapped_row_pending', flag),
  row('rowRemap.failureOccurred', 'remapped_rows.remapped_row_failure', flag),
  row(
    'rowRemap.histogram.maxBankCount',
    'remapped_rows.row_remapper_histogram.row_remapper_histogram_max',
    integer,
  ),
  row(
    'rowRemap.histogram.highBankCount',
    'remapped_rows.row_remapper_histogram.row_remapper_histogram_high',
    integer,
  ),
  row(
    'rowRemap.histogram.partialBankCount',
    'remapped_rows.row_remapper_histogram.row_remapper_histogram_partial',
    integer,
  ),
  row(
    'rowRemap.histogram.lowBankCount',
    'remapped_rows.row_remapper_histogram.row_remapper_histogram_low',
    integer,
  ),
  row(
    'rowRemap.histogram.noneBankCount',
    'remapped_rows.row_remapper_histogram.row_remapper_histogram_none',
    integer,
  ),
  row(
    'rowRemap.singleBitRetiredPageCount',
    'retired_pages.multiple_single_bit_retirement.retired_count',
    integer,
  ),
  row('rowRemap.doubleBitRetiredPageCount', 'retired_pages.double_bit_retirement.retired_count', integer),
  row(
    'rowRemap.retiredPagesPending',
    ['retired_pages.pending_retirement', 'retired_pages.pending_blacklist'],
    flag,
  ),
  row('rowRemap.channelRepairPending', 'ecc_errors.channel_repair_pending', flag),
  row('rowRemap.tpcRepairPending', 'ecc_errors.tpc_repair_pending', flag),
  row('pcie.currentGeneration', 'pci.pci_gpu_link_info.pcie_gen.current_link_gen', integer, moving),
  row('pcie.maxGeneration', 'pci.pci_gpu_link_info.pcie_gen.max_link_gen', integer),
  row('pcie.deviceMaxGeneration', 'pci.pci_gpu_link_info.pcie_gen.max_device_link_gen', integer),
  row('pcie.currentLinkWidthLanes', 'pci.pci_gpu_link_info.link_widths.current_link_width', integer),
  row('pcie.maxLinkWidthLanes', 'pci.pci_gpu_link_info.link_widths.max_link_width', integer),
  row('pcie.replayCount', 'pci.replay_counter', integer),
  row('pcie.replayRolloverCount', 'pci.replay_rollover_counter', integer),
  row('pcieTraffic.transmitKilobytesPerSecond', 'pci.tx_util', integer, moving),
  row('pcieTraffic.receiveKilobytesPerSecond', 'pci.rx_util', integer, moving),
  row(
    'fabric.state',
    'fabric.state',
    words({
      'Not Supported': 'not-supported',
      'Not Started': 'not-started',
      'In Progress': 'in-progress',
      Completed: 'completed',
    }),
  ),
  row('fabric.status', 'fabric.status', words({ Success: 'NVML_SUCCESS' })),
  row('fabric.clusterUuid', 'fabric.clusterUuid', clusterUuid),
  row('fabric.cliqueId', 'fabric.cliqueId', integer),
  row('fabric.healthSummary', 'fabric.health.summary', dashed),
  row(
    'fabric.degradedBandwidth',
    'fabric.health.bandwidth',
    words({ Degraded: true, Full: false, True: true, False: false }),
  ),
  row('fabric.routeRecovery', 'fabric.health.route_recovery_in_progress', flag),
  row('fabric.routeUnhealthy', 'fabric.health.route_unhealthy', flag),
  row('fabric.accessTimeoutRecovery', 'fabric.health.access_timeout_recovery', flag),
  row('mig.enabled', 'mig_mode.current_mig', flag),
  row('mig.pendingEnabled', 'mig_mode.pending_mig', flag),
  row('processes.accountingEnabled', 'accounting_mode', flag),
  row(
    'recovery.action',
    'gpu_recovery_action',
    words({
      None: 'none',
      Reset: 'reset',
      Reboot: 'reboot',
      'Drain P2P': 'drain-p2p',
      'Drain and Reset': 'drain-and-reset',
      'Recover IMEX Domain': 'recover-imex-domain',
    }),
  ),
];

/** Reasons that nvidia-smi lists one by one and we as a list. Older drivers call them throttle reasons. */
export const clockEventReasons = [
  ['idle', 'gpu_idle'],
  ['application-clocks', 'applications_clocks_setting'],
  ['software-power-cap', 'sw_power_cap'],
  ['hardware-slowdown', 'hw_slowdown'],
  ['hardware-thermal-slowdown', 'hw_thermal_slowdown'],
  ['hardware-power-brake', 'hw_power_brake_slowdown'],
  ['sync-boost', 'sync_boost'],
  ['software-thermal-slowdown', 'sw_thermal_slowdown'],
  ['display-clocks', 'display_clocks_setting'],
];

/** Columns of `--query-gpu` that the XML does not have. */
export const queryFields = [
  { reading: 'identity.computeCapability', column: 'compute_cap', decode: String },
  {
    reading: 'clocks.graphicsClockMegahertz',
    column: 'clocks.current.graphics',
    decode: integer,
    moves: true,
  },
  { reading: 'pcie.currentGeneration', column: 'pcie.link.gen.current', decode: integer, moves: true },
];
