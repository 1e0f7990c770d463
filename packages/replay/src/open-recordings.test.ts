import { gzipSync } from 'node:zlib';
import { isGpuError } from '@k8s-gpu-mcp/core';
import { describe, expect, it } from 'vitest';
import { bugReport, describeOf, fixtureOf, openTexts, recordsOf, unaborted, xidLine } from '../test/rig.ts';

const h200 = fixtureOf('nvidia-smi/q/linux-x86_64__nvidia-h200__590.48.01__idle.txt');
const h200Table = fixtureOf('nvidia-smi/table/linux-x86_64__nvidia-h200__590.48.01__idle.txt');
const b200 = fixtureOf('nvidia-smi/qx/nvidia__qx-b200.xml');
const lineOf = (text: string, part: string) => text.split('\n').findIndex((line) => line.includes(part)) + 1;

/** A short `nvidia-smi -q` in the layout of the captures. */
const query = (time: string, uuids: readonly string[], usedMebibytes = 0, driver = '550.90.07') =>
  [
    '==============NVSMI LOG==============',
    '',
    `Timestamp                                 : ${time}`,
    `Driver Version                            : ${driver}`,
    'CUDA Version                              : 12.4',
    '',
    `Attached GPUs                             : ${uuids.length}`,
    ...uuids.flatMap((uuid, index) => [
      `GPU 00000000:${(0x1b + index).toString(16).toUpperCase()}:00.0`,
      '    Product Name                          : NVIDIA H100 80GB HBM3',
      `    GPU UUID                              : ${uuid}`,
      '    FB Memory Usage',
      '        Total                             : 81559 MiB',
      '        Reserved                          : 551 MiB',
      `        Used                              : ${usedMebibytes} MiB`,
      `        Free                              : ${81008 - usedMebibytes} MiB`,
    ]),
    '',
  ].join('\n');
const uuidOf = (digit: string) => `GPU-${digit.repeat(8)}-1111-2222-3333-444444444444`;

describe('telling files apart by content', () => {
  it.each([
    ['nvidia-smi -q', h200, 1],
    ['nvidia-smi -q -x', b200, 8],
    ['nvidia-smi', h200Table, 1],
    ['nvidia-smi -L', fixtureOf('nvidia-smi/L/linux-x86_64__nvidia-h200-mig__590.48.01.txt'), 1],
    ['nvidia-smi nvlink', fixtureOf('nvlink/h200-590.48.01.txt'), 1],
    ['nvidia-smi topo -m', fixtureOf('topology/stas00-8gpu-a100-nv12.txt'), 8],
    ['nvidia-smi topo -m', fixtureOf('topology/1gpu-h200-590.48.01.txt'), 1],
    ['nvidia-smi topo -m', fixtureOf('topology/nvsentinel-mixed.txt'), 2],
    ['dcgmi diag', fixtureOf('dcgm/gcm-diag-1.json'), 0],
    ['fabric manager log', fixtureOf('fabric-manager/fabricmanager.txt'), 0],
    ['lspci', fixtureOf('lspci/a100-nn.txt'), 0],
    ['kernel log', fixtureOf('kernel-log/pstore-dmesg.txt'), 0],
    ['kernel log', `${xidLine(1)}\n`, 0],
    ['kernel log', '{"__REALTIME_TIMESTAMP":"1767225600000000","MESSAGE":"eth0: up"}\n', 0],
    ['ps', '  PID STAT COMMAND\n 4711 D    python3 train.py\n', 0],
  ] as const)('%s', async (format, text, gpuCount) => {
    for (const content of [text, gzipSync(text), text.replaceAll('\n', '\r\n')]) {
      // A name that says something else must not matter.
      const { files } = await openTexts({ 'notes.bin': content });
      expect(files).toMatchObject([{ formats: [format], gpuCount, unread: [] }]);
    }
  });

  it.each([
    ['prose', 'The node was slow since Monday.\nWe rebooted it.\n'],
    ["somebody else's JSON", fixtureOf('dcgm/gcm-nvlink-e-4.json')],
    ['an empty file', ''],
  ])('lists %s as not known', async (_, text) => {
    const { files } = await openTexts({ 'smi.xml': text });
    expect(files[0]?.formats).toEqual([]);
    expect(files[0]?.unread).toEqual([
      { file: 'smi.xml', line: 1, part: 'whole file', reason: 'in no format that is known' },
    ]);
  });

  it('cuts a ticket with several outputs and a log apart, each with its own lines', async () => {
    const ticket = ['Hi, our job died:', '```', xidLine(100, '0000:dd:00'), '```', '> $ nvidia-smi']
      .concat(
        h200Table.split('\n').map((line) => `> ${line}`),
        ['', '$ nvidia-smi -q', h200, '$ nvidia-smi topo -m', fixtureOf('topology/1gpu-h200-590.48.01.txt')],
      )
      .join('\n');
    const recordings = await openTexts({ ticket });
    expect(recordings.files[0]?.formats.toSorted()).toEqual([
      'kernel log',
      'nvidia-smi',
      'nvidia-smi -q',
      'nvidia-smi topo -m',
    ]);
    expect(await recordsOf(recordings)).toMatchObject([{ file: 'ticket', line: 3 }]);
    const node = await describeOf(recordings);
    expect(node.gpus).toHaveLength(1);
    const [gpu] = node.gpus;
    if (!gpu) return;
    const sample = await recordings.gpuProvider.readGpu(gpu, ['thermal', 'topology'], unaborted());
    expect(sample.citations?.['thermal.temperatureCelsius']).toEqual({
      file: 'ticket',
      line: lineOf(ticket, 'GPU Current Temp'),
    });
    // As the matrix says.
    expect(sample.topology).toMatchObject({ cpuAffinity: '0-23', numaAffinity: '0', peers: [] });
  });
});

