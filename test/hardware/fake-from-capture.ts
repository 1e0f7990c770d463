import { h100, type NodeConfig, type Values } from '../../packages/nvml/test/fake/rig.ts';
import { firstTextAt, isAbsent, parseQuery, textAt } from './smi-output.js';

/**
 * What a driver must have answered for nvidia-smi to print this, in NVML's own units and numbers. Written from nvml.h and not from our
 * decoders, so that the comparison has two independent readings of the header to compare.
 */

type Tree = Readonly<Record<string, unknown>>;
type Decode = (text: string) => number | string;

const whole: Decode = (text) => Number.parseInt(text, 10);
const text: Decode = String;
const thousandfold: Decode = (value) => Math.round(Number.parseFloat(value) * 1000);
const mebibytes: Decode = (value) => Number.parseInt(value, 10) * 1024 ** 2;
const enabled: Decode = (value) => (value === 'Enabled' || value === 'Yes' || value === 'True' ? 1 : 0);
const oneOf =
  (table: Readonly<Record<string, number>>): Decode =>
  (value) => {
    const number = table[value];
    if (number === undefined) throw new Error(`no NVML number is known for ${JSON.stringify(value)}`);
    return number;
  };
const field =
  (type: string, decode: Decode = whole): Decode =>
  (value) =>
    `${type} ${decode(value)}`;

