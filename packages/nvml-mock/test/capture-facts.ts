import { readFileSync } from 'node:fs';

/** What a capture says of a board, read straight from the text that the vendor's tool printed. `null` is its N/A. */
export interface CaptureFacts {
  readonly source: string;
  readonly name: string;
  readonly architecture: string;
  readonly driverVersion: string;
  readonly cudaVersion: string;
  readonly vbiosVersion: string;
  readonly boardPartNumber: string;
  readonly inforomVersion: string;
  readonly inforomObjects: readonly (string | undefined)[];
  readonly brand: string;
  readonly pciDeviceId: string;
  readonly moduleId: number | null;
  readonly hostId: number | null;
  readonly addressingMode: string | null;
  readonly accountingEnabled: boolean;
  readonly bar1Mebibytes: number | null;
  readonly maxVideoMegahertz: number | null;
  readonly applicationMegahertz: readonly (number | null)[];
  readonly remapBankCount: number | null;
  readonly tellsPendingRepairs: boolean;
  readonly tellsUnrepairableMemory: boolean;
  /** State, status and what of the health is told. */
  readonly fabric: readonly (string | null)[];
  readonly totalMebibytes: number | null;
  readonly reservedMebibytes: number | null;
  readonly powerWatts: readonly (number | null)[];
  readonly maxSmMegahertz: number | null;
  readonly maxMemoryMegahertz: number | null;
  readonly pcie: readonly (number | null)[];
  /** Limits as temperatures: slowdown, shutdown, highest operating, memory. */
  readonly thresholdsCelsius: readonly (number | null)[];
  /** T.Limit: temperature + margin, slowdown margin, shutdown margin. */
  readonly marginsCelsius: readonly (number | null)[];
  readonly memoryTemperature: number | null;
  readonly fanSpeed: number | null;
  readonly tellsMig: boolean;
  readonly tellsRecoveryAction: boolean;
  readonly retiresPages: boolean;
}

const numberOf = (text: string | undefined) => {
  const match = /^-?\d+(?:\.\d+)?/.exec(text ?? '');
  return match ? Number(match[0]) : null;
};
const sum = (one: number | null, other: number | null) =>
  one === null || other === null ? null : one + other;
const told = (text: string | undefined) => text !== undefined && text !== 'N/A';

