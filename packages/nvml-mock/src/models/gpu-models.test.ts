import { readFileSync } from 'node:fs';
import type { FabricHealthSummary } from '@k8s-gpu-mcp/core';
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

/** The tool prints a health that the product does not report as N/A. */
const healthWords: Readonly<Record<FabricHealthSummary, string | null>> = {
  'not-supported': null,
  healthy: 'Healthy',
  unhealthy: 'Unhealthy',
  'limited-capacity': 'Limited Capacity',
};
const flagWord = (value: boolean | null) => (value === null ? null : value ? 'True' : 'False');

/** The model's facts in the capture's words, except what a capture tells only by being N/A. */
function factsOf(
  model: GpuModel,
): Omit<CaptureFacts, 'memoryTemperature' | 'fanSpeed' | 'moduleId' | 'remapBankCount'> {
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
    inforomObjects: [model.inforomOemVersion, model.inforomEccVersion],
    brand: model.brand,
    pciDeviceId: model.pciDeviceId,
    hostId: model.hostId,
    addressingMode: model.addressingMode,
    accountingEnabled: model.accountingEnabled,
    bar1Mebibytes: memory.bar1Mebibytes,
    maxVideoMegahertz: clocks.maxVideoMegahertz,
    applicationMegahertz: [
      clocks.application?.graphicsMegahertz ?? null,
      clocks.application?.memoryMegahertz ?? null,
    ],
    tellsPendingRepairs: model.driver.tellsRecentReadings,
    tellsUnrepairableMemory: model.tellsUnrepairableMemory,
    fabric: model.fabric
      ? [
          'Completed',
          'Success',
          healthWords[model.fabric.healthSummary],
          flagWord(model.fabric.accessTimeoutRecovery),
        ]
      : [null, null, null, null],
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
    const { memoryTemperature, fanSpeed, moduleId, remapBankCount, ...facts } = readCaptureFacts(
      captures[name],
    );
    expect(factsOf(model)).toEqual(facts);
    // Boards of a baseboard say which of eight places they are in.
    if (model.moduleId === 'by-position') expect(moduleId).toBeGreaterThan(0);
    else expect(moduleId).toBe(model.moduleId);
    // With MIG, as in the capture of the A100, the tool prints no remapped rows.
    if (name !== 'a100-sxm4-80gb') expect(model.remapBankCount).toBe(remapBankCount);
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
  const other = factsOf(gpuModels['h100-sxm5-80gb']);
  expect(readCaptureFacts(captures['h100-sxm5-80gb'])).toMatchObject(other);
  expect(readCaptureFacts(captures['h200-sxm5'])).not.toMatchObject(other);
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

describe('MIG profiles', () => {
  test('seven compute and eight memory slices are never exceeded', () => {
    for (const [, { migProfiles, memory, coreCount }] of models) {
      for (const profile of migProfiles) {
        expect(profile.gpuSliceCount * profile.maxInstanceCount).toBeLessThanOrEqual(7);
        expect(profile.memoryMebibytes * profile.maxInstanceCount).toBeLessThanOrEqual(memory.totalMebibytes);
        // 64 or 128 cores to a multiprocessor.
        expect(profile.multiprocessorCount * profile.maxInstanceCount * 64).toBeLessThanOrEqual(coreCount);
        for (const start of profile.placementStarts)
          expect(start + profile.placementSize).toBeLessThanOrEqual(8);
      }
    }
  });

  test('an H100 has those that its tool lists', () => {
    // Source: nvidia-smi mig -lgip of an H100 80GB; memory in GiB, cut to two digits.
    expect(
      gpuModels['h100-sxm5-80gb'].migProfiles.map(
        ({ name, id, maxInstanceCount, memoryMebibytes, multiprocessorCount }) =>
          [name, id, maxInstanceCount, Math.floor(memoryMebibytes / 10.24) / 100, multiprocessorCount].join(
            ' ',
          ),
      ),
    ).toEqual([
      '1g.10gb 19 7 9.75 16',
      '1g.10gb+me 20 1 9.75 16',
      '1g.20gb 15 4 19.62 26',
      '2g.20gb 14 3 19.62 32',
      '3g.40gb 9 2 39.5 60',
      '4g.40gb 5 1 39.5 64',
      '7g.80gb 0 1 79.25 132',
    ]);
  });
});

test('only boards with NVLink have a fabric, and only Hopper and newer are profiled', () => {
  for (const [, { nvlink, fabric, supportsProfiling, architecture }] of models) {
    if (fabric) expect(nvlink).not.toBeNull();
    expect(supportsProfiling).toBe(architecture === 'hopper' || architecture === 'blackwell');
  }
  // Source: `nvidia-smi nvlink -s` of the captures of H100 and H200: 26.562 GB/s on links 0 to 17.
  expect(gpuModels['h100-sxm5-80gb'].nvlink).toMatchObject({
    linkCount: 18,
    speedMegabytesPerSecond: 26_562,
  });
});
