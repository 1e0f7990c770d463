import { describe, expect, it } from 'vitest';
import { fixtureOf } from '../../test/rig.ts';
import { parseDcgmDiag } from './dcgm-diag.ts';
import { isFabricManagerLine, parseFabricManagerLine } from './fabric-manager.ts';
import { parseLspci } from './lspci.ts';
import { parseNvlinks } from './nvlink.ts';
import { parsePs } from './ps.ts';
import { parseTopology } from './topology.ts';

const place = { file: 'a', firstLine: 10 };

describe('parseLspci', () => {
  it('reads the address, the ids and, of the verbose form, driver, link and NUMA node', () => {
    // The layout of lspci -vvv (pciutils).
    const { gpus, tellsDrivers } = parseLspci([
      '3b:00.0 3D controller [0302]: NVIDIA Corporation GH100 [H100 SXM5 80GB] [10de:2330] (rev a1)',
      '\tControl: I/O- Mem+ BusMaster+',
      '\tInterrupt: pin A routed to IRQ 18',
      '\tNUMA node: 1',
      '\t\tLnkCap:\tPort #0, Speed 32GT/s, Width x16, ASPM not supported',
      '\t\tLnkSta:\tSpeed 2.5GT/s (downgraded), Width x8 (downgraded)',
      '\tKernel driver in use: nvidia',
    ]);
    expect(tellsDrivers).toBe(true);
    expect(gpus).toEqual([
      {
        pciAddress: '0000:3b:00.0',
        vendorId: '10de',
        deviceId: '2330',
        deviceClass: '3d',
        driver: 'nvidia',
        respondsOnBus: true,
        numaNode: 1,
        currentSpeedGigatransfersPerSecond: 2.5,
        maxSpeedGigatransfersPerSecond: 32,
        currentLinkWidthLanes: 8,
        maxLinkWidthLanes: 16,
      },
    ]);
  });

  it.each([
    ['3b:00.0 3D controller [0302]: NVIDIA Corporation GH100 [10de:2330] (rev ff)', []],
    [
      '3b:00.0 3D controller [0302]: NVIDIA Corporation GH100 [10de:2330] (rev a1)',
      ['\t!!! Unknown header type 7f'],
    ],
  ])('says that a GPU does not answer: %s', (line, more) => {
    expect(parseLspci([line, ...more]).gpus).toMatchObject([{ respondsOnBus: false }]);
  });

  it('takes the vendor from its name without -nn, and leaves other display chips out', () => {
    const { gpus, deviceCount, isWholeBus } = parseLspci([
      '03:00.0 VGA compatible controller: ASPEED Technology, Inc. ASPEED Graphics Family (rev 52)',
      'af:00.0 3D controller: NVIDIA Corporation GV100GL [Tesla V100 SXM2 32GB] (rev a1)',
    ]);
    expect(deviceCount).toBe(2);
    expect(isWholeBus).toBe(true);
    // Without -k the port cannot say that the driver is not known.
    expect(gpus).toMatchObject([
      { pciAddress: '0000:af:00.0', vendorId: '10de', deviceId: '', driver: 'nvidia' },
    ]);
  });

  it('does not take one device for the whole bus', () => {
    const line = 'af:00.0 3D controller: NVIDIA Corporation GV100GL (rev a1)';
    expect(parseLspci([line]).isWholeBus).toBe(false);
  });
});

describe('parsePs', () => {
  it.each([
    [
      'USER         PID %CPU %MEM    VSZ   RSS TTY      STAT START   TIME COMMAND',
      'root        4711  0.0  0.1 123456  7890 ?        Ds   Oct24   0:10 python3 /opt/train.py --a b',
      {
        pid: 4711,
        state: 'D',
        userId: 0,
        userName: 'root',
        name: 'python3',
        command: 'python3 /opt/train.py --a b',
      },
    ],
    [
      '    PID TTY      STAT   TIME COMMAND',
      '   4711 ?        Z      0:00 [nvidia-smi] <defunct>',
      { state: 'Z', name: 'nvidia-smi' },
    ],
    [
      '  PID  PPID S WCHAN                CMD',
      ' 4711     1 D nv_open_device       nvidia-smi -q',
      { parentPid: 1, state: 'D', name: 'nvidia-smi' },
    ],
    [
      '  PID                  STARTED STAT COMMAND',
      ' 4711 Fri Oct 24 11:07:12 2025 R    ./a.out x',
      { pid: 4711, state: 'R', command: './a.out x', name: 'a.out' },
    ],
  ])('%s', (header, row, expected) => {
    expect(parsePs([header, row])).toMatchObject([expected]);
  });

  it('leaves out rows that are none', () => {
    expect(parsePs(['  PID STAT COMMAND', 'total 17', ' x D y', ''])).toEqual([]);
  });
});

