// Time of `k8s-gpu-mcp-server analyze --events` on a large kernel log, against `grep -c "NVRM: Xid"` on the same file in the same run. Both are whole
// processes, node's start included, in turns over several rounds on a file in the page cache; the ratio is of the medians, and the
// counts must agree. BYTES sets the size of the log (default 1,000,000,000; BENCH_SHORT=1: 500,000,000; in much
// smaller ones node's start is all there is to measure), ROUNDS the rounds.
//
// Run alone: node bench/kernel-log-scan.mjs (after npm run build).
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const limit = 4;
/** Far above what a scan needs (node itself takes about 45 MB), far below the size of the log. */
const memoryLimitKilobytes = 100_000;
const here = fileURLToPath(import.meta.url);
const agent = join(import.meta.dirname, '../apps/agent/bin/k8s-gpu-mcp-server.js');

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

/** Writes about `bytes` bytes and one Xid in 50,000 lines; gives the number of Xids. Seeded: the same file every time. */
function writeLog(path, bytes) {
  let state = 0x2545f491;
  const random = (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const file = openSync(path, 'w');
  let written = 0;
  let milliseconds = 0;
  let xidCount = 0;
  while (written < bytes) {
    let block = '';
    while (block.length < 1 << 20) {
      milliseconds += random(3000);
      let message;
      if (random(50_000) === 0) {
        xidCount += 1;
        const bus = (16 + random(224)).toString(16);
        message = `NVRM: Xid (PCI:0000:${bus}:00): ${xids[random(xids.length)]}, pid=${random(99999)}, name=python3, Ch ${random(99)}`;
      } else message = messages[random(messages.length)](random);
      const uptime = (milliseconds / 1000).toFixed(6).padStart(12);
      block += `2026-03-${10 + random(19)}T17:${10 + random(49)}:${10 + random(49)}+00:00 node${random(9)} kernel: [${uptime}] ${message}\n`;
    }
    written += writeSync(file, block);
  }
  closeSync(file);
  return xidCount;
}

/** Both get the same environment; a CA bundle would make node's start slower, which is not what is measured. */
const { NODE_EXTRA_CA_CERTS: _, BENCH_SHORT, BYTES, ROUNDS, ...environment } = process.env;

/** A whole process: its time, what it printed, and the most memory it had resident. */
function timed(command, argv) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(command, argv, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    let memoryKilobytes = 0;
    const watch = setInterval(() => {
      memoryKilobytes = peakKilobytes(child.pid) ?? memoryKilobytes;
    }, 25);
    child.stdout.on('data', (text) => {
      output += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      clearInterval(watch);
      const milliseconds = performance.now() - startedAt;
      // The exit code of analyze is its verdict, 0 to 3.
      if (code !== null && code <= 3) resolve({ milliseconds, output, memoryKilobytes });
      else reject(new Error(`${command} ended with ${code}`));
    });
  });
}

function peakKilobytes(pid) {
  try {
    const [, kilobytes] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kilobytes === undefined ? undefined : Number(kilobytes);
  } catch {
    return undefined;
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

function readThrough(path) {
  const file = openSync(path, 'r');
  const buffer = Buffer.allocUnsafe(1 << 20);
  while (readSync(file, buffer) > 0);
  closeSync(file);
}

export async function run() {
  const bytes = Number(BYTES ?? (BENCH_SHORT === '1' ? 5e8 : 1e9));
  const rounds = Number(ROUNDS ?? 5);
  const folder = mkdtempSync(join(tmpdir(), 'kernel-log-scan-'));
  try {
    const path = join(folder, 'kern.log');
    const xidCount = writeLog(path, bytes);
    readThrough(path);
    const grepTimes = [];
    const scanTimes = [];
    let memoryKilobytes = 0;
    const wrong = [];
    for (let round = 0; round < rounds; round += 1) {
      const grep = await timed('grep', ['-c', 'NVRM: Xid', path]);
      const scan = await timed(process.execPath, [agent, 'analyze', '--events', path]);
      const found = scan.output.split('\n').filter((line) => line.includes('"kind":"xid"')).length;
      grepTimes.push(grep.milliseconds);
      scanTimes.push(scan.milliseconds);
      memoryKilobytes = Math.max(memoryKilobytes, scan.memoryKilobytes);
      if (Number(grep.output) !== xidCount) wrong.push(`grep ${grep.output.trim()}`);
      if (found !== xidCount) wrong.push(`analyze ${found}`);
    }
    const ratio = median(scanTimes) / median(grepTimes);
    const megabytes = (kilobytes) => `${Math.round(kilobytes / 1000)} MB`;
    const details = [
      `${xidCount} Xids in ${megabytes(bytes / 1000)}`,
      `analyze ${Math.round(median(scanTimes))} ms, grep ${Math.round(median(grepTimes))} ms, ${rounds} rounds`,
      `at most ${megabytes(memoryKilobytes)} resident`,
      ...(wrong.length > 0 ? [`WRONG COUNTS: ${wrong.join(', ')}`] : []),
    ].join('; ');
    const pass = ratio <= limit && wrong.length === 0 && memoryKilobytes <= memoryLimitKilobytes;
    return { name: 'analyze of a kernel log / grep (time)', ratio, limit, pass, details };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === here) {
  const { name, ratio, pass, details } = await run();
  console.log(`${pass ? 'ok  ' : 'FAIL'} ${name}: ${ratio.toFixed(2)} (goal: at most ${limit})  ${details}`);
  process.exitCode = pass ? 0 : 1;
}