/** Key of the fake library, element of the capture (or the names it has had), and how one becomes the other. Numbers: nvml.h 13.3. */
const entries: readonly (readonly [key: string, path: string | readonly string[], decode: Decode])[] = [
  ['name', 'product_name', text],
  ['uuid', 'uuid', text],
  ['serial', 'serial', text],
  ['part', ['board_part_number', 'gpu_part_number'], text],
  ['board.id', 'board_id', (value) => Number.parseInt(value, 16)],
  ['board.multi', 'multigpu_board', enabled],
  ['module', ['platformInfo.module_id', 'gpu_module_id'], whole],
  [
    'brand',
    'product_brand',
    oneOf({ Quadro: 1, Tesla: 2, GeForce: 5, Titan: 6, 'NVIDIA RTX': 13, NVIDIA: 14, 'GeForce RTX': 15 }),
  ],
  [
    'arch',
    'product_architecture',
    oneOf({ Turing: 6, Ampere: 7, 'Ada Lovelace': 8, Hopper: 9, Blackwell: 10 }),
  ],
  ['vbios', 'vbios_version', text],
  ['inforom', 'inforom_version.img_version', text],
  ['inforom.0', 'inforom_version.oem_object', text],
  ['inforom.1', 'inforom_version.ecc_object', text],
  ['inforom.2', 'inforom_version.pwr_object', text],
  ['minor', 'minor_number', whole],
  ['persistence', 'persistence_mode', enabled],
  [
    'computemode',
    'compute_mode',
    oneOf({ Default: 0, Exclusive_Thread: 1, Prohibited: 2, Exclusive_Process: 3 }),
  ],
  [
    'virtualization',
    'gpu_virtualization_mode.virtualization_mode',
    oneOf({ None: 0, 'Pass-Through': 1, VGPU: 2, 'Host VGPU': 3, 'Host VSGA': 4 }),
  ],
  ['addressing', 'addressing_mode', oneOf({ None: 0, HMM: 1, ATS: 2 })],
  ['gsp.version', 'gsp_firmware_version', text],
  ['mem.total', 'fb_memory_usage.total', mebibytes],
  ['mem.reserved', 'fb_memory_usage.reserved', mebibytes],
  ['mem.used', 'fb_memory_usage.used', mebibytes],
  ['mem.free', 'fb_memory_usage.free', mebibytes],
  ['bar1.total', 'bar1_memory_usage.total', mebibytes],
  ['bar1.used', 'bar1_memory_usage.used', mebibytes],
  ['bar1.free', 'bar1_memory_usage.free', mebibytes],
  ['temp.0', 'temperature.gpu_temp', whole],
  ['field.82', 'temperature.memory_temp', field('uint')],
  ['margin', 'temperature.gpu_temp_tlimit', whole],
  ['threshold.0', 'temperature.gpu_temp_max_threshold', whole],
  ['threshold.1', 'temperature.gpu_temp_slow_threshold', whole],
  ['threshold.2', 'temperature.gpu_temp_max_mem_threshold', whole],
  ['threshold.3', 'temperature.gpu_temp_max_gpu_threshold', whole],
  ['field.193', 'temperature.gpu_temp_max_tlimit_threshold', field('sint')],
  ['field.194', 'temperature.gpu_temp_slow_tlimit_threshold', field('sint')],
  ['field.195', 'temperature.gpu_temp_max_mem_tlimit_threshold', field('sint')],
  ['field.196', 'temperature.gpu_temp_max_gpu_tlimit_threshold', field('sint')],
  ['fan.0', 'fan_speed', whole],
  [
    'power',
    ['gpu_power_readings.power_draw', 'power_readings.power_draw', 'gpu_power_readings.average_power_draw'],
    thousandfold,
  ],
  ['field.185', 'gpu_power_readings.average_power_draw', field('uint', thousandfold)],
  ['field.186', 'gpu_power_readings.instant_power_draw', field('uint', thousandfold)],
  [
    'power.enforced',
    ['gpu_power_readings.current_power_limit', 'power_readings.enforced_power_limit'],
    thousandfold,
  ],
  [
    'power.requested',
    ['gpu_power_readings.requested_power_limit', 'power_readings.power_limit'],
    thousandfold,
  ],
  [
    'power.default',
    ['gpu_power_readings.default_power_limit', 'power_readings.default_power_limit'],
    thousandfold,
  ],
  ['power.min', ['gpu_power_readings.min_power_limit', 'power_readings.min_power_limit'], thousandfold],
  ['power.max', ['gpu_power_readings.max_power_limit', 'power_readings.max_power_limit'], thousandfold],
  ...(['graphics', 'sm', 'mem', 'video'] as const).flatMap((clock, number) => [
    [`clock.${number}`, `clocks.${clock}_clock`, whole] as const,
    [`maxclock.${number}`, `max_clocks.${clock}_clock`, whole] as const,
    [`appclock.${number}`, `applications_clocks.${clock}_clock`, whole] as const,
    [`clockid.${number}.1`, `applications_clocks.${clock}_clock`, whole] as const,
    [`defaultclock.${number}`, `default_applications_clocks.${clock}_clock`, whole] as const,
    [`clockid.${number}.2`, `default_applications_clocks.${clock}_clock`, whole] as const,
    [`boostclock.${number}`, `max_customer_boost_clocks.${clock}_clock`, whole] as const,
    [`clockid.${number}.3`, `max_customer_boost_clocks.${clock}_clock`, whole] as const,
  ]),
  ['pstate', 'performance_state', (value) => Number(value.slice(1))],
  ['util.gpu', 'utilization.gpu_util', whole],
  ['util.mem', 'utilization.memory_util', whole],
  ['util.enc', 'utilization.encoder_util', whole],
  ['util.dec', 'utilization.decoder_util', whole],
  ['util.jpg', 'utilization.jpeg_util', whole],
  ['util.ofa', 'utilization.ofa_util', whole],
  ...(
    [
      [74, 'sw_power_cap'],
      [76, 'sync_boost'],
    ] as const
  ).map(
    ([id, counter]) =>
      [
        `field.${id}`,
        `clocks_event_reasons_counters.clocks_event_reasons_counters_${counter}`,
        field('ull', (value) => Number.parseInt(value, 10) * 1000),
      ] as const,
  ),
  ['ecc.current', 'ecc_mode.current_ecc', enabled],
  ['ecc.pending', 'ecc_mode.pending_ecc', enabled],
  ...(['volatile', 'aggregate'] as const).flatMap((span, counter) => {
    const short = span === 'volatile' ? 'vol' : 'agg';
    return [
      [`ecc.at.0.${counter}.7`, `ecc_errors.${span}.sram_correctable`, whole] as const,
      [`ecc.at.1.${counter}.7`, `ecc_errors.${span}.sram_uncorrectable`, whole] as const,
      [`sram.${short}.cor`, `ecc_errors.${span}.sram_correctable`, whole] as const,
      [`sram.${short}.parity`, `ecc_errors.${span}.sram_uncorrectable_parity`, whole] as const,
      [`sram.${short}.secded`, `ecc_errors.${span}.sram_uncorrectable_secded`, whole] as const,
      [`ecc.at.0.${counter}.2`, `ecc_errors.${span}.dram_correctable`, whole] as const,
      [`ecc.at.1.${counter}.2`, `ecc_errors.${span}.dram_uncorrectable`, whole] as const,
    ];
  }),
  ['sram.exceeded', 'ecc_errors.aggregate.sram_threshold_exceeded', enabled],
  ['sram.l2', 'ecc_errors.aggregate_uncorrectable_sram_sources.sram_l2', whole],
  ['sram.sm', 'ecc_errors.aggregate_uncorrectable_sram_sources.sram_sm', whole],
  ['sram.pcie', 'ecc_errors.aggregate_uncorrectable_sram_sources.sram_pcie', whole],
  ['sram.mcu', 'ecc_errors.aggregate_uncorrectable_sram_sources.sram_microcontroller', whole],
  ['sram.other', 'ecc_errors.aggregate_uncorrectable_sram_sources.sram_other', whole],
  ['rows.corr', 'remapped_rows.remapped_row_corr', whole],
  ['rows.unc', 'remapped_rows.remapped_row_unc', whole],
  ['rows.pending', 'remapped_rows.remapped_row_pending', enabled],
  ['rows.failure', 'remapped_rows.remapped_row_failure', enabled],
  ['repair.channel', 'ecc_errors.channel_repair_pending', enabled],
  ['repair.tpc', 'ecc_errors.tpc_repair_pending', enabled],
  ['retired.0', 'retired_pages.multiple_single_bit_retirement.retired_count', whole],
  ['retired.1', 'retired_pages.double_bit_retirement.retired_count', whole],
  ['retired.pending', ['retired_pages.pending_retirement', 'retired_pages.pending_blacklist'], enabled],
  ['pcie.gen', 'pci.pci_gpu_link_info.pcie_gen.current_link_gen', whole],
  ['pcie.maxgen', 'pci.pci_gpu_link_info.pcie_gen.max_link_gen', whole],
  ['pcie.devicegen', 'pci.pci_gpu_link_info.pcie_gen.max_device_link_gen', whole],
  ['pcie.width', 'pci.pci_gpu_link_info.link_widths.current_link_width', whole],
  ['pcie.maxwidth', 'pci.pci_gpu_link_info.link_widths.max_link_width', whole],
  ['pcie.replay', 'pci.replay_counter', whole],
  ['field.94', 'pci.replay_counter', field('uint')],
  ['field.95', 'pci.replay_rollover_counter', field('uint')],
  ['pcie.throughput.0', 'pci.tx_util', whole],
  ['pcie.throughput.1', 'pci.rx_util', whole],
  ['mig.current', 'mig_mode.current_mig', enabled],
  ['mig.pending', 'mig_mode.pending_mig', enabled],
  ['accounting.mode', 'accounting_mode', enabled],
  ['accounting.buffer', 'accounting_mode_buffer_size', whole],
  [
    'field.230',
    'gpu_recovery_action',
    field('uint', oneOf({ None: 0, Reset: 1, Reboot: 2, 'Drain P2P': 3, 'Drain and Reset': 4 })),
  ],
  [
    'fabric.state',
    'fabric.state',
    oneOf({ 'Not Supported': 0, 'Not Started': 1, 'In Progress': 2, Completed: 3 }),
  ],
  ['fabric.status', 'fabric.status', oneOf({ Success: 0 })],
  ['fabric.clique', 'fabric.cliqueId', whole],
  ['fabric.uuid', 'fabric.clusterUuid', (value) => value.replaceAll('-', '')],
  ['fabric.summary', 'fabric.health.summary', oneOf({ Healthy: 1, Unhealthy: 2, 'Limited Capacity': 3 })],
];

