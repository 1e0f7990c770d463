import { describe, expect, test } from 'vitest';
import { h100Reading } from '../../test/h100.ts';
import { type ProductFacts, productFacts, productOf } from './applicability.ts';

// Names as the driver prints them. Source of what is expected: NVIDIA product pages and data sheets.
const sxm = { line: 'data-center', formFactor: 'sxm', hasEccOnByDefault: true, isCoherent: false } as const;
const card = { line: 'data-center', formFactor: 'pcie', nvswitch: 'never', hasEccOnByDefault: true } as const;
const own = { hasEccOnByDefault: false, nvswitch: 'never', isCoherent: false } as const;

describe('products by their names', () => {
  test.each<[string, Partial<ProductFacts>]>([
    ['NVIDIA GH200 480GB', { formFactor: 'superchip', nvswitch: 'never', isCoherent: true }],
    ['NVIDIA GH200 144G HBM3e', { formFactor: 'superchip', isCoherent: true }],
    ['NVIDIA GB200', { formFactor: 'superchip', nvswitch: 'always', isCoherent: true }],
    ['NVIDIA GB300', { formFactor: 'superchip', nvswitch: 'always' }],
    ['NVIDIA B200', { ...sxm, nvswitch: 'always' }],
    ['NVIDIA B300 SXM6 AC', { ...sxm, nvswitch: 'always' }],
    ['NVIDIA H200', { ...sxm, nvswitch: 'possible' }],
    ['NVIDIA H200 NVL', card],
    ['NVIDIA H100 80GB HBM3', { ...sxm, nvswitch: 'possible', memoryRepair: 'row-remap' }],
    ['NVIDIA H100 PCIe', card],
    ['NVIDIA H100 NVL', card],
    ['NVIDIA H20', { ...sxm }],
    ['NVIDIA A100-SXM4-80GB', { ...sxm, nvswitch: 'possible', memoryRepair: 'row-remap' }],
    ['NVIDIA A100-PCIE-40GB', card],
    ['NVIDIA A100 80GB PCIe', card],
    ['Tesla V100-SXM2-16GB', { ...sxm, nvswitch: 'never', memoryRepair: 'page-retirement' }],
    ['Tesla V100-SXM3-32GB', { ...sxm, nvswitch: 'always', memoryRepair: 'page-retirement' }],
    ['Tesla V100-PCIE-32GB', { ...card, memoryRepair: 'page-retirement' }],
    ['Tesla V100S-PCIE-32GB', { ...card, memoryRepair: 'page-retirement' }],
    ['Tesla P100-PCIE-16GB', { ...card, memoryRepair: 'page-retirement' }],
    ['Tesla T4', { ...card, memoryRepair: 'page-retirement' }],
    ['NVIDIA A10G', card],
    ['NVIDIA L4', card],
    ['NVIDIA L40S', card],
    ['NVIDIA RTX PRO 6000 Blackwell Server Edition', card],
    ['NVIDIA RTX PRO 6000 Blackwell Workstation Edition', { ...own, line: 'workstation' }],
    ['NVIDIA RTX 6000 Ada Generation', { ...own, line: 'workstation' }],
    ['NVIDIA RTX A6000', { ...own, line: 'workstation' }],
    ['Quadro P2000', { ...own, line: 'workstation' }],
    ['NVIDIA GeForce RTX 4090', { ...own, line: 'consumer', formFactor: 'pcie' }],
    ['GeForce GTX 1070 Ti', { ...own, line: 'consumer' }],
    ['NVIDIA GeForce RTX 3060 Laptop GPU', { ...own, line: 'consumer', formFactor: 'mobile' }],
    ['NVIDIA TITAN RTX', { ...own, line: 'consumer' }],
  ])('%s', (name, expected) => {
    expect(productFacts(name)).toMatchObject(expected);
  });

  test.each([null, '', 'AMD Instinct MI300X', 'NVIDIA H2000', 'XH100X', '\u0000'.repeat(5_000)])(
    'of %j nothing is assumed',
    (name) => {
      expect(productFacts(name)).toEqual({
        line: 'unknown',
        formFactor: 'unknown',
        nvswitch: 'unknown',
        isCoherent: false,
        hasEccOnByDefault: false,
        memoryRepair: null,
      });
    },
  );

  test('the name of the reading counts where the GPU itself has none', () => {
    const reading = h100Reading({ identity: { name: 'Tesla T4' } });
    expect(productOf(reading).formFactor).toBe('sxm');
    expect(productOf({ ...reading, gpu: { ...reading.gpu, name: null } }).formFactor).toBe('pcie');
  });
});
