import { describe, expect, test } from 'vitest';
import { parseSmiText, parseSmiXml } from './query.ts';

const source = { file: 'smi.txt', firstLine: 1 };
const xml = (gpus: string) => `<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
<timestamp>Fri Aug  4 11:44:30 2023</timestamp>
<driver_version>535.54.03</driver_version>
<attached_gpus>2</attached_gpus>
${gpus}
</nvidia_smi_log>
`;
const gpu = (address: string, inside: string) => `<gpu id="${address}">\n${inside}\n</gpu>`;
const readXml = (text: string) => {
  const capture = parseSmiXml(text, source);
  if (capture === undefined) throw new Error('not recognised');
  return capture;
};
const readText = (text: string, more = {}) => {
  const capture = parseSmiText(text.split('\n'), { ...source, ...more });
  if (capture === undefined) throw new Error('not recognised');
  return capture;
};
const head = `==============NVSMI LOG==============

Timestamp                                 : Wed Jun  7 19:32:16 2023
Driver Version                            : 510.73.08
CUDA Version                              : 11.6

Attached GPUs                             : 2
`;

describe('what is there, what is absent and what is not printed are three things', () => {
  const capture = readXml(
    xml(gpu('00000000:3B:00.0', '<fan_speed>N/A</fan_speed>\n<performance_state>P0</performance_state>')),
  );
  const [first] = capture.gpus;

  test('a value has a reading and the line it stands on', () => {
    expect(first?.readings.clocks?.performanceState).toBe('P0');
    expect(first?.citations['clocks.performanceState']).toEqual({ file: 'smi.txt', line: 9 });
  });
  test('an absence has a gap, and a line too', () => {
    expect(first?.gaps).toContainEqual({
      field: 'thermal.fanSpeedPercent',
      reason: 'unsupported',
      detail: 'nvidia-smi printed "N/A"',
    });
    expect(first?.citations['thermal.fanSpeedPercent']?.line).toBe(8);
  });
  test('what is not printed has neither', () => {
    expect(first?.gaps.map(({ field }) => field)).toEqual(['thermal.fanSpeedPercent']);
    expect(Object.keys(first?.readings ?? {})).toEqual(['clocks']);
  });
  test('the address is spelt as the rest of the program spells it', () => {
    expect(first?.ref).toEqual({ index: 0, uuid: null, pciAddress: '0000:3b:00.0', name: null });
  });
  test('lines count from where the document begins in the file', () => {
    const later = parseSmiXml(xml(gpu('00000000:3B:00.0', '<fan_speed>30 %</fan_speed>')), {
      file: 'report.log',
      firstLine: 1_001,
    });
    expect(later?.gpus[0]?.citations['thermal.fanSpeedPercent']).toEqual({ file: 'report.log', line: 1_008 });
    expect(later?.line).toBe(1_003);
  });
});

describe('a file that was cut', () => {
  const whole = xml(
    [
      gpu('00000000:01:00.0', '<uuid>GPU-aa</uuid><fan_speed>30 %</fan_speed>'),
      gpu(
        '00000000:02:00.0',
        '<uuid>GPU-bb</uuid><pci><replay_counter>12</replay_counter><tx_util>5 KB/s</tx_util></pci>',
      ),
    ].join('\n'),
  );

  test('XML: the GPUs before are kept, the group that was cut is not, and it is said', () => {
    const capture = readXml(whole.slice(0, whole.indexOf('<tx_util>') + 10));
    expect(capture.gpus.map(({ ref }) => ref.uuid)).toEqual(['GPU-aa', 'GPU-bb']);
    expect(capture.gpus[1]?.readings.pcie).toBeUndefined();
    expect(capture.unread).toEqual([
      { file: 'smi.txt', line: 11, part: 'a GPU', reason: 'it has no end: kept as far as it is whole' },
    ]);
  });
  test('XML: at every place, nothing is read that the whole file does not say', () => {
    const [one, two] = readXml(whole).gpus.map(({ readings }) => JSON.stringify(readings));
    for (let at = whole.indexOf('<gpu'); at < whole.length; at += 1) {
      const gpus = readXml(whole.slice(0, at)).gpus;
      for (const [position, { readings }] of gpus.entries()) {
        const full = JSON.parse((position === 0 ? one : two) ?? '{}');
        expect(full).toMatchObject(readings);
      }
    }
  });
  test('text: half of the last line is not read', () => {
    const text = `${head}GPU 00000000:01:00.0
    PCI
        Replays Since Reset               : 12`;
    expect(readText(text, { endsMidLine: true }).gpus[0]?.readings.pcie).toBeUndefined();
    expect(readText(text, { endsMidLine: true }).unread).toHaveLength(1);
    expect(readText(`${text}\n`).gpus[0]?.readings.pcie).toEqual({ replayCount: 12 });
  });
});