describe('nvidia-bug-report.log', () => {
  const kernel = [xidLine(50, '0000:dd:00', 31), xidLine(60, '0000:dd:00', 79)];
  const journal = kernel.map(
    (line, second) => `Jan 01 00:00:0${second} host kernel: ${line.slice(line.indexOf('NVRM'))}`,
  );
  const report = bugReport([
    ['*** /proc/interrupts', '            CPU0\n  0:         33   IO-APIC'],
    ['*** /proc/pci does not exist', ''],
    ['/usr/bin/lspci -nn', fixtureOf('lspci/a100-nn.txt')],
    ['Scanning kernel log files for NVIDIA kernel messages:', `  journalctl -b -0:\n${journal.join('\n')}`],
    ['dmesg:', `${kernel.join('\n')}\n${xidLine(70, '0000:dd:00', 45)}`],
    ['/usr/bin/nvidia-smi --query', h200],
    ['/usr/bin/nvidia-debugdump -D', 'dwasv/SFzYYxRVWeTSCisJZl3vV5g6pTA9PhrmKdi15WNQUPtu3KoCzla'],
    ['; rm -rf / <b>not a heading</b>', 'x'],
  ]);

  it('is split at its banners; what is not used is listed by its heading', async () => {
    const recordings = await openTexts({ 'a.log.gz': gzipSync(report) });
    const [file] = recordings.files;
    expect(file?.formats).toEqual(['nvidia-bug-report', 'lspci', 'kernel log', 'nvidia-smi -q']);
    expect(file?.unread.map(({ part, line }) => [part, line])).toEqual([
      ['/proc/interrupts', lineOf(report, '*** /proc/interrupts')],
      ['/proc/pci does not exist', lineOf(report, '*** /proc/pci')],
      ['nvidia-debugdump -D', lineOf(report, 'nvidia-debugdump')],
      ['a part of the report', lineOf(report, 'not a heading')],
    ]);
    expect(recordings.hostDevices).toBeDefined();
    expect((await describeOf(recordings)).driverVersion).toBe('590.48.01');
  });

  it('counts a message once that stands in the journal and in dmesg', async () => {
    const records = await recordsOf(await openTexts({ report }));
    expect(records.map(({ text }) => /: (\d+),/.exec(text)?.[1])).toEqual(['31', '79', '45']);
    expect(records[0]?.line).toBe(lineOf(report, 'Jan 01 00:00:00'));
  });
});