/** nvmlClocksEventReason* bits. */
const reasonBits = {
  gpu_idle: 0x1,
  applications_clocks_setting: 0x2,
  sw_power_cap: 0x4,
  hw_slowdown: 0x8,
  sync_boost: 0x10,
  sw_thermal_slowdown: 0x20,
  hw_thermal_slowdown: 0x40,
  hw_power_brake_slowdown: 0x80,
  display_clocks_setting: 0x100,
} as const;

function reasonsOf(gpu: Tree): number | null {
  const isNew = gpu['clocks_event_reasons'] !== undefined;
  const [list, prefix] = isNew
    ? ['clocks_event_reasons', 'clocks_event_reason_']
    : ['clocks_throttle_reasons', 'clocks_throttle_reason_'];
  if (gpu[list] === undefined) return null;
  return Object.entries(reasonBits).reduce(
    (mask, [name, bit]) => (textAt(gpu, `${list}.${prefix}${name}`) === 'Active' ? mask | bit : mask),
    0,
  );
}

/** NVML_GPU_FABRIC_HEALTH_MASK_*: two bits each, 1 true, 2 false, 0 not reported. */
function fabricMaskOf(gpu: Tree): number {
  const parts = ['bandwidth', 'route_recovery_in_progress', 'route_unhealthy', 'access_timeout_recovery'];
  const yes = new Set(['True', 'Degraded']);
  return parts.reduce((mask, part, position) => {
    const value = textAt(gpu, `fabric.health.${part}`);
    if (value === undefined || isAbsent(value)) return mask;
    return mask | ((yes.has(value) ? 1 : 2) << (2 * position));
  }, 0);
}

