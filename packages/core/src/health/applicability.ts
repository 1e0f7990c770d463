import type { GpuReading } from '../domain/gpu.ts';

/** Who a product is made for: what is expected of its settings differs. */
export type ProductLine = 'data-center' | 'workstation' | 'consumer' | 'unknown';
/** How it is built in. `sxm`: soldered to a baseboard. `superchip`: beside a Grace CPU on one module. */
export type FormFactor = 'sxm' | 'pcie' | 'superchip' | 'mobile' | 'unknown';

/** What is true of a product whatever its condition. */
export interface ProductFacts {
  readonly line: ProductLine;
  readonly formFactor: FormFactor;
  /** Whether NVLink switches, and so a fabric to register with, can belong to it. `unknown` for products that are not in the table. */
  readonly nvswitch: 'always' | 'possible' | 'never' | 'unknown';
  /** The CPU shares its address space by hardware (ATS). */
  readonly isCoherent: boolean;
  /** Sold with error correction switched on. */
  readonly hasEccOnByDefault: boolean;
  /** How bad memory is set aside; null where the product has neither, or is not known. */
  readonly memoryRepair: 'row-remap' | 'page-retirement' | null;
}

interface ProductRow extends Partial<Omit<ProductFacts, 'line' | 'formFactor'>> {
  /** Whole words of the product name, all of which must be there. */
  readonly words: readonly string[];
  readonly line: ProductLine;
  readonly formFactor: FormFactor;
}

const dataCenter = { line: 'data-center', hasEccOnByDefault: true, memoryRepair: 'row-remap' } as const;
const sxm = { ...dataCenter, formFactor: 'sxm' } as const;
const card = { ...dataCenter, formFactor: 'pcie', nvswitch: 'never' } as const;
const superchip = { ...dataCenter, formFactor: 'superchip', isCoherent: true } as const;
const retires = { memoryRepair: 'page-retirement' } as const;

/**
 * By whole words, so that a GH200 is not taken for an H200; the first row that fits counts. Source: NVIDIA product pages and data
 * sheets; the names are those that the driver prints. That PCIe cards and a GH200 by itself have no NVLink switch: leptonai/gpud PR#1147
 * and PR#1206. Page retirement before Ampere, row remapping since: NVIDIA GPU memory error management.
 */
const products: readonly ProductRow[] = [
  { words: ['GB200'], ...superchip, nvswitch: 'always' },
  { words: ['GB300'], ...superchip, nvswitch: 'always' },
  { words: ['GB10'], line: 'workstation', formFactor: 'superchip', nvswitch: 'never', isCoherent: true },
  { words: ['GH200'], ...superchip, nvswitch: 'never' },
  { words: ['B300'], ...sxm, nvswitch: 'always' },
  { words: ['B200'], ...sxm, nvswitch: 'always' },
  { words: ['B100'], ...sxm, nvswitch: 'always' },
  { words: ['H200', 'NVL'], ...card },
  { words: ['H200'], ...sxm, nvswitch: 'possible' },
  { words: ['H100', 'NVL'], ...card },
  { words: ['H100', 'PCIE'], ...card },
  { words: ['H100'], ...sxm, nvswitch: 'possible' },
  { words: ['H800', 'PCIE'], ...card },
  { words: ['H800'], ...sxm, nvswitch: 'possible' },
  { words: ['H20'], ...sxm, nvswitch: 'possible' },
  { words: ['A100', 'PCIE'], ...card },
  { words: ['A100', 'SXM4'], ...sxm, nvswitch: 'possible' },
  { words: ['A100X'], ...card },
  { words: ['A800', 'PCIE'], ...card },
  { words: ['A800', 'SXM4'], ...sxm, nvswitch: 'possible' },
  { words: ['A30'], ...card },
  { words: ['V100', 'SXM3'], ...sxm, ...retires, nvswitch: 'always' },
  { words: ['V100', 'SXM2'], ...sxm, ...retires, nvswitch: 'never' },
  { words: ['V100'], ...card, ...retires },
  { words: ['V100S'], ...card, ...retires },
  { words: ['P100', 'SXM2'], ...sxm, ...retires, nvswitch: 'never' },
  { words: ['P100'], ...card, ...retires },
  { words: ['T4'], ...card, ...retires },
  ...['P4', 'P40', 'K80', 'M60'].map((name): ProductRow => ({ words: [name], ...card, ...retires })),
  // These cards say row remapping in part only: what their driver tells decides.
  ...['A2', 'A10', 'A10G', 'A16', 'A40', 'L4', 'L20', 'L40', 'L40S', 'L40G'].map(
    (name): ProductRow => ({ words: [name], ...card }),
  ),
  { words: ['RTX', 'PRO', 'SERVER', 'EDITION'], ...card },
  { words: ['LAPTOP'], line: 'consumer', formFactor: 'mobile', nvswitch: 'never' },
  { words: ['GEFORCE'], line: 'consumer', formFactor: 'pcie', nvswitch: 'never' },
  { words: ['TITAN'], line: 'consumer', formFactor: 'pcie', nvswitch: 'never' },
  { words: ['QUADRO'], line: 'workstation', formFactor: 'pcie', nvswitch: 'never' },
  { words: ['RTX'], line: 'workstation', formFactor: 'pcie', nvswitch: 'never' },
];

const unknownProduct: ProductFacts = {
  line: 'unknown',
  formFactor: 'unknown',
  nvswitch: 'unknown',
  isCoherent: false,
  hasEccOnByDefault: false,
  memoryRepair: null,
};

/** What is known of the product with this name; of one that is not in the table nothing is assumed. */
export function productFacts(name: string | null): ProductFacts {
  // A product name is a short text; what is longer comes from a file that is not what it says it is.
  const words = new Set(
    (name ?? '')
      .slice(0, 100)
      .toUpperCase()
      .split(/[^A-Z0-9]/),
  );
  const row = products.find((product) => product.words.every((word) => words.has(word)));
  if (!row) return unknownProduct;
  const { words: _, ...facts } = row;
  return { ...unknownProduct, ...facts };
}

export const productOf = ({ gpu, identity }: GpuReading): ProductFacts =>
  productFacts(gpu.name ?? identity?.name ?? null);