describe('the newest capture of each GPU', () => {
  it('is taken by time, whatever the order of the files, and the others are kept', async () => {
    const old = query('Fri Oct 24 10:00:00 2025', [uuidOf('a')], 10);
    const young = query('Fri Oct 24 11:00:00 2025', [uuidOf('a')], 20);
    for (const files of [
      { 'a.txt': old, 'b.txt': young },
      { 'b.txt': young, 'a.txt': old },
      { c: `${young}${old}` },
    ]) {
      const recordings = await openTexts(files);
      const { gpus } = await describeOf(recordings);
      expect(gpus).toHaveLength(1);
      const sample = await recordings.gpuProvider.readGpu(gpus[0]!, ['memory'], unaborted());
      expect(sample.memory?.usedBytes).toBe(20 * 1024 * 1024);
      expect(recordings.earlier).toMatchObject([
        [{ memory: { usedBytes: 10 * 1024 * 1024 }, state: 'ok', observedAt: '2025-10-24T10:00:00.000Z' }],
      ]);
      expect(recordings.observedAt).toBe('2025-10-24T11:00:00.000Z');
    }
  });

  it('joins the formats of one run: the query has more digits than the table, links come from their own command', async () => {
    const recordings = await openTexts({
      table: h200Table,
      query: h200,
      links: fixtureOf('nvlink/h200-590.48.01.txt'),
    });
    const { gpus } = await describeOf(recordings);
    expect(gpus).toHaveLength(1);
    const sample = await recordings.gpuProvider.readGpu(
      gpus[0]!,
      ['power', 'nvlink', 'violations'],
      unaborted(),
    );
    expect(sample.citations?.['power.drawWatts']?.file).toBe('query');
    // 26.562 GB/s on 18 links, as the file prints them.
    expect(sample.nvlink?.links).toHaveLength(18);
    expect(sample.nvlink?.links?.[17]).toMatchObject({
      link: 17,
      active: true,
      speedMegabytesPerSecond: 26_562,
    });
    expect(sample.gaps).toContainEqual({
      gpu: 0,
      field: 'nvlink.links.replayErrorCount',
      reason: 'not-observable',
      detail: 'not in the file',
    });
  });

  it('names the MIG devices of the query by the profiles that only the list prints', async () => {
    const recordings = await openTexts({
      query: fixtureOf('nvidia-smi/q/linux-x86_64__nvidia-h200-mig__590.48.01__load.txt'),
      list: fixtureOf('nvidia-smi/L/linux-x86_64__nvidia-h200-mig__590.48.01.txt'),
    });
    const { gpus } = await describeOf(recordings);
    expect(gpus).toHaveLength(1);
    const { mig } = await recordings.gpuProvider.readGpu(gpus[0]!, ['mig'], unaborted());
    // The list: 1c.3g.71gb, 2c.3g.71gb, 2g.35gb and twice 1g.18gb. The query: instance ids and memory.
    expect(mig?.devices?.map(({ profile }) => profile)).toEqual([
      '1c.3g.71gb',
      '2c.3g.71gb',
      '2g.35gb',
      '1g.18gb',
      '1g.18gb',
    ]);
    for (const device of mig?.devices ?? []) expect(device.gpuInstanceId).toBeTypeOf('number');
  });

  it('keeps one GPU over an update of the driver, told by its UUID', async () => {
    const recordings = await openTexts({
      before: query('Fri Oct 24 10:00:00 2025', [uuidOf('a')], 0, '550.90.07'),
      after: query('Fri Oct 24 11:00:00 2025', [uuidOf('a')], 0, '570.86.15'),
    });
    const node = await describeOf(recordings);
    expect(node).toMatchObject({ driverVersion: '570.86.15', gpus: [{ uuid: uuidOf('a') }] });
    expect(recordings.notes).toEqual([]);
  });

  it('keeps the GPUs of two machines apart and says so', async () => {
    const recordings = await openTexts({
      one: query('Fri Oct 24 10:00:00 2025', [uuidOf('a'), uuidOf('b')]),
      two: query('Fri Oct 24 11:00:00 2025', [uuidOf('c'), uuidOf('d')]),
    });
    const { gpus } = await describeOf(recordings);
    expect(gpus.map(({ index, uuid }) => [index, uuid])).toEqual([
      [0, uuidOf('a')],
      [1, uuidOf('b')],
      [2, uuidOf('c')],
      [3, uuidOf('d')],
    ]);
    expect(recordings.notes.join()).toContain('2 machines');
  });

  it('does not call a GPU well that the newest capture no longer lists', async () => {
    const recordings = await openTexts({
      before: query('Fri Oct 24 10:00:00 2025', [uuidOf('a'), uuidOf('b')]),
      after: query('Fri Oct 24 11:00:00 2025', [uuidOf('a')]),
    });
    const { gpus } = await describeOf(recordings);
    expect(gpus).toHaveLength(2);
    await expect(recordings.gpuProvider.readGpu(gpus[1]!, ['memory'], unaborted())).rejects.toMatchObject({
      code: 'GPU_NOT_FOUND',
    });
    expect(recordings.notes.join()).toContain('does not list GPU 1');
  });

  it.each([
    ['Failed to initialize NVML: Driver/library version mismatch', 'DRIVER_MISMATCH'],
    [
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.",
      'DRIVER_NOT_LOADED',
    ],
    ['Failed to initialize NVML: Unknown Error', 'UNAVAILABLE'],
    ['nothing of a GPU', 'UNAVAILABLE'],
  ])('%s: %s', async (line, code) => {
    const recordings = await openTexts({ 'smi.txt': `$ nvidia-smi\n${line}\n` });
    const error = await describeOf(recordings).catch((thrown: unknown) => thrown);
    expect(isGpuError(error) && error.code).toBe(code);
    if (code === 'DRIVER_MISMATCH') {
      expect(recordings.driverFailures).toEqual([
        { kind: 'version-mismatch', citation: { file: 'smi.txt', line: 2 } },
      ]);
    }
  });
});

