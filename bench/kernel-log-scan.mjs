// A kernel log against `grep -c "NVRM: Xid"` on the same file, in turns, the file in the page cache. Once in process: 10 MB from the first
// byte read to the parsed events, by what the agent runs in a process that is already there, against a whole grep. And once as whole
// processes: `k8s-gpu-mcp-server analyze --events` on a large file, node's start included. All counts must agree. BYTES sets the size of the
// large file (default 1,000,000,000; BENCH_SHORT=1: 250,000,000; in much smaller ones node's start is all there is to measure).
//
// Run alone: node bench/kernel-log-scan.mjs (after npm run build).
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseKernelEvent } from '@k8s-gpu-mcp/core';
import { scanKernelLog } from '@k8s-gpu-mcp/host-linux';
import { printAlone } from './harness/alone.mjs';
import { isShort } from './harness/environment.mjs';
import { exactFigure, figure, median } from './harness/figure.mjs';
import { bundleForm } from './harness/forms.mjs';
import { millisecondsSince, spawnProgram } from './harness/processes.mjs';

/** Far above what a scan needs (node itself takes about 45 MB), far below the size of the large log. */
const memoryLimitBytes = 100_000_000;
const smallBytes = 10_000_000;
const inProcess = { rounds: isShort ? 15 : 41, warmUps: 20, linesPerXid: 500 };
const whole = { rounds: isShort ? 5 : 9, linesPerXid: 50_000 };

/** What a busy GPU node logs besides errors; many lines hold letters and words that a search for Xids stumbles over. */
const messages = [
  (r) =>
    `audit: type=1400 audit(1772${r(1e6)}.${r(999)}:${r(99999)}): apparmor="ALLOWED" operation="open" profile="/usr/sbin/sssd" name="/proc/${r(99999)}/cmdline" pid=${r(99999)} comm="sssd_nss" requested_mask="r" fsuid=0 ouid=0`,
  (r) =>
    `[UFW BLOCK] IN=eth0 OUT= MAC=00:16:3e:${r(99)} SRC=10.${r(255)}.${r(255)}.${r(255)} DST=10.0.0.${r(255)} LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=${r(65535)} DF PROTO=TCP SPT=${r(65535)} DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0`,
  (r) => `IPv6: ADDRCONF(NETDEV_CHANGE): cali${r(1e6).toString(16)}: link becomes ready`,
  (r) => `cni0: port ${r(200)}(veth${r(1e6).toString(16)}) entered forwarding state`,
  (r) => `eth0: renamed from veth${r(1e6).toString(16)}`,
  (r) => `nvme nvme0: I/O ${r(999)} QID ${r(64)} timeout, completion polled`,
  (r) =>
    `mlx5_core 0000:${r(99)}:00.0: mlx5_cmd_out_err:${r(999)}:(pid ${r(99999)}): ACCESS_REG(0x805) op_mod(0x1) failed, status bad parameter(0x3), syndrome (0x${r(1e6).toString(16)})`,
  (r) => `EXT4-fs (nvme${r(9)}n1): mounted filesystem with ordered data mode. Quota mode: none.`,
  (r) => `XFS (dm-${r(99)}): Ending clean mount`,
  (r) => `SELinux: Context system_u:object_r:container_file_t:s0:c${r(999)} is not valid (left unmapped).`,
  (r) => `systemd[1]: Started Session ${r(9999)} of User root.`,
  (r) => `nfs: server 10.0.0.${r(255)} not responding, still trying`,
  (r) => `INFO: task kworker/${r(99)}:1:${r(99999)} blocked for more than 120 seconds.`,
  (r) =>
    `perf: interrupt took too long (${r(9999)} > ${r(9999)}), lowering kernel.perf_event_max_sample_rate`,
  (r) => `NFSD: Using legacy client tracking operations. Grace period ${r(99)} s.`,
  (r) => `KVM: vcpu ${r(64)} Guest RIP 0x${r(1e9).toString(16)} AMD-V nested paging enabled`,
];
const xids = [13, 31, 43, 45, 48, 63, 74, 79, 94, 119];

