import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type CaptureFacts, readCaptureFacts } from '../../test/capture-facts.ts';
import type { GpuModel } from './gpu-model.ts';
import { type GpuModelName, gpuModels } from './gpu-models.ts';

const captures: Readonly<Record<GpuModelName, string>> = {
  t4: 't4.xml',
  'a100-sxm4-80gb': 'a100-sxm4-80gb.xml',
  'h100-sxm5-80gb': 'h100-sxm5-80gb.txt',
  'h200-sxm5': 'h200-sxm5.txt',
  b200: 'b200.xml',
  l40s: 'l40s.txt',
};
const models: readonly (readonly [GpuModelName, GpuModel])[] = Object.entries(gpuModels) as [
  GpuModelName,
  GpuModel,
][];
const productArchitectures = {
  turing: 'Turing',
  ampere: 'Ampere',
  ada: 'Ada Lovelace',
  hopper: 'Hopper',
  blackwell: 'Blackwell',
};

/** The model's facts in the capture's words, except what a capture tells only by being N/A. */
function factsOf(model: GpuModel): Omit<CaptureFacts, 'memoryTemperature' | 'fanSpeed'> {
  const { thermal, power, clocks, memory } = model;
  return {
    source: model.source,
    name: model.name,
    architecture: productArchitectures[model.architecture],
    driverVersion: model.driver.version,
    cudaVersion: model.driver.cudaVersion,
    vbiosVersion: model.vbiosVersion,
    boardPartNumber: model.boardPartNumber,
    inforomVersion: model.inforomVersion,
    totalMebibytes: memory.totalMebibytes,
    reservedMebibytes: memory.reservedMebibytes,
    powerWatts: [power.defaultWatts, power.minWatts, power.maxWatts],
    maxSmMegahertz: clocks.maxSmMegahertz,
    maxMemoryMegahertz: clocks.maxMemoryMegahertz,
    pcie: [model.pcie.generation, model.pcie.lanes],
    thresholdsCelsius:
      thermal.kind === 'absolute'
        ? [
            thermal.slowdownCelsius,
            thermal.shutdownCelsius,
            thermal.maxOperatingCelsius,
            thermal.memoryMaxCelsius,
          ]
        : [null, null, null, null],
    marginsCelsius:
      thermal.kind === 'margin'
        ? [thermal.limitCelsius, thermal.slowdownMarginCelsius, thermal.shutdownMarginCelsius]
        : [null, null, null],
    tellsMig: model.supportsMig,
    tellsRecoveryAction: model.driver.tellsRecoveryAction,
    retiresPages: model.memoryRepair === 'page-retirement',
  };
}

describe.each(models)('%s', (name, model) => {
  test('has the facts of its capture', () => {
    const { memoryTemperature, fanSpeed, ...facts } = readCaptureFacts(captures[name]);
    expect(factsOf(model)).toEqual(facts);
    expect(model.hasMemoryTemperature).toBe(memoryTemperature !== null);
    expect(fanSpeed).toBeNull();
  });

  test('has typical values within its limits', () => {
    const { typical, power, clocks, thermal } = model;
    expect(typical.idleWatts).toBeLessThan(power.maxWatts / 2);
    expect(typical.idleSmMegahertz).toBeLessThan(clocks.maxSmMegahertz);
    const limit = thermal.kind === 'margin' ? thermal.limitCelsius : thermal.maxOperatingCelsius;
    expect(typical.idleCelsius).toBeLessThan(typical.loadCelsius);
    expect(typical.loadCelsius).toBeLessThan(limit);
  });
});

test('the check of facts tells captures apart', () => {
  const { memoryTemperature: _, fanSpeed: __, ...facts } = readCaptureFacts(captures['h200-sxm5']);
  expect(factsOf(gpuModels['h100-sxm5-80gb'])).not.toEqual(facts);
});

test('compute capabilities are those that nvidia-smi printed', () => {
  const content = readFileSync(new URL('../../fixtures/query-gpu.csv', import.meta.url), 'utf8');
  const [header = '', ...rows] = content.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const column = header.split(', ').indexOf('compute_cap');
  expect(rows).toHaveLength(3);
  for (const row of rows.map((line) => line.split(', '))) {
    const model = models.find(([, candidate]) => candidate.name === row[0])?.[1];
    expect(model?.computeCapability).toBe(row[column]);
  }
});