describe('the other ports', () => {
  it('give the bus, the processes, tests and what programs said, each with its place', async () => {
    const dcgm = fixtureOf('dcgm/gcm-diag-1.json');
    const recordings = await openTexts({
      lspci: fixtureOf('lspci/a100-nn.txt'),
      ps: 'USER  PID %CPU STAT COMMAND\nroot 4711  0.0 Dl   /usr/bin/python3 train.py\nann  4712  0.0 Zs   [python3] <defunct>\n',
      dcgm,
      fm: fixtureOf('fabric-manager/fabricmanager.txt'),
      app: 'step 1\nstep 2\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has ...\n',
    });
    const bus = await recordings.hostDevices?.read(unaborted());
    // Eight 3D controllers [0302] of vendor 10de; the four bridges [0680] are no GPUs.
    expect(bus?.pciGpus).toHaveLength(8);
    expect(bus?.pciGpus?.[0]).toMatchObject({
      pciAddress: '0001:00:00.0',
      vendorId: '10de',
      deviceId: '20b2',
    });
    const processes = await recordings.hostProcesses?.describe([4711, 4712, 1], unaborted());
    expect(processes?.processes).toMatchObject([
      { pid: 4711, state: 'D', name: 'python3', userName: 'root' },
      { pid: 4712, state: 'Z', name: 'python3', userName: 'ann' },
    ]);
    expect(recordings.testResults.filter(({ status }) => status !== 'pass')).toEqual([
      {
        test: 'Persistence Mode',
        gpu: null,
        status: 'fail',
        citation: { file: 'dcgm', line: lineOf(dcgm, 'Persistence Mode') },
      },
      {
        test: 'Environment Variables',
        gpu: null,
        status: 'warn',
        citation: { file: 'dcgm', line: lineOf(dcgm, 'Environment Variables') },
      },
    ]);
    expect(recordings.applicationErrors).toMatchObject([
      // Line 100: non-fatal error 12028, bus id 00000000:86:00.0, physical id 3, port 61.
      {
        kind: 'sxid',
        sxid: 12_028,
        pciAddress: '0000:86:00',
        switchIndex: 3,
        link: 61,
        at: '2025-02-27T15:10:02.000Z',
        trusted: false,
        file: 'fm',
        line: 100,
      },
      { kind: 'application-error', decoded: { code: 'gpu-out-of-memory', device: 3 }, file: 'app', line: 3 },
    ]);
  });

  it('does not call GPUs missing from the bus that lspci was not asked for', async () => {
    const smi = query('Fri Oct 24 10:00:00 2025', [uuidOf('a'), uuidOf('b')]);
    const one = '1b:00.0 3D controller [0302]: NVIDIA Corporation GH100 [10de:2330] (rev a1)';
    const two = `${one}\n1c:00.0 3D controller [0302]: NVIDIA Corporation GH100 [10de:2330] (rev a1)`;
    const busOf = async (lspci: string) => (await openTexts({ smi, lspci })).hostDevices?.read(unaborted());
    expect((await busOf(one))?.pciGpus).toBeNull();
    expect((await busOf(one))?.gaps).toContainEqual(expect.objectContaining({ field: 'pciGpus' }));
    expect((await busOf(two))?.pciGpus).toHaveLength(2);
  });

  it('has no bus and no processes without a file that shows them', async () => {
    const recordings = await openTexts({ log: xidLine(1) });
    expect(recordings.hostDevices).toBeUndefined();
    expect(recordings.hostProcesses).toBeUndefined();
  });
});