describe('documents that are not what they should be', () => {
  test('tags that do not match are said, and the rest is read', () => {
    const capture = readXml(
      xml(gpu('00000000:01:00.0', '<pci><replay_counter>1</pci><fan_speed>30 %</fan_speed>')),
    );
    expect(capture.gpus[0]?.readings.thermal?.fanSpeedPercent).toBe(30);
    expect(capture.unread.map(({ reason }) => reason)).toEqual(['an end tag does not match its start tag']);
  });
  test('a GPU that is there twice is read once', () => {
    const twice = ['<fan_speed>1 %</fan_speed>', '<fan_speed>2 %</fan_speed>'].map((inside) =>
      gpu('00000000:01:00.0', inside),
    );
    const capture = readXml(xml(twice.join('\n')));
    expect(capture.gpus.map(({ readings }) => readings.thermal?.fanSpeedPercent)).toEqual([1]);
    expect(capture.unread.map(({ part }) => part)).toEqual(['a GPU']);
  });
  test('of two documents the first is read', () => {
    const capture = readXml(xml(gpu('00000000:01:00.0', '')) + xml(gpu('00000000:02:00.0', '')));
    expect(capture.gpus).toHaveLength(1);
    expect(capture.unread.map(({ part }) => part)).toEqual(['another document']);
    const text = `${head}GPU 00000000:01:00.0\n    Fan Speed : 3 %\n${head}GPU 00000000:02:00.0\n`;
    expect(readText(text).gpus).toHaveLength(1);
    expect(readText(text).unread.map(({ part }) => part)).toEqual(['another document']);
  });
  test('a section that this version does not know is listed without its words', () => {
    const capture = readXml(
      xml(gpu('00000000:01:00.0', '<delete_everything><now>1</now></delete_everything>')),
    );
    expect(capture.unread).toEqual([
      {
        file: 'smi.txt',
        line: 8,
        part: 'a section of a GPU',
        reason: 'this version does not know its heading',
      },
    ]);
    expect(JSON.stringify(capture)).not.toContain('delete');
  });
  test('something else altogether', () => {
    expect(parseSmiXml('<html></html>', source)).toBeUndefined();
    expect(parseSmiXml('', source)).toBeUndefined();
    expect(parseSmiText([], source)).toBeUndefined();
    expect(parseSmiText(['hello', 'world'], source)).toBeUndefined();
  });
});