function assemble(source: string, value: (xml: string, text: string) => string | undefined): CaptureFacts {
  const number = (xml: string, text: string) => numberOf(value(xml, text));
  const temperature = number('gpu_temp', 'Temperature/GPU Current Temp');
  const textOf = (xml: string, text: string) => {
    const found = value(xml, text);
    return told(found) && found !== undefined ? found : null;
  };
  return {
    source,
    name: value('product_name', 'Product Name') ?? '',
    architecture: value('product_architecture', 'Product Architecture') ?? '',
    driverVersion: value('driver_version', 'Driver Version') ?? '',
    cudaVersion: value('cuda_version', 'CUDA Version') ?? '',
    vbiosVersion: value('vbios_version', 'VBIOS Version') ?? '',
    // Version 11 of the XML format had one part number, the board's.
    boardPartNumber: value('board_part_number', 'Board Part Number') ?? value('gpu_part_number', '') ?? '',
    inforomVersion: value('img_version', 'Inforom Version/Image Version') ?? '',
    inforomObjects: [
      value('oem_object', 'Inforom Version/OEM Object'),
      value('ecc_object', 'Inforom Version/ECC Object'),
    ],
    brand: (value('product_brand', 'Product Brand') ?? '').toLowerCase(),
    // Device and vendor in one number, in either spelling: 0x233010DE, 290110DE.
    pciDeviceId: (value('pci_device_id', 'PCI/Device Id') ?? '').replace(/^0x/, '').slice(0, 4).toLowerCase(),
    moduleId: number('module_id', 'Platform Info/Module Id') ?? number('gpu_module_id', ''),
    hostId: number('host_id', 'Platform Info/Host ID'),
    addressingMode: textOf('addressing_mode', 'Addressing Mode')?.toLowerCase() ?? null,
    accountingEnabled: value('accounting_mode', 'Accounting Mode') === 'Enabled',
    bar1Mebibytes: number('bar1_memory_usage/total', 'BAR1 Memory Usage/Total'),
    maxVideoMegahertz: number('max_clocks/video_clock', 'Max Clocks/Video'),
    applicationMegahertz: [
      number('applications_clocks/graphics_clock', 'Applications Clocks/Graphics'),
      number('applications_clocks/mem_clock', 'Applications Clocks/Memory'),
    ],
    remapBankCount: number(
      'row_remapper_histogram_max',
      'Remapped Rows/Bank Remap Availability Histogram/Max',
    ),
    tellsPendingRepairs: told(value('channel_repair_pending', 'ECC Errors/Channel Repair Pending')),
    tellsUnrepairableMemory: told(value('unrepairable_memory', 'ECC Errors/Unrepairable Memory')),
    fabric: [
      textOf('fabric/state', 'Fabric/State'),
      textOf('fabric/status', 'Fabric/Status'),
      textOf('health/summary', 'Fabric/Health/Summary'),
      textOf('access_timeout_recovery', 'Fabric/Health/Access Timeout Recovery'),
    ],
    totalMebibytes: number('total', 'FB Memory Usage/Total'),
    reservedMebibytes: number('reserved', 'FB Memory Usage/Reserved'),
    powerWatts: [
      number('default_power_limit', 'GPU Power Readings/Default Power Limit'),
      number('min_power_limit', 'GPU Power Readings/Min Power Limit'),
      number('max_power_limit', 'GPU Power Readings/Max Power Limit'),
    ],
    maxSmMegahertz: number('sm_clock', 'Max Clocks/SM'),
    maxMemoryMegahertz: number('mem_clock', 'Max Clocks/Memory'),
    pcie: [
      number('max_link_gen', 'PCI/GPU Link Info/PCIe Generation/Max'),
      number('max_link_width', 'PCI/GPU Link Info/Link Width/Max'),
    ],
    thresholdsCelsius: [
      number('gpu_temp_slow_threshold', ''),
      number('gpu_temp_max_threshold', ''),
      number('gpu_temp_max_gpu_threshold', ''),
      number('gpu_temp_max_mem_threshold', ''),
    ],
    marginsCelsius: [
      sum(temperature, number('gpu_temp_tlimit', 'Temperature/GPU T.Limit Temp')),
      number('gpu_temp_slow_tlimit_threshold', 'Temperature/GPU Slowdown T.Limit Temp'),
      number('gpu_temp_max_tlimit_threshold', 'Temperature/GPU Shutdown T.Limit Temp'),
    ],
    memoryTemperature: number('memory_temp', 'Temperature/Memory Current Temp'),
    fanSpeed: number('fan_speed', 'Fan Speed'),
    tellsMig: told(value('current_mig', 'MIG Mode/Current')),
    tellsRecoveryAction: told(value('gpu_recovery_action', 'GPU Recovery Action')),
    retiresPages: told(value('retired_count', 'Retired Pages/Single Bit ECC')),
  };
}

/** Reads an excerpt of `nvidia-smi -q` (text) or `nvidia-smi -q -x`. */
export function readCaptureFacts(file: string): CaptureFacts {
  const content = readFileSync(new URL(`../fixtures/${file}`, import.meta.url), 'utf8');
  const source = /Source: (.*?)(?: -->)?$/m.exec(content)?.[1] ?? '';
  if (file.endsWith('.xml')) {
    return assemble(source, (path) => {
      const tags = path.split('/');
      const tag = tags.at(-1);
      const inside = tags.slice(0, -1).map((outer) => `<${outer}>[^]*?`);
      return new RegExp(`${inside.join('')}<${tag}>([^<]*)</${tag}>`).exec(content)?.[1]?.trim();
    });
  }
  const values = new Map<string, string>();
  const path: { indent: number; key: string }[] = [];
  for (const line of content.split('\n')) {
    const match = /^( *)([^:]+?)\s*(?:: (.*))?$/.exec(line);
    if (!match || line.startsWith('#')) continue;
    const [, spaces = '', key = '', value] = match;
    while ((path.at(-1)?.indent ?? -1) >= spaces.length) path.pop();
    if (value !== undefined) values.set([...path.map((part) => part.key), key].join('/'), value.trim());
    else path.push({ indent: spaces.length, key });
  }
  // The sections nest under the GPU or stand alone, depending on what was left out.
  return assemble(source, (_, key) => values.get(key));
}
