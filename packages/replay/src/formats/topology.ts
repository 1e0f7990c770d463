import type { CommonAncestor, GpuPeer } from '@k8s-gpu-mcp/core';
import type { CapturedGpu } from '../recording.ts';

/** What `nvidia-smi topo -m` prints under its matrix, in the words of the port. */
const ancestors: Readonly<Record<string, CommonAncestor>> = {
  PSB: 'same-board',
  PIX: 'single-switch',
  PXB: 'multiple-switches',
  PHB: 'host-bridge',
  NODE: 'numa-node',
  SYS: 'system',
};
const pathWord = /^(?:X|NV\d{1,3}|SYS|NODE|PHB|PXB|PIX|PSB)$/;
const ranges = /^\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?){0,255}$/;
const maximumGpus = 256;

/**
 * The GPUs of a matrix: for each its peers (by the index that is printed) and the CPUs and NUMA nodes near it. `NVn` says that NVLink joins the two and
 * nothing about PCIe; the other words say how PCIe joins them and that NVLink does not.
 */
export function parseTopology(
  lines: readonly string[],
  place: { readonly file: string; readonly firstLine: number },
): readonly CapturedGpu[] {
  const rows = lines.flatMap((line, offset) => {
    const [label = '', ...cells] = line.slice(0, 8192).replace(colour, '').trim().split(/\s+/);
    const index = /^GPU(\d{1,3})$/.exec(label)?.[1];
    return index === undefined || !pathWord.test(cells[0] ?? '')
      ? []
      : [{ index: Number(index), cells, line: place.firstLine + offset }];
  });
  const columns = columnsOf(
    lines,
    rows.map(({ index }) => index),
  );
  return rows.slice(0, maximumGpus).flatMap(({ index, cells, line }) => {
    const words = cells.slice(0, cells.findIndex((cell) => !pathWord.test(cell)) >>> 0);
    // The cell of the GPU itself is the check that the columns were understood.
    if (words[columns.indexOf(index)] !== 'X') return [];
    const [cpus = '', nodes = ''] = cells.slice(words.length);
    const peers = columns.flatMap((peer, column) =>
      peer === index || words[column] === undefined ? [] : [peerOf(peer, words[column])],
    );
    const topology = {
      peers,
      ...(ranges.test(cpus) ? { cpuAffinity: cpus } : {}),
      ...(ranges.test(cpus) && ranges.test(nodes) ? { numaAffinity: nodes } : {}),
    };
    const citation = { file: place.file, line };
    return [
      {
        ref: { index, uuid: null, pciAddress: null, name: null },
        readings: { topology },
        gaps: [],
        citations: Object.fromEntries(Object.keys(topology).map((leaf) => [`topology.${leaf}`, citation])),
      },
    ];
  });
}

const colour = /\u001b\[[0-9;]{0,16}m/g;

/** Which GPU each column is about: from the header where there is a whole one, else in the order of the rows. */
function columnsOf(lines: readonly string[], rows: readonly number[]): readonly number[] {
  const header =
    lines
      .find((line) => line.includes('CPU Affinity'))
      ?.slice(0, 8192)
      .replace(colour, '') ?? '';
  const named = [...header.matchAll(/\bGPU(\d{1,3})\b/g)].map(([, index]) => Number(index));
  return named.length >= rows.length ? named : rows;
}

function peerOf(index: number, word: string): GpuPeer {
  const isNvlink = word.startsWith('NV');
  return {
    index,
    commonAncestor: ancestors[word] ?? null,
    read: null,
    write: null,
    nvlink: isNvlink ? 'ok' : null,
    atomics: null,
    pcie: null,
  };
}