describe('GPUs that do not answer', () => {
  const fields = ['Product Name', 'GPU UUID', 'Fan Speed', 'Performance State'];
  const silent = (word: string) =>
    readText(`${head}GPU 00000000:01:00.0\n${fields.map((name) => `    ${name}   : ${word}`).join('\n')}\n`)
      .gpus[0];

  test.each([
    ['GPU is lost', 'lost'],
    ['GPU requires reset', 'reset-required'],
    ['Unknown Error', 'unreadable'],
    ['ERR!', 'unreadable'],
    ['N/A', undefined],
  ])('%s: %s', (word, state) => {
    expect(silent(word)?.state).toBe(state);
    expect(silent(word)?.gaps).toHaveLength(4);
    expect(silent(word)?.readings).toEqual({});
  });
  test('one reading that failed is a gap, not a state', () => {
    const [first] = readText(
      `${head}GPU 00000000:01:00.0\n    Fan Speed  : Unknown Error\n    Performance State  : P0\n`,
    ).gpus;
    expect(first?.state).toBeUndefined();
    expect(first?.gaps).toMatchObject([{ field: 'thermal.fanSpeedPercent', reason: 'error' }]);
  });
  test('one that the tool could not open keeps its place in the numbering', () => {
    const lost = 'Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error';
    const others = ['00000000:01:00.0', '00000000:02:00.0'].map((address) => gpu(address, '')).join('\n');
    const expected = [
      [0, '0000:01:00.0', undefined],
      [2, '0000:02:00.0', undefined],
      [1, '0000:34:00.0', 'unreadable'],
    ];
    const shape = (capture: ReturnType<typeof readXml>) =>
      capture.gpus.map(({ ref, state }) => [ref.index, ref.pciAddress, state]);
    expect(shape(readXml(`${lost}\n${xml(others)}`))).toEqual(expected);
    expect(shape(readXml(`${xml(others)}${lost}\n`))).toEqual(expected);
    const text = `${lost}\n${head}GPU 00000000:01:00.0\n    Fan Speed : 3 %\nGPU 00000000:02:00.0\n    Fan Speed : 3 %\n`;
    expect(shape(readText(text))).toEqual(expected);
  });
});