describe('the kernel log', () => {
  it('gives the records of all files in the order of the inputs, and what it covers', async () => {
    const recordings = await openTexts({
      'b.log': 'Jan 01 00:00:05 host kernel: NVRM: Xid (PCI:0000:3b:00): 31, x\n',
      'a.log': `${xidLine(1)}\n${xidLine(2)}\n`,
      'prose.txt': 'nothing\n',
      'remark.txt': 'sh: 1: nvidia-smi: not found\n',
    });
    const { records, coverage } = await recordings.kernelLog.read({ signal: unaborted() });
    expect(records.map(({ file, line }) => `${file}:${line}`)).toEqual(['b.log:1', 'a.log:1', 'a.log:2']);
    // Text in no known format is searched like a log, and counts as one unless it is the message of a command that failed.
    expect(coverage).toMatchObject({ source: 'file:b.log, file:a.log, file:prose.txt', readable: true });
  });

  it('is not readable when no file is one', async () => {
    const recordings = await openTexts({ 'smi.txt': h200 });
    const { coverage } = await recordings.kernelLog.read({ signal: unaborted() });
    expect(coverage).toMatchObject({ source: null, readable: false });
  });

  it('keeps the newest records and counts the rest', async () => {
    const log = Array.from({ length: 50 }, (_, second) => xidLine(second)).join('\n');
    const recordings = await openTexts({ log }, { maximumRecords: 10 });
    const { records, coverage } = await recordings.kernelLog.read({ signal: unaborted() });
    expect(records.map(({ line }) => line)).toEqual([41, 42, 43, 44, 45, 46, 47, 48, 49, 50]);
    expect(coverage.lostRecordCount).toBe(40);
  });
});