describe('parseTopology', () => {
  it.each([
    ['topology/stas00-8gpu-a100-nv12.txt', 8, { nvlink: 'ok', commonAncestor: null }, '0-23', '0'],
    ['topology/stas00-2gpu-phb.txt', 2, { nvlink: null, commonAncestor: 'host-bridge' }, '0-11', undefined],
    ['topology/nvsentinel-8gpu-cols.txt', 8, { nvlink: 'ok', commonAncestor: null }, '0-55', '0'],
    ['topology/nvsentinel-mixed.txt', 2, { nvlink: 'ok', commonAncestor: null }, '0-55', '0'],
  ])('%s', (path, gpuCount, peer, cpuAffinity, numaAffinity) => {
    const gpus = parseTopology(fixtureOf(path).split('\n'), place);
    expect(gpus.map(({ ref }) => ref.index)).toEqual(Array.from({ length: gpuCount }, (_, index) => index));
    for (const { ref, readings } of gpus) {
      const peers = readings.topology?.peers ?? [];
      expect(peers.map(({ index }) => index)).toEqual(
        gpus.map((gpu) => gpu.ref.index).filter((index) => index !== ref.index),
      );
      for (const each of peers) expect(each).toMatchObject(peer);
    }
    expect(gpus[0]?.readings.topology?.cpuAffinity).toBe(cpuAffinity);
    expect(gpus[0]?.readings.topology?.numaAffinity).toBe(numaAffinity);
  });

  it('leaves out a row whose own cell is not where it belongs', () => {
    const lines = ['\tGPU0\tGPU1\tCPU Affinity', 'GPU0\tNV18\t X \t0-11', 'GPU1\tNV18\t X \t0-11'];
    expect(parseTopology(lines, place).map(({ ref }) => ref.index)).toEqual([1]);
  });
});

describe('parseNvlinks', () => {
  const gpu = 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-abcdefab-cdef-abdc-abcd-abababababab)';

  it('reads speeds, inactive links, remote devices and counters of one GPU', () => {
    const [found] = parseNvlinks(
      [
        gpu,
        '\t Link 0: 26.562 GB/s',
        '\t Link 1: <inactive>',
        '\t Link 0: Remote Device 00000000:CD:00.0: Link 25',
        '\t Link 0: Replay Errors: 2353',
        '\t Link 0: CRC Errors: 65535',
        '\t Link 0: Effective BER: 1e-15',
      ],
      place,
    );
    expect(found?.readings.nvlink?.links).toMatchObject([
      {
        link: 0,
        active: true,
        speedMegabytesPerSecond: 26_562,
        remotePciAddress: '0000:cd:00.0',
        remoteLink: 25,
        replayErrorCount: 2353,
        crcFlitErrorCount: 65_535,
        effectiveBitErrorRate: 1e-15,
        recoveryErrorCount: null,
      },
      { link: 1, active: false, speedMegabytesPerSecond: null },
    ]);
    expect(found?.citations['nvlink.links']).toEqual({ file: 'a', line: 12 });
  });

  it('says nothing of links where the tool says nothing', () => {
    expect(
      parseNvlinks([gpu, 'NVML: Unable to retrieve Nvlink information as all links are inActive'], place),
    ).toEqual([]);
  });
});

describe('parseDcgmDiag', () => {
  const diag = (results: unknown, key = 'DCGM Diagnostic') => {
    const value = {
      [key]: { test_categories: [{ category: 'Stress', tests: [{ name: 'pcie', results }] }] },
    };
    return parseDcgmDiag(value, JSON.stringify(value, null, 1).split('\n'), place);
  };

  it.each([
    [
      'DCGM 4',
      [{ entity_group: 'GPU', entity_id: 3, status: 'Fail', warnings: [{ warning: 'slow', error_id: 7 }] }],
    ],
    ['DCGM 3', [{ gpu_id: '3', status: 'Fail', warnings: ['slow'] }]],
    ['DCGM 2', [{ gpu_ids: '3', status: 'Fail', warnings: 'slow' }]],
  ])('reads the results of %s', (_, results) => {
    expect(diag(results)).toMatchObject([{ test: 'pcie', gpu: 3, status: 'fail', warning: 'slow' }]);
  });

  it('gives one result for each GPU of a list, and cites the name of the test', () => {
    const found = diag([{ gpu_ids: '0,1,2', status: 'Pass' }], 'DCGM GPU Diagnostic');
    expect(found?.map(({ gpu, status }) => [gpu, status])).toEqual([
      [0, 'pass'],
      [1, 'pass'],
      [2, 'pass'],
    ]);
    // { "DCGM GPU Diagnostic": { "test_categories": [ { "category", "tests": [ { "name": eight lines down.
    expect(found?.[0]?.citation.line).toBe(place.firstLine + 7);
  });

  it('repeats no free text in the name of a test, and knows no other JSON', () => {
    const value = {
      'DCGM Diagnostic': { test_categories: [{ tests: [{ name: '<b>\u202e', results: [{}] }] }] },
    };
    expect(parseDcgmDiag(value, [], place)).toMatchObject([
      { test: 'unnamed test', gpu: null, status: 'unknown' },
    ]);
    for (const other of [null, 1, [], {}, { a: 1 }]) expect(parseDcgmDiag(other, [], place)).toBeUndefined();
  });
});

describe('parseFabricManagerLine', () => {
  const line = (text: string) => `[Feb 27 2025 15:10:02] [ERROR] [tid 12727] ${text}`;

  it('tells a fatal error of a switch from one that is not', () => {
    const fatal = line(
      'detected NVSwitch fatal error 20034 on fid 0 on NVSwitch pci bus id 00000000:86:00.0 physical id 3 port 61',
    );
    expect(parseFabricManagerLine(fatal, { file: 'a', line: 1 })).toMatchObject({
      kind: 'sxid',
      sxid: 20_034,
      severity: 'fatal',
      action: 'reset-gpu',
      trusted: false,
    });
  });

  it('knows its own lines, and finds nothing in the others', () => {
    expect(isFabricManagerLine(line('multicast group 0 is freed.'))).toBe(true);
    expect(
      parseFabricManagerLine(line('multicast group 0 is freed.'), { file: 'a', line: 1 }),
    ).toBeUndefined();
    expect(isFabricManagerLine('[   12.000000] NVRM: [tid 1]')).toBe(false);
  });
});
