// Holds our readings against what nvidia-smi said in the same run, field by field.
import { clockEventReasons, fields, queryFields } from './fields.js';
import { firstTextAt, isAbsent, textAt } from './smi-output.js';

/**
 * `equal`: the same, or as far apart as printing rounds. `moved`: a live value that lies outside our readings before and after. `absent`: both
 * say that there is none. `only-ours`, `only-theirs`, `different`: what it says. The last two are failures.
 */
export const outcomes = ['equal', 'moved', 'absent', 'only-ours', 'only-theirs', 'different'];
export const failures = new Set(['only-theirs', 'different']);

/** The value of `section.leaf` (or deeper); undefined when the section was not read. */
function readingAt(sample, path) {
  let at = sample;
  for (const name of path.split('.')) {
    if (at === null || at === undefined) return at;
    at = at[name];
  }
  return at;
}

const isClose = (a, b, within) =>
  typeof a === 'number' && typeof b === 'number' ? Math.abs(a - b) <= within : a === b;

function judge(before, after, theirs, { within = 0, moves = false }) {
  if (before === null && after === null) return theirs === null ? 'absent' : 'only-theirs';
  if (theirs === null) return 'only-ours';
  if (isClose(before, theirs, within) || isClose(after, theirs, within)) return 'equal';
  const isBetween =
    typeof theirs === 'number' &&
    Math.min(before, after) - within <= theirs &&
    theirs <= Math.max(before, after) + within;
  if (isBetween) return 'equal';
  return moves ? 'moved' : 'different';
}

/**
 * @param tree one GPU of `nvidia-smi -q -x`
 * @param before, after our samples of it, taken before and after nvidia-smi ran
 * @param query its row of `--query-gpu`, when there is one
 */
export function compareGpu(tree, before, after, query) {
  const results = [];
  const add = (reading, text, decode, rule) => {
    const ours = [readingAt(before, reading) ?? null, readingAt(after, reading) ?? null];
    const theirs = isAbsent(text) ? null : decode(text);
    const gap = gapOf(after, reading);
    results.push({
      reading,
      ours: ours[1],
      theirs,
      outcome: judge(...ours, theirs, rule),
      ...(gap ? { gap } : {}),
    });
  };
  for (const field of fields) {
    const text = firstTextAt(tree, field.xml);
    // An element that this driver's nvidia-smi does not print says nothing.
    if (text !== undefined) add(field.reading, text, field.decode, field);
  }
  for (const { reading, column, decode, moves = false } of queryFields) {
    const text = query?.[column];
    if (text !== undefined) add(reading, text, decode, { moves });
  }
  results.push(...compareReasons(tree, before, after), ...compareEcc(tree, after));
  return results;
}

function gapOf(sample, reading) {
  const leaf = reading.split('.').slice(0, 2).join('.');
  return sample.gaps.find((gap) => gap.field === leaf)?.detail;
}

function compareReasons(tree, before, after) {
  const container = tree.clocks_event_reasons ?? tree.clocks_throttle_reasons;
  if (container === undefined) return [];
  const prefix = tree.clocks_event_reasons ? 'clocks_event_reason_' : 'clocks_throttle_reason_';
  return clockEventReasons.flatMap(([ours, theirs]) => {
    const text = textAt(container, prefix + theirs);
    if (isAbsent(text)) return [];
    const active = text === 'Active';
    const values = [before, after].map((sample) => sample.clocks?.eventReasons?.includes(ours) ?? null);
    return [
      {
        reading: `clocks.eventReasons: ${ours}`,
        ours: values[1],
        theirs: active,
        outcome: judge(...values, active, { moves: true }),
      },
    ];
  });
}

/** Counts that we keep by location and nvidia-smi by memory and kind. */
function compareEcc(tree, sample) {
  const kinds = { correctable: 'dram_correctable', uncorrectable: 'dram_uncorrectable' };
  return ['volatile', 'aggregate'].flatMap((span) =>
    Object.entries(kinds).flatMap(([kind, name]) => {
      const text = textAt(tree, `ecc_errors.${span}.${name}`);
      if (isAbsent(text)) return [];
      const leaf = `${kind}${span === 'volatile' ? 'Volatile' : 'Aggregate'}Count`;
      const ours = sample.ecc?.locations?.find(({ location }) => location === 'dram')?.[leaf] ?? null;
      return [
        {
          reading: `ecc.locations: dram ${leaf}`,
          ours,
          theirs: Number(text),
          outcome: judge(ours, ours, Number(text), {}),
        },
      ];
    }),
  );
}

const spelling = {
  'same-board': 'PIX',
  'single-switch': 'PIX',
  'multiple-switches': 'PXB',
  'host-bridge': 'PHB',
  'numa-node': 'NODE',
  system: 'SYS',
};

/** A row of `topo -m` against our topology and links. Where nvidia-smi prints NVn, the PCIe path is not shown. */
export function compareTopology(row, sample) {
  const { topology, nvlink } = sample;
  const results = [];
  const add = (reading, ours, theirs) =>
    results.push({ reading, ours, theirs, outcome: judge(ours ?? null, ours ?? null, theirs, {}) });
  for (const peer of topology?.peers ?? []) {
    const cell = row.cells[`GPU${peer.index}`];
    if (isAbsent(cell)) continue;
    const links = /^NV(\d+)$/.exec(cell);
    if (links) {
      const active = nvlink?.links?.filter(({ active }) => active).length ?? null;
      add(`nvlink.links: active, to GPU ${peer.index}`, active, Number(links[1]));
    } else add(`topology.peers: GPU ${peer.index}`, spelling[peer.commonAncestor] ?? null, cell);
  }
  if (!isAbsent(row.cells['CPU Affinity']))
    add('topology.cpuAffinity', topology?.cpuAffinity, row.cells['CPU Affinity']);
  if (!isAbsent(row.cells['NUMA Affinity']))
    add('topology.numaAffinity', topology?.numaAffinity, row.cells['NUMA Affinity']);
  return results;
}

/** Rows of `--query-compute-apps` of one GPU against its processes. They come and go between two looks. */
export function compareProcesses(rows, sample) {
  const running = sample.processes?.running;
  return rows.map(({ pid, used_gpu_memory: memory }) => {
    const ours = running?.find((process) => process.pid === Number(pid)) ?? null;
    const theirs = isAbsent(memory) ? null : Number.parseFloat(memory) * 1024 ** 2;
    const used = ours?.memoryUsedBytes ?? null;
    const outcome = ours === null ? 'moved' : judge(used, used, theirs, { within: 1024 ** 2, moves: true });
    return { reading: `processes.running: pid ${pid}`, ours: used, theirs, outcome };
  });
}
