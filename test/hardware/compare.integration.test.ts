// The comparison program, whole, on captures of real machines: nvidia-smi is a script that prints the capture, libnvidia-ml is the fake
// library with the values behind it. What it shows is that units, names and decoding agree with what NVIDIA prints.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  compileFakeLibrary,
  configText,
  ensureBuilt,
  h100,
  noCompiler,
} from '../../packages/nvml/test/fake/rig.ts';
import { nodeOfCapture } from './fake-from-capture.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const captures = readdirSync(join(here, 'fixtures')).filter((name) => name.endsWith('.xml'));

/** nvidia-smi that answers -q -x with this text, and the other questions as a machine without an answer. */
function fakeSmi(folder: string, xml: string, topology?: string): string {
  const file = join(folder, 'nvidia-smi');
  writeFileSync(join(folder, 'query.xml'), xml);
  if (topology !== undefined) writeFileSync(join(folder, 'topology.txt'), topology);
  const script = [
    '#!/bin/sh',
    `case "$*" in`,
    `  "-q -x") cat ${folder}/query.xml ;;`,
    `  "topo -m") ${topology === undefined ? 'exit 1' : `cat ${folder}/topology.txt`} ;;`,
    '  *) exit 1 ;;',
    'esac',
  ];
  writeFileSync(file, `${script.join('\n')}\n`);
  chmodSync(file, 0o755);
  return file;
}

function compare(library: string, xml: string, config: string, topology?: string) {
  ensureBuilt();
  const folder = mkdtempSync(join(tmpdir(), 'compare-'));
  const configPath = join(folder, 'config');
  writeFileSync(configPath, config);
  const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(here, 'compare-with-nvidia-smi.mjs'),
      '--nvidia-smi',
      fakeSmi(folder, xml, topology),
      '--nvml-library',
      library,
      '--keep',
      join(folder, 'kept'),
    ],
    { encoding: 'utf8', env: { ...environment, FAKE_NVML_CONFIG: configPath } },
  );
  return { status, output: `${stdout}${stderr}`, kept: join(folder, 'kept') };
}

const captureOf = (name: string) => readFileSync(join(here, 'fixtures', name), 'utf8');
const configOf = (xml: string) => configText(nodeOfCapture(xml), '/dev/null');

describe.skipIf(noCompiler)(
  `comparison with nvidia-smi${noCompiler ? ` (skipped: ${noCompiler})` : ''}`,
  () => {
    it.each(captures)('%s: every field agrees', (name) => {
      const xml = captureOf(name);
      const { status, output, kept } = compare(compileFakeLibrary(), xml, configOf(xml));
      expect(output).not.toMatch(/^(?:different|only-theirs|moved)/m);
      expect(status, output).toBe(0);
      const equal = Number(/(\d+) equal/.exec(output)?.[1]);
      // Less would mean that the capture was hardly read.
      expect(equal, output).toBeGreaterThan(40);
      expect(readdirSync(kept)).toContain('readings.json');
      expect(output).toMatch(/latency get_gpu_health: cold \d+ ms, warm [\d.]+ ms/);
    });

    it.each([
      ['a temperature limit', /(<gpu_temp_slow_threshold>)\d+/, '$155', 'thermal.slowdownThresholdCelsius'],
      ['a serial number', /(<serial>)[^<]*/, '$1999', 'identity.serial'],
      ['a power limit', /(<default_power_limit>)[\d.]+/, '$1123.45', 'power.defaultLimitWatts'],
      ['an ECC mode', /(<current_ecc>)\w+/, '$1Disabled', 'ecc.enabled'],
    ])(
      'planted fault: %s that differs is named, and the exit code is 1',
      (_, pattern, replacement, reading) => {
        const xml = captureOf('a100.xml');
        const { status, output } = compare(
          compileFakeLibrary(),
          xml.replace(pattern, replacement),
          configOf(xml),
        );
        expect(output).toMatch(new RegExp(`^different .*${reading}`, 'm'));
        expect(status).toBe(1);
      },
    );

    const gpus = Array.from({ length: 8 }, (_, index) => h100(index));
    const named = gpus.map(({ uuid }) => `<gpu><uuid>${uuid}</uuid></gpu>`).join('');
    const board = `<nvidia_smi_log><attached_gpus>8</attached_gpus>${named}</nvidia_smi_log>`;
    // 12 links to the switches each, two sockets of 24 CPUs.
    const boardConfig = configText(
      { gpus: gpus.map((_, index) => ({ 'nvlink.count': 12, cpus: index < 4 ? '0-23' : '24-47' })) },
      '/dev/null',
    );

    it('the matrix of topo -m of an HGX A100 agrees: links, CPUs, NUMA nodes', () => {
      const { status, output } = compare(
        compileFakeLibrary(),
        board,
        boardConfig,
        captureOf('8gpu-a100-topo-m.txt'),
      );
      expect(status, output).toBe(0);
      // 8 GPUs: their UUID, a cell for each of 7 peers, CPU affinity, NUMA affinity; and how many GPUs there are.
      expect(output).toMatch(/^81 fields of 8 GPUs: 81 equal/m);
    });

    it('planted fault: a link that is down is a difference in the matrix', () => {
      const config = `set 2 nvlink.7.state 0\n${boardConfig}`;
      const { status, output } = compare(
        compileFakeLibrary(),
        board,
        config,
        captureOf('8gpu-a100-topo-m.txt'),
      );
      expect(output).toMatch(/^different +GPU 2 {2}nvlink\.links: active.* ours 11, nvidia-smi 12/m);
      expect(status).toBe(1);
    });

    it('planted fault: a reading that only nvidia-smi has is a failure', () => {
      const xml = captureOf('a100.xml');
      const config = configOf(xml).replace(/^set 0 vbios .*\n/m, '');
      const { status, output } = compare(compileFakeLibrary(), xml, config);
      expect(output).toMatch(/^only-theirs .*identity\.vbiosVersion/m);
      expect(status).toBe(1);
    });
  },
);