function histogramOf(gpu: Tree): string | null {
  const banks = ['max', 'high', 'partial', 'low', 'none'].map((name) =>
    textAt(gpu, `remapped_rows.row_remapper_histogram.row_remapper_histogram_${name}`),
  );
  return banks.some((value) => value === undefined || isAbsent(value))
    ? null
    : banks.map((value) => whole(value ?? '')).join(' ');
}

/** The struct's bytes; one that has no value is 255. */
function platformOf(gpu: Tree): string | null {
  if (gpu['platformInfo'] === undefined) return null;
  const byte = (name: string) => {
    const value = textAt(gpu, `platformInfo.${name}`);
    return value === undefined || isAbsent(value) ? 255 : whole(value);
  };
  const bytes = ['slot_number', 'tray_index', 'host_id', 'module_id'].map(byte);
  return [...bytes, textAt(gpu, 'platformInfo.chassis_serial_number') ?? ''].join(' ');
}

function valuesOf(gpu: Tree, index: number): Values {
  // Nothing of the H100 that the rig would fill in: what the capture does not print, this driver does not have.
  const nothing = Object.fromEntries(Object.keys(h100(index)).map((key) => [key, null]));
  const printed = entries.flatMap(([key, path, decode]) => {
    const value = firstTextAt(gpu, path);
    return value === undefined || isAbsent(value) ? [] : [[key, decode(value)] as const];
  });
  return {
    ...nothing,
    ...Object.fromEntries(printed),
    platform: platformOf(gpu),
    bus: textAt(gpu, 'pci.pci_bus_id') ?? null,
    reasons: reasonsOf(gpu),
    'fabric.mask': fabricMaskOf(gpu),
    'rows.histogram': histogramOf(gpu),
    'process.compute': 'none',
    'process.graphics': 'none',
    'util.period': 167_000,
  };
}

/** The fake node behind a capture of `nvidia-smi -q -x`. */
export function nodeOfCapture(capture: string): NodeConfig {
  const { node, gpus } = parseQuery(capture);
  const [major = 0, minor = 0] = (textAt(node, 'cuda_version') ?? '').split('.').map(Number);
  return {
    sys: { driver: textAt(node, 'driver_version') ?? null, cuda: major * 1000 + minor * 10 },
    gpus: gpus.map(valuesOf),
  };
}