describe('shapes of driver generations', () => {
  const ecc = (inside: string) =>
    readXml(xml(gpu('00000000:01:00.0', `<ecc_errors>${inside}</ecc_errors>`))).gpus[0];
  const counts = (inside: string) => ecc(`<volatile>${inside}</volatile>`)?.readings.ecc;

  test('ECC by bits, up to Volta', () => {
    expect(
      counts(`<single_bit><device_memory>3</device_memory><l2_cache>1</l2_cache><total>4</total></single_bit>
        <double_bit><device_memory>0</device_memory><l2_cache>2</l2_cache><total>2</total></double_bit>`),
    ).toMatchObject({
      correctableVolatileCount: 4,
      uncorrectableVolatileCount: 2,
      locations: [
        { location: 'l2-cache', correctableVolatileCount: 1, uncorrectableVolatileCount: 2 },
        { location: 'dram', correctableVolatileCount: 3, uncorrectableVolatileCount: 0 },
      ],
    });
  });
  test('ECC by kind of memory, since Turing', () => {
    const reading = counts(
      '<sram_correctable>1</sram_correctable><sram_uncorrectable>2</sram_uncorrectable><dram_correctable>30</dram_correctable><dram_uncorrectable>40</dram_uncorrectable>',
    );
    expect(reading).toMatchObject({
      correctableVolatileCount: 31,
      uncorrectableVolatileCount: 42,
      sramUncorrectableVolatileCount: 2,
    });
  });
  test('SRAM errors divided, since R550', () => {
    expect(
      counts(
        '<sram_correctable>1</sram_correctable><sram_uncorrectable_parity>2</sram_uncorrectable_parity><sram_uncorrectable_secded>5</sram_uncorrectable_secded><dram_correctable>30</dram_correctable><dram_uncorrectable>40</dram_uncorrectable>',
      ),
    ).toMatchObject({ sramUncorrectableVolatileCount: 7, uncorrectableVolatileCount: 47 });
  });
  test('a sum with a part that failed is no sum', () => {
    const reading = ecc(
      '<volatile><sram_correctable>Unknown Error</sram_correctable><dram_correctable>30</dram_correctable></volatile>',
    );
    expect(reading?.readings.ecc?.correctableVolatileCount).toBeUndefined();
    expect(reading?.gaps).toContainEqual(
      expect.objectContaining({ field: 'ecc.correctableVolatileCount', reason: 'error' }),
    );
    expect(counts('<dram_correctable>30</dram_correctable>')?.correctableVolatileCount).toBeUndefined();
  });
  test('retired pages, and rows that are not remapped', () => {
    const [first] = readText(`${head}GPU 00000000:01:00.0
    Retired Pages
        Single Bit ECC                    : 60
        Double Bit ECC                    : 5
        Pending Page Blacklist            : Yes
    Remapped Rows                         : N/A
`).gpus;
    expect(first?.readings.rowRemap).toEqual({
      retiredPagesPending: true,
      singleBitRetiredPageCount: 60,
      doubleBitRetiredPageCount: 5,
      retiredPageCount: 65,
    });
    expect(first?.gaps.map(({ field }) => field)).toContain('rowRemap.pending');
    expect(first?.citations['rowRemap.pending']?.line).toBe(13);
  });
  test('throttle reasons became event reasons', () => {
    const reasons = (word: string) =>
      readXml(
        xml(
          gpu(
            '00000000:01:00.0',
            `<clocks_${word}_reasons><clocks_${word}_reason_gpu_idle>Active</clocks_${word}_reason_gpu_idle><clocks_${word}_reason_hw_slowdown>Not Active</clocks_${word}_reason_hw_slowdown><clocks_${word}_reason_hw_power_brake_slowdown>Active</clocks_${word}_reason_hw_power_brake_slowdown></clocks_${word}_reasons>`,
          ),
        ),
      ).gpus[0]?.readings.clocks?.eventReasons;
    expect(reasons('throttle')).toEqual(['idle', 'hardware-power-brake']);
    expect(reasons('event')).toEqual(['idle', 'hardware-power-brake']);
  });
  test('an active reason without a name of ours does not read as none', () => {
    const [first] = readXml(
      xml(
        gpu(
          '00000000:01:00.0',
          '<clocks_event_reasons><clocks_event_reason_gpu_idle>Not Active</clocks_event_reason_gpu_idle><clocks_event_reason_new>Active</clocks_event_reason_new></clocks_event_reasons>',
        ),
      ),
    ).gpus;
    expect(first?.readings.clocks?.eventReasons).toBeUndefined();
    expect(first?.gaps).toMatchObject([{ field: 'clocks.eventReasons', reason: 'error' }]);
  });
  test('the power of a driver that prints two draws, and of one that prints one', () => {
    const power = (group: string, inside: string) =>
      readXml(xml(gpu('00000000:01:00.0', `<${group}>${inside}</${group}>`))).gpus[0]?.readings.power;
    expect(
      power(
        'gpu_power_readings',
        '<average_power_draw>70.10 W</average_power_draw><instant_power_draw>80.00 W</instant_power_draw>',
      ),
    ).toEqual({ drawWatts: 70.1, averageDrawWatts: 70.1, instantDrawWatts: 80 });
    expect(
      power(
        'gpu_power_readings',
        '<average_power_draw>N/A</average_power_draw><instant_power_draw>80.00 W</instant_power_draw>',
      ),
    ).toEqual({ drawWatts: 80, instantDrawWatts: 80 });
    expect(
      power(
        'power_readings',
        '<power_draw>25.58 W</power_draw><enforced_power_limit>300.00 W</enforced_power_limit>',
      ),
    ).toEqual({ drawWatts: 25.58, enforcedLimitWatts: 300 });
  });
  test('before there was a recovery action there were two questions', () => {
    const action = (required: string, drain: string) =>
      readXml(
        xml(
          gpu(
            '00000000:01:00.0',
            `<gpu_reset_status><reset_required>${required}</reset_required><drain_and_reset_recommended>${drain}</drain_and_reset_recommended></gpu_reset_status>`,
          ),
        ),
      ).gpus[0]?.readings.recovery?.action;
    expect(action('Yes', 'No')).toBe('reset');
    expect(action('Yes', 'Yes')).toBe('drain-and-reset');
    expect(action('No', 'No')).toBeUndefined();
    expect(action('Requested functionality has been deprecated', 'N/A')).toBeUndefined();
  });
  test('slowdowns that overlap are not counted twice', () => {
    const name = 'clocks_event_reasons_counters';
    const [first] = readXml(
      xml(
        gpu(
          '00000000:01:00.0',
          `<${name}><${name}_sw_therm_slowdown>30 us</${name}_sw_therm_slowdown><${name}_hw_therm_slowdown>20 us</${name}_hw_therm_slowdown></${name}>`,
        ),
      ),
    ).gpus;
    expect(first?.readings.violations).toEqual({ thermalMicroseconds: 30 });
  });
  test('accounted processes', () => {
    const [first] = readXml(
      xml(
        gpu(
          '00000000:01:00.0',
          `<accounted_processes>
          <accounted_process_info><pid>54796</pid><gpu_util>0 %</gpu_util><memory_util>1 %</memory_util><max_memory_usage>843 MiB</max_memory_usage><time>18228 ms</time><is_running>0</is_running></accounted_process_info>
          <accounted_process_info><pid>37305</pid><gpu_util>90 %</gpu_util><memory_util>7 %</memory_util><max_memory_usage>N/A</max_memory_usage><time>0 ms</time><is_running>1</is_running></accounted_process_info>
          </accounted_processes>`,
        ),
      ),
    ).gpus;
    expect(first?.readings.processes?.accounted).toEqual([
      {
        pid: 54_796,
        running: false,
        gpuPercent: 0,
        memoryPercent: 1,
        maxMemoryUsedBytes: 843 * 1024 ** 2,
        startedAt: null,
        activeMilliseconds: 18_228,
      },
      {
        pid: 37_305,
        running: true,
        gpuPercent: 90,
        memoryPercent: 7,
        maxMemoryUsedBytes: null,
        startedAt: null,
        activeMilliseconds: null,
      },
    ]);
    expect(first?.gaps.map(({ field, reason }) => [field, reason])).toEqual([
      ['processes.accounted.maxMemoryUsedBytes', 'unsupported'],
      ['processes.accounted.startedAt', 'not-observable'],
      ['processes.accounted.activeMilliseconds', 'not-observable'],
    ]);
  });
});

