// Reads folders of golden incidents, runs the built command line over one, and says what came out.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, gunzipSync } from 'node:zlib';
import { isRight, judge } from './judge.js';

const agent = fileURLToPath(new URL('../../apps/agent/bin/k8s-gpu-mcp-server.js', import.meta.url));
const timeoutMilliseconds = 120_000;
/** What a diagnosis may exit with; anything else is a failure of the program. */
const diagnosisExitCodes = [0, 1, 2, 3];

/**
 * What of an input was written by programs or the kernel: text that must not be taken for the tool's own. Names of tests and headings of
 * a report are part of its format.
 */
function foreignText(file, text) {
  if (file === 'dcgm-diag.json') return (text.match(/"warnings": *"[^"]*"/g) ?? []).join('\n');
  if (file.startsWith('nvidia-bug-report')) return (text.match(/^.*(?:NVRM:|kernel:).*$/gm) ?? []).join('\n');
  return /\.log(\.gz)?$|^ps\.txt$/.test(file) ? text : '';
}

/**
 * Every folder with an incident.json, in order of name.
 * @param {string} folder
 * @param {string} [only]
 * @returns {import('./scorer.js').GoldenIncident[]}
 */
export function readIncidents(folder, only) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && (only === undefined || entry.name === only))
    .filter(({ name }) => existsSync(join(folder, name, 'incident.json')))
    .map(({ name }) => readIncident(join(folder, name), name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function readIncident(directory, name) {
  const inputs = readdirSync(directory)
    .filter((file) => file !== 'incident.json')
    .sort();
  const texts = new Map(inputs.map((file) => [file, textOf(join(directory, file))]));
  return {
    name,
    directory,
    inputs,
    document: JSON.parse(readFileSync(join(directory, 'incident.json'), 'utf8')),
    logText: [...texts].map(([file, text]) => foreignText(file, text)).join('\n'),
    lineCounts: new Map([...texts].map(([file, text]) => [file, lineCountOf(text)])),
    gpuAddresses: addressesIn(texts.get('nvidia-smi.xml') ?? texts.get('nvidia-smi.txt') ?? ''),
    texts,
  };
}

function textOf(file) {
  const bytes = readFileSync(file);
  if (!file.endsWith('.gz')) return bytes.toString('utf8');
  // A cut file gives what stands before the cut.
  return gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString('utf8');
}

const lineCountOf = (text) => text.split('\n').length - (text.endsWith('\n') ? 1 : 0);

/** GPUs of a capture in their order, as the kernel writes their addresses: `0000:3b:00`. */
function addressesIn(text) {
  const headings = text.matchAll(/<gpu id="([0-9A-Fa-f:.]+)">|^GPU ([0-9A-Fa-f]{8}:[0-9A-Fa-f:.]+)$/gm);
  return [...headings].map(([, xml, plain]) => (xml ?? plain).toLowerCase().replace(/^0000|\.\d$/g, ''));
}

/**
 * Runs `analyze --json` over the inputs, in the folder of the incident, so that citations name bare files.
 * @param {import('./scorer.js').GoldenIncident} incident
 * @returns {Promise<Record<string, any>>} the answer
 * @throws {Error} when the program fails or prints no JSON
 */
export function runIncident({ directory, inputs, document }) {
  const flags = Object.entries(document.question).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [agent, 'analyze', '--json', ...flags, ...inputs],
      { cwd: directory, timeout: timeoutMilliseconds, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const exitCode = error ? error.code : 0;
        if (!diagnosisExitCodes.includes(exitCode))
          return reject(new Error(`analyze failed (${exitCode}): ${stderr.trim().slice(0, 300)}`));
        try {
          resolve(JSON.parse(stdout));
        } catch {
          reject(new Error(`analyze printed no JSON: ${stdout.slice(0, 200)}`));
        }
      },
    );
  });
}

/**
 * @param {import('./scorer.js').GoldenIncident} incident
 * @returns {Promise<import('./scorer.js').Score>}
 */
export async function score(incident) {
  try {
    const judgement = judge(incident, await runIncident(incident));
    return { name: incident.name, ok: isRight(judgement), ...judgement };
  } catch (error) {
    return {
      name: incident.name,
      ok: false,
      failure: error instanceof Error ? error.message : String(error),
    };
  }
}

/** An expectation that no answer can meet, to show that the score turns red. */
export function plantFault(incident) {
  const { document } = incident;
  return {
    ...incident,
    document: { ...document, expected: { ...document.expected, verdict: ['a planted fault'] } },
  };
}
