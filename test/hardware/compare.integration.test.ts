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

/** What nvidia-smi prints beside -q -x; a question without an answer here is refused, as by a version that lacks it. */
interface SmiAnswers {
  readonly topology?: string;
  readonly queryGpu?: string;
  readonly computeApps?: string;
}

function fakeSmi(folder: string, xml: string, { topology, queryGpu, computeApps }: SmiAnswers): string {
  const answers = {
    '-q -x': xml,
    'topo -m': topology,
    '--query-gpu=*': queryGpu,
    '--query-compute-apps=*': computeApps,
  };
  const cases = Object.entries(answers).flatMap(([question, answer], position) => {
    if (answer === undefined) return [];
    writeFileSync(join(folder, `answer-${position}`), answer);
    const pattern = question.endsWith('*') ? `${question.slice(0, -1)}*` : `"${question}"`;
    return [`  ${pattern}) cat ${folder}/answer-${position} ;;`];
  });
  const file = join(folder, 'nvidia-smi');
  writeFileSync(file, ['#!/bin/sh', 'case "$*" in', ...cases, '  *) exit 1 ;;', 'esac', ''].join('\n'));
  chmodSync(file, 0o755);
  return file;
}

function compare(library: string, xml: string, config: string, answers: SmiAnswers = {}) {
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
      fakeSmi(folder, xml, answers),
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
      const { status, output } = compare(compileFakeLibrary(), board, boardConfig, {
        topology: captureOf('8gpu-a100-topo-m.txt'),
      });
      expect(status, output).toBe(0);
      // 8 GPUs: their UUID, a cell for each of 7 peers, CPU affinity, NUMA affinity; and how many GPUs there are.
      expect(output).toMatch(/^81 fields of 8 GPUs: 81 equal/m);
    });

    it('planted fault: a link that is down is a difference in the matrix', () => {
      const config = `set 2 nvlink.7.state 0\n${boardConfig}`;
      const { status, output } = compare(compileFakeLibrary(), board, config, {
        topology: captureOf('8gpu-a100-topo-m.txt'),
      });
      expect(output).toMatch(/^different +GPU 2 {2}nvlink\.links: active.* ours 11, nvidia-smi 12/m);
      expect(status).toBe(1);
    });

    describe('what only the CSV queries tell', () => {
      const xml = captureOf('a100.xml');
      const uuid = /<uuid>([^<]*)/.exec(xml)?.[1];
      // 2,566 MiB, as --query-compute-apps printed it on an H200.
      const held = `set 0 cc.major 8\nset 0 cc.minor 0\nset 0 process.compute 10291:${2_566 * 1024 ** 2}\n`;
      const queryGpu = (capability: string) => `uuid, compute_cap\n${uuid}, ${capability}\n`;
      const computeApps = `gpu_uuid, pid, used_gpu_memory [MiB]\n${uuid}, 10291, 2566 MiB\n`;
      const run = (answers: SmiAnswers) =>
        compare(compileFakeLibrary(), xml, `${held}${configOf(xml)}`, answers);
      const total = (output: string) => Number(/^(\d+) fields/m.exec(output)?.[1]);

      it('is compared too: compute capability, and the memory of each process', () => {
        const plain = run({});
        const asked = run({ queryGpu: queryGpu('8.0'), computeApps });
        expect(asked.status, asked.output).toBe(0);
        expect(asked.output).not.toMatch(/^(?:different|only-theirs|moved)/m);
        expect(total(asked.output)).toBe(total(plain.output) + 2);
      });

      it('planted fault: another compute capability is a difference, another process is reported', () => {
        const { status, output } = run({
          queryGpu: queryGpu('9.0'),
          computeApps: computeApps.replace('10291', '10292'),
        });
        expect(output).toMatch(/^different .*identity\.computeCapability/m);
        expect(output).toMatch(/^moved .*pid 10292/m);
        expect(status).toBe(1);
      });
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
