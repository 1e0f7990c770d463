import { clockEventReasons, gpuSectionLeaves, gpuSections } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { createReader, oneGpu } from './fake/reader.ts';
import { h100, noCompiler } from './fake/rig.ts';

const { rig, read } = createReader();
const profilingLeaves = gpuSectionLeaves.profiling;
/** Sections that have tests of their own. */
const elsewhere = /^(nvlink|fabric|topology|processes|events|mig)\./;

describe.skipIf(noCompiler !== undefined)('readGpu', () => {
  it('reads every section in its units', async () => {
    const { sample, reasons } = await read(oneGpu({}), gpuSections);
    expect(sample.identity).toEqual({
      name: 'NVIDIA H100 80GB HBM3',
      uuid: 'GPU-00000000-1111-2222-3333-000000000000',
      serial: '1654123000000',
      boardPartNumber: '692-2G520-0200-000',
      boardId: '0x1b00',
      multiGpuBoard: false,
      moduleId: 1,
      chassisSerial: null,
      slotNumber: null,
      trayIndex: null,
      hostId: null,
      brand: 'nvidia',
      vbiosVersion: '96.00.74.00.01',
      inforomVersion: 'G520.0200.00.05',
      inforomOemVersion: '2.1',
      inforomEccVersion: '7.16',
      inforomPowerVersion: null,
      architecture: 'hopper',
      computeCapability: '9.0',
      coreCount: 16_896,
      memoryBusWidthBits: 5120,
      minorNumber: 0,
      persistenceModeEnabled: true,
      computeMode: 'default',
      virtualizationMode: 'none',
      addressingMode: 'none',
      gspFirmwareVersion: '580.95.05',
      gspFirmwareEnabled: true,
    });
    expect(sample.memory).toEqual({
      totalBytes: 85_520_809_984,
      usedBytes: 1_048_576,
      freeBytes: 84_880_130_048,
      reservedBytes: 639_631_360,
      bar1TotalBytes: 137_438_953_472,
      bar1UsedBytes: 1_048_576,
      bar1FreeBytes: 137_437_904_896,
    });
    expect(sample.thermal).toEqual({
      temperatureCelsius: 31,
      memoryTemperatureCelsius: 43,
      slowdownThresholdCelsius: 92,
      shutdownThresholdCelsius: 95,
      maxOperatingThresholdCelsius: 87,
      memoryMaxThresholdCelsius: 95,
      marginCelsius: 56,
      slowdownMarginCelsius: -2,
      shutdownMarginCelsius: -8,
      memoryMaxMarginCelsius: 0,
      maxOperatingMarginCelsius: 0,
      fanSpeedPercent: null,
      fans: [],
    });
    expect(sample.power).toEqual({
      drawWatts: 70.5,
      instantDrawWatts: 71.25,
      averageDrawWatts: 70.5,
      enforcedLimitWatts: 700,
      requestedLimitWatts: 700,
      defaultLimitWatts: 700,
      minLimitWatts: 200,
      maxLimitWatts: 700,
      energyJoules: 123_456.789,
    });
    expect(sample.pcieTraffic).toEqual({ transmitKilobytesPerSecond: 352, receiveKilobytesPerSecond: 329 });
    expect(sample.rowRemap).toMatchObject({
      correctableRowCount: 0,
      uncorrectableRowCount: 1,
      pending: false,
      failureOccurred: false,
      histogram: {
        maxBankCount: 2559,
        highBankCount: 1,
        partialBankCount: 0,
        lowBankCount: 0,
        noneBankCount: 0,
      },
      channelRepairPending: false,
      tpcRepairPending: false,
    });
    expect(sample.mig).toMatchObject({ enabled: false, pendingEnabled: false, devices: [] });
    expect(sample.recovery).toEqual({ action: 'none' });
    const missing = Object.entries(reasons).filter(([field]) => !elsewhere.test(field));
    expect(Object.fromEntries(missing)).toEqual({
      ...Object.fromEntries(
        ['chassisSerial', 'slotNumber', 'trayIndex', 'hostId', 'inforomPowerVersion'].map((leaf) => [
          `identity.${leaf}`,
          'unsupported',
        ]),
      ),
      ...Object.fromEntries(profilingLeaves.map((leaf) => [`profiling.${leaf}`, 'not-observable'])),
      'thermal.fanSpeedPercent': 'unsupported',
      'rowRemap.retiredPagesPending': 'unsupported',
      'rowRemap.retiredPageCount': 'unsupported',
      'rowRemap.singleBitRetiredPageCount': 'unsupported',
      'rowRemap.doubleBitRetiredPageCount': 'unsupported',
      'rowRemap.memoryUnrepairable': 'unsupported',
    });
  });

  it('does not mix up readings that come from one call', async () => {
    const clocks = { 'clock.0': 10, 'clock.1': 11, 'clock.2': 12, 'clock.3': 13 };
    const limits = { 'maxclock.0': 20, 'maxclock.1': 21, 'maxclock.2': 22, 'maxclock.3': 23 };
    const settings = { 'appclock.0': 30, 'appclock.2': 32, 'defaultclock.0': 40, 'defaultclock.2': 42 };
    const { sample } = await read(
      oneGpu({
        ...{ ...clocks, ...limits, ...settings, 'boostclock.0': 50, pstate: 2, reasons: 0x44 },
        ...{ 'util.gpu': 1, 'util.mem': 2, 'util.enc': 3, 'util.dec': 4, 'util.jpg': 5, 'util.ofa': 6 },
        ...Object.fromEntries(
          [74, 75, 76, 77, 78, 79, 80, 81].map((id) => [`field.${id}`, `ull ${id * 1_000_000}`]),
        ),
        ...Object.fromEntries(
          [94, 95, 169, 173, 174, 175, 176, 177, 178, 179, 180, 181, 182, 183].map((id) => [
            `field.${id}`,
            `ull ${id}`,
          ]),
        ),
        ...{ 'pcie.gen': 3, 'pcie.maxgen': 4, 'pcie.devicegen': 5, 'pcie.width': 8, 'pcie.maxwidth': 16 },
        ...{ 'pcie.speed': 8_000, 'pcie.maxspeed': 4, 'rows.pending': 1, 'repair.tpc': 1 },
        ...{ 'rows.histogram': '5 4 3 2 1', 'retired.0': 2, 'retired.1': 3, 'bar1.used': 7, 'bar1.free': 8 },
        ...{ 'field.195': 'sint -3', 'field.196': 'sint 2', 'power.requested': 650_000 },
      }),
      [
        'clocks',
        'utilization',
        'violations',
        'pcie',
        'pcieTraffic',
        'rowRemap',
        'memory',
        'thermal',
        'power',
      ],
    );
    expect(sample.clocks).toEqual({
      graphicsClockMegahertz: 10,
      smClockMegahertz: 11,
      memoryClockMegahertz: 12,
      videoClockMegahertz: 13,
      maxGraphicsClockMegahertz: 20,
      maxSmClockMegahertz: 21,
      maxMemoryClockMegahertz: 22,
      maxVideoClockMegahertz: 23,
      applicationGraphicsClockMegahertz: 30,
      applicationMemoryClockMegahertz: 32,
      defaultApplicationGraphicsClockMegahertz: 40,
      defaultApplicationMemoryClockMegahertz: 42,
      maxBoostGraphicsClockMegahertz: 50,
      performanceState: 'P2',
      eventReasons: ['software-power-cap', 'hardware-thermal-slowdown'],
      supportedEventReasons: clockEventReasons.filter((reason) => reason !== 'display-clocks'),
    });
    expect(sample.utilization).toEqual({
      gpuPercent: 1,
      memoryPercent: 2,
      encoderPercent: 3,
      decoderPercent: 4,
      jpegPercent: 5,
      opticalFlowPercent: 6,
    });
    expect(sample.violations).toEqual({
      powerMicroseconds: 74_000,
      thermalMicroseconds: 75_000,
      syncBoostMicroseconds: 76_000,
      boardLimitMicroseconds: 77_000,
      lowUtilizationMicroseconds: 78_000,
      reliabilityMicroseconds: 79_000,
      applicationClocksMicroseconds: 80_000,
      baseClocksMicroseconds: 81_000,
    });
    // The ids of the header, see constants.ts.
    expect(sample.pcie).toEqual({
      currentGeneration: 3,
      maxGeneration: 4,
      deviceMaxGeneration: 5,
      currentLinkWidthLanes: 8,
      maxLinkWidthLanes: 16,
      currentSpeedMegatransfersPerSecond: 8_000,
      maxSpeedMegatransfersPerSecond: 16_000,
      replayCount: 94,
      replayRolloverCount: 95,
      linkRecoveryCount: 169,
      correctableErrorCount: 173,
      naksReceivedCount: 174,
      receiverErrorCount: 175,
      badTlpCount: 176,
      naksSentCount: 177,
      badDllpCount: 178,
      nonFatalErrorCount: 179,
      fatalErrorCount: 180,
      unsupportedRequestCount: 181,
      lcrcErrorCount: 182,
      laneErrorCount: 183,
    });
    expect(sample.rowRemap).toMatchObject({
      pending: true,
      failureOccurred: false,
      histogram: {
        maxBankCount: 5,
        highBankCount: 4,
        partialBankCount: 3,
        lowBankCount: 2,
        noneBankCount: 1,
      },
      retiredPageCount: 5,
      singleBitRetiredPageCount: 2,
      doubleBitRetiredPageCount: 3,
      channelRepairPending: false,
      tpcRepairPending: true,
    });
    expect(sample.memory).toMatchObject({ bar1UsedBytes: 7, bar1FreeBytes: 8 });
    expect(sample.thermal).toMatchObject({ memoryMaxMarginCelsius: -3, maxOperatingMarginCelsius: 2 });
    expect(sample.power).toMatchObject({ requestedLimitWatts: 650, enforcedLimitWatts: 700 });
    expect(rig().calls('nvmlDeviceGetFieldValues')).toBe(4); // one for each section that has fields
  });

  it('on a GeForce without ECC, remapping or recovery action says unsupported, never 0', async () => {
    const bare = Object.keys(h100(0)).filter((key) =>
      /^(ecc|sram|rows|repair|mig)\.|^field\.(230|82)$/.test(key),
    );
    const { sample, gaps } = await read(
      oneGpu({ ...Object.fromEntries(bare.map((key) => [key, null])), fans: 2, 'fan.0': 30, 'fan.1': 31 }),
      ['ecc', 'rowRemap', 'recovery', 'thermal'],
    );
    const empty = [sample.ecc ?? {}, sample.rowRemap ?? {}, sample.recovery ?? {}].map((section) =>
      Object.values(section),
    );
    expect(empty.map((values) => values.length)).toEqual([17, 12, 1]);
    expect(new Set(empty.flat())).toEqual(new Set([null]));
    expect(sample.thermal).toMatchObject({ fanSpeedPercent: 30, memoryTemperatureCelsius: null });
    // And for the fans one gap for each member that both of them lack.
    expect(gaps).toHaveLength(17 + 12 + 1 + 1 + 2);
    expect(gaps.every(({ reason, gpu }) => reason === 'unsupported' && gpu === 0)).toBe(true);
  });

  it('reads each fan, and one that fails beside one that does not', async () => {
    const { sample, reasons } = await read(
      oneGpu({
        ...{ fans: 2, 'fan.0': 30, 'fan.1': 0, 'fan.target.0': 35, 'fan.target.1': 40, 'fan.rpm.0': 1500 },
      }),
      ['thermal'],
    );
    expect(sample.thermal?.fans).toEqual([
      { index: 0, speedPercent: 30, targetSpeedPercent: 35, speedRevolutionsPerMinute: 1500 },
      { index: 1, speedPercent: 0, targetSpeedPercent: 40, speedRevolutionsPerMinute: null },
    ]);
    expect(reasons).toEqual({ 'thermal.fans.speedRevolutionsPerMinute': 'unsupported' });
  });

  it('finds the fans of a driver that does not count them', async () => {
    const { sample } = await read(
      oneGpu(
        { fans: null, 'fan.0': 30, 'fan.1': 33, 'fan.3': 99 },
        { faults: ['rc nvmlDeviceGetNumFans * 13'] },
      ),
      ['thermal'],
    );
    expect(sample.thermal?.fans?.map(({ speedPercent }) => speedPercent)).toEqual([30, 33]);
  });

  it('reads the place in a rack from both revisions of the platform struct', async () => {
    const platform = { platform: '12 3 1 2 1820325150136' };
    const { sample } = await read(oneGpu({ ...platform, module: null }), ['identity']);
    const place = { slotNumber: 12, trayIndex: 3, hostId: 1, moduleId: 2 };
    expect(sample.identity).toMatchObject({ ...place, chassisSerial: '1820325150136' });
    const older = await read(oneGpu({ ...platform, module: null, 'platform.revision': 1 }), ['identity']);
    expect(older.sample.identity).toMatchObject({ ...place, chassisSerial: null });
    const blank = await read(oneGpu({ platform: '255 255 255 255' }), ['identity']);
    expect(blank.sample.identity).toMatchObject({ slotNumber: null, hostId: null, chassisSerial: null });
    expect(blank.sample.identity?.moduleId).toBe(1);
  });

  it('takes what a newer driver calls deprecated from where it still is', async () => {
    const deprecated = ['ApplicationsClock', 'DefaultApplicationsClock', 'MaxCustomerBoostClock'];
    const { sample, gaps } = await read(
      oneGpu(
        {
          'clockid.0.1': 1410,
          'clockid.2.1': 1215,
          'clockid.0.2': 1400,
          'clockid.0.3': 1755,
          'clockid.2.2': null,
        },
        { faults: deprecated.map((name) => `rc nvmlDeviceGet${name} * 26`) },
      ),
      ['clocks'],
    );
    expect(sample.clocks).toMatchObject({
      applicationGraphicsClockMegahertz: 1410,
      applicationMemoryClockMegahertz: 1215,
      defaultApplicationGraphicsClockMegahertz: 1400,
      defaultApplicationMemoryClockMegahertz: null,
      maxBoostGraphicsClockMegahertz: 1755,
    });
    expect(gaps).toEqual([
      {
        gpu: 0,
        field: 'clocks.defaultApplicationMemoryClockMegahertz',
        reason: 'unsupported',
        detail: 'nvmlDeviceGetDefaultApplicationsClock(2): NVML_ERROR_DEPRECATED (26)',
      },
    ]);
  });

  it('lists ECC counters of the locations that have any', async () => {
    const { sample, gaps } = await read(
      oneGpu({
        'ecc.at.0.0.2': 4,
        'ecc.at.1.0.2': 5,
        'ecc.at.0.1.2': 6,
        'ecc.at.1.1.2': 7,
        'ecc.at.0.0.3': 1,
      }),
      ['ecc'],
    );
    expect(sample.ecc?.locations).toEqual([
      {
        location: 'dram',
        correctableVolatileCount: 4,
        uncorrectableVolatileCount: 5,
        correctableAggregateCount: 6,
        uncorrectableAggregateCount: 7,
      },
      {
        location: 'register-file',
        correctableVolatileCount: 1,
        uncorrectableVolatileCount: null,
        correctableAggregateCount: null,
        uncorrectableAggregateCount: null,
      },
      {
        location: 'sram',
        correctableVolatileCount: 0,
        uncorrectableVolatileCount: 0,
        correctableAggregateCount: 3,
        uncorrectableAggregateCount: 2,
      },
    ]);
    expect(gaps.map(({ field }) => field)).toEqual(
      ['uncorrectableVolatileCount', 'correctableAggregateCount', 'uncorrectableAggregateCount'].map(
        (member) => `ecc.locations.${member}`,
      ),
    );
  });

  it('tells SRAM errors apart by kind and source', async () => {
    const { sample } = await read(
      oneGpu({
        ...{ 'sram.vol.cor': 1, 'sram.agg.cor': 2, 'sram.vol.parity': 3, 'sram.vol.secded': 4 },
        ...{ 'sram.agg.parity': 50, 'sram.agg.secded': 6, 'sram.l2': 10, 'sram.sm': 11, 'sram.pcie': 12 },
        ...{ 'sram.mcu': 13, 'sram.other': 14, 'sram.exceeded': 1 },
      }),
      ['ecc'],
    );
    expect(sample.ecc).toMatchObject({
      sramCorrectableVolatileCount: 1,
      sramCorrectableAggregateCount: 2,
      sramUncorrectableVolatileCount: 7,
      sramUncorrectableAggregateCount: 56,
      sramThresholdExceeded: true,
      sramUncorrectableL2AggregateCount: 10,
      sramUncorrectableSmAggregateCount: 11,
      sramUncorrectablePcieAggregateCount: 12,
      sramUncorrectableMicrocontrollerAggregateCount: 13,
      sramUncorrectableOtherAggregateCount: 14,
    });
  });

  it('counts retired pages of both causes, more than fit the first buffer', async () => {
    const { sample } = await read(oneGpu({ 'retired.0': 70, 'retired.1': 3, 'retired.pending': 1 }), [
      'rowRemap',
    ]);
    expect(sample.rowRemap).toMatchObject({ retiredPageCount: 73, retiredPagesPending: true });
  });

  it('decodes every type of field value, and signed T.Limits of drivers that call them unsigned', async () => {
    const { sample } = await read(
      oneGpu({
        'field.193': 'uint -8',
        'field.194': 'sll -2',
        'field.82': 'ushort 44',
        'field.186': 'ull 90000',
      }),
      ['thermal', 'power'],
    );
    expect(sample.thermal).toMatchObject({
      shutdownMarginCelsius: -8,
      slowdownMarginCelsius: -2,
      memoryTemperatureCelsius: 44,
    });
    expect(sample.power?.instantDrawWatts).toBe(90);
  });

  it('keeps the other fields when one has an error of its own', async () => {
    const { sample, reasons } = await read(oneGpu({ 'field.194': 'rc 4' }), ['thermal']);
    expect(sample.thermal).toMatchObject({ shutdownMarginCelsius: -8, slowdownMarginCelsius: null });
    expect(reasons['thermal.slowdownMarginCelsius']).toBe('no-permission');
  });

  it('a negative margin stays negative', async () => {
    const { sample } = await read(oneGpu({ margin: -3 }), ['thermal']);
    expect(sample.thermal?.marginCelsius).toBe(-3);
  });
});

describe.skipIf(noCompiler !== undefined)('a GPU that wants a reset', () => {
  it('is advised one where the driver has no advice of its own', async () => {
    const refused = { faults: ['rc nvmlDeviceGetEccMode 0 16'] };
    const { sample, reasons } = await read(oneGpu({ 'field.230': null }, refused), ['ecc', 'recovery']);
    expect(sample.recovery).toEqual({ action: 'reset' });
    expect(reasons['ecc.enabled']).toBe('error');
    // What the driver does advise stands.
    const advised = await read(oneGpu({ 'field.230': 'uint 2' }, refused), ['ecc', 'recovery']);
    expect(advised.sample.recovery).toEqual({ action: 'reboot' });
    const healthy = await read(oneGpu({ 'field.230': null }), ['ecc', 'recovery']);
    expect(healthy.sample.recovery).toEqual({ action: null });
  });
});