describe('the text form', () => {
  test('some sections only, with a remark and with lines left out', () => {
    const capture = readText(`Attached GPUs                             : 8
GPU 00000000:10:1C.0
    Product Name                          : NVIDIA A100-SXM4-80GB
    [...]
    Remapped Rows
        Pending                           : Yes                      <===
`);
    expect(capture.attachedGpuCount).toBe(8);
    expect(capture.gpus[0]?.readings).toEqual({
      identity: { name: 'NVIDIA A100-SXM4-80GB' },
      rowRemap: { pending: true },
    });
    expect(capture.unread.map(({ line, part }) => [line, part])).toEqual([[4, 'lines that were left out']]);
  });
  test('lines of Windows', () => {
    const text = `${head}GPU 00000000:01:00.0\n    Fan Speed : 30 %\n    Processes : None\n`;
    const capture = readText(text.replaceAll('\n', '\r\n'));
    expect(capture.gpus[0]?.readings).toEqual({
      thermal: { fanSpeedPercent: 30 },
      processes: { running: [] },
    });
    expect(capture.at).toBe('2023-06-07T19:32:16.000Z');
  });
  test('a process whose name looks like a line of the output', () => {
    const [first] = readText(`${head}GPU 00000000:01:00.0
    Processes
        GPU instance ID                   : N/A
        Compute instance ID               : N/A
        Process ID                        : 100
            Type                          : M+C
            Name                          : evil : Process ID : 7
            Used GPU Memory               : 5 MiB
    Fan Speed                             : 30 %
`).gpus;
    expect(first?.readings.processes?.running).toMatchObject([
      { pid: 100, kinds: ['compute', 'mps'], memoryUsedBytes: 5 * 1024 ** 2, gpuInstanceId: null },
    ]);
    expect(JSON.stringify(first)).not.toContain('evil');
  });
});