/** Lines of about `bytes` bytes, every so many of them an Xid. Seeded: the same every time. */
function makeLines(bytes, linesPerXid) {
  let state = 0x2545f491;
  const random = (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  let text = '';
  let milliseconds = 0;
  let xidCount = 0;
  for (let line = 1; text.length < bytes; line += 1) {
    milliseconds += random(3000);
    let message = messages[random(messages.length)](random);
    if (line % linesPerXid === 0) {
      xidCount += 1;
      const bus = (16 + random(224)).toString(16);
      message = `NVRM: Xid (PCI:0000:${bus}:00): ${xids[random(xids.length)]}, pid=${random(99999)}, name=python3, Ch ${random(99)}`;
    }
    const uptime = (milliseconds / 1000).toFixed(6).padStart(12);
    text += `2026-03-${10 + random(19)}T17:${10 + random(49)}:${10 + random(49)}+00:00 node${random(9)} kernel: [${uptime}] ${message}\n`;
  }
  return { text, xidCount };
}

/** Repeats what was made once: making a gigabyte takes longer than all that is measured. */
function writeLog(path, bytes, linesPerXid) {
  const { text, xidCount } = makeLines(Math.min(bytes, 25_000_000), linesPerXid);
  const file = openSync(path, 'w');
  let xidsWritten = 0;
  for (let written = 0; written < bytes; xidsWritten += xidCount) written += writeSync(file, text);
  closeSync(file);
  readThrough(path);
  return xidsWritten;
}

/** So that it is in the page cache. */
function readThrough(path) {
  const file = openSync(path, 'r');
  const buffer = Buffer.allocUnsafe(1 << 20);
  while (readSync(file, buffer) > 0);
  closeSync(file);
}

function expectCount(what, count, expected) {
  if (count !== expected) throw new Error(`${what} counts ${count} Xids, there are ${expected}`);
}

async function countInProcess(path) {
  let count = 0;
  for await (const record of scanKernelLog({ path }))
    if (parseKernelEvent(record)?.kind === 'xid') count += 1;
  return count;
}

/** A whole process: milliseconds from spawn to its end, what it printed, and the most memory it had resident. */
async function timed(command) {
  const startedAt = process.hrtime.bigint();
  const { child, pid, ended } = spawnProgram(command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let memoryBytes = 0;
  const watch = setInterval(() => {
    memoryBytes = peakBytes(pid) ?? memoryBytes;
  }, 25);
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const how = await ended;
  const milliseconds = millisecondsSince(startedAt);
  clearInterval(watch);
  // The exit code of analyze is its verdict, 0 to 3.
  if (child.exitCode === null || child.exitCode > 3) throw new Error(how);
  return { milliseconds, output, memoryBytes };
}

function peakBytes(pid) {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
  } catch {
    return undefined; // it has just ended
  }
}

async function grepMilliseconds(path, xidCount) {
  const { milliseconds, output } = await timed(['grep', '-c', 'NVRM: Xid', path]);
  expectCount('grep', Number(output), xidCount);
  return milliseconds;
}

async function measureInProcess(folder) {
  const path = join(folder, 'small.log');
  const xidCount = writeLog(path, smallBytes, inProcess.linesPerXid);
  for (let run = 0; run < inProcess.warmUps; run += 1) await countInProcess(path);
  const pairs = [];
  for (let round = 0; round < inProcess.rounds; round += 1) {
    const theirs = await grepMilliseconds(path, xidCount);
    const startedAt = process.hrtime.bigint();
    const count = await countInProcess(path);
    pairs.push([millisecondsSince(startedAt), theirs]);
    expectCount('the scan', count, xidCount);
  }
  const [ours, theirs] = medians(pairs);
  const megabytesPerSecond = Math.round(smallBytes / 1e3 / ours);
  return figure({
    name: 'kernel log of 10 MB: read and parsed in process / a whole grep -c',
    pairs,
    ...{ must: 1, stretch: 0.3, guard: 3 },
    detail: `${ours.toFixed(1)} / ${theirs.toFixed(1)} ms, ${megabytesPerSecond} MB/s; ${xidCount} Xids`,
  });
}

async function measureWhole(folder) {
  const { BYTES } = process.env;
  const bytes = Number(BYTES ?? (isShort ? 2.5e8 : 1e9));
  const path = join(folder, 'large.log');
  const xidCount = writeLog(path, bytes, whole.linesPerXid);
  const command = [...bundleForm(), 'analyze', '--events', path];
  const pairs = [];
  let memoryBytes = 0;
  for (let round = 0; round < whole.rounds; round += 1) {
    const theirs = await grepMilliseconds(path, xidCount);
    const scan = await timed(command);
    const found = scan.output.split('\n').filter((line) => line.includes('"kind":"xid"')).length;
    expectCount('analyze', found, xidCount);
    pairs.push([scan.milliseconds, theirs]);
    memoryBytes = Math.max(memoryBytes, scan.memoryBytes);
  }
  const [ours, theirs] = medians(pairs);
  const size = `${Math.round(bytes / 1e6)} MB`;
  return [
    figure({
      name: `kernel log of ${size}: bundled analyze --events / grep -c, whole processes`,
      pairs,
      ...{ must: 2, guard: 4 },
      detail: `${Math.round(ours)} / ${Math.round(theirs)} ms; ${xidCount} Xids`,
    }),
    exactFigure({
      name: `kernel log of ${size}: most resident memory of analyze / its limit`,
      ...{ ours: memoryBytes, theirs: memoryLimitBytes, must: 1 },
      detail: `${Math.round(memoryBytes / 1e6)} of ${memoryLimitBytes / 1e6} MB`,
    }),
  ];
}

const medians = (pairs) => [0, 1].map((side) => median(pairs.map((pair) => pair[side])));

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), 'kernel-log-scan-'));
  try {
    return { figures: [await measureInProcess(folder), ...(await measureWhole(folder))] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

await printAlone(import.meta.filename, run);
