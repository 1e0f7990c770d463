import { test } from 'vitest';
import { groupIncidents } from './incidents.ts';
import { createKernelLogLineReader } from './container.ts';
import { parseKernelEvent } from './parse.ts';
import { readCorpus } from '../../fixtures/kernel-log/read.ts';
import { writeFileSync } from 'node:fs';
const ids = 'gpud-pr46 laptop-pmuhalt kr-blog-55 spark-119-120 zappa1-79 egpu-notes-120 vllm-40652 devforum-371272 devforum-364958 disk-gpud-iso gpud-pr1174 gigahorse-301 trainy-sxid'.split(' ');
test('x', () => {
  let out = '';
  for (const s of readCorpus('xid')) {
    if (!ids.includes(s.id)) continue;
    const reader = createKernelLogLineReader({ nowMilliseconds: Date.now() });
    const lines = s.raw.split('\n');
    const ev = [...lines.flatMap((l, i) => reader.push(l, i + 1)), ...reader.end()].flatMap((r) => parseKernelEvent(r) ?? []);
    out += `## ${s.id}\n`;
    for (const i of groupIncidents(ev)) out += [i.id, i.standing, i.verdict, i.severity, i.action, i.count, i.occurrenceCount, i.because ?? '', i.causedBy ?? '', '|', i.workflow?.outcome ?? ''].join(' ') + '\n';
  }
  // speed
  const big = Array.from({ length: 200_000 }, (_, k) => ({
    kind: 'xid' as const, xid: [45, 13, 31, 74, 48, 63, 94, 154, 43, 79][k % 10]!, pciAddress: `0000:${(k % 250).toString(16).padStart(2, '0')}:00`, detail: '', severity: 'critical' as const, action: 'reset-gpu' as const,
    at: new Date(1.7e12 + k * 7000).toISOString(), uptimeSeconds: k * 7, trusted: true, raw: `l${k}`, pid: k, file: 'f', line: k + 1,
  }));
  let t = performance.now(); let n = groupIncidents(big).length; out += `${n} ${performance.now() - t} ms\n`;
  const b2 = big.map((e, k) => ({ ...e, xid: k % 10_000, pciAddress: '0000:01:00' }));
  t = performance.now(); n = groupIncidents(b2).length; out += `${n} ${performance.now() - t} ms\n`;
  const b3 = big.map((e, k) => ({ ...e, pciAddress: `${k.toString(16)}:01:00` , at: new Date(1.7e12 + k).toISOString() }));
  t = performance.now(); n = groupIncidents(b3).length; out += `${n} ${performance.now() - t} ms\n`;
  const b4 = big.map((e, k) => ({ ...e, xid: k % 2 ? 45: 154, decoded:{recoveryTo: k%4?1:0, recoveryAction:'reset'}, pciAddress: `0000:01:00` , at: new Date(1.7e12 + k*400000).toISOString(), uptimeSeconds: k*400 }));
  t = performance.now(); n = groupIncidents(b4).length; out += `${n} ${performance.now() - t} ms\n`;
  const b5 = big.map((e, k) => ({ ...e, at: null, uptimeSeconds: null, file: `f${k}` }));
  t = performance.now(); n = groupIncidents(b5).length; out += `${n} ${performance.now() - t} ms ${Math.round(process.memoryUsage().heapUsed / 1e6)} MB\n`;
  writeFileSync('/tmp/out.txt', out);
}, 60000);
