// The nodes of the drill, and what is true of each. The verdicts follow from the descriptions of the scenarios and docs/health-rules.md.

/** `sick`: GPUs that are not ok, by index. */
export const nodes = [
  { name: 'gpu-01', scenario: 'healthy-8xh100', verdict: 'ok', gpuCount: 8, sick: [] },
  { name: 'gpu-02', scenario: 'fallen-off-bus', verdict: 'critical', gpuCount: 8, sick: [3] },
  { name: 'gpu-03', scenario: 'ecc-uncorrectable', verdict: 'critical', gpuCount: 8, sick: [2] },
  { name: 'gpu-04', scenario: 'row-remap-failed', verdict: 'critical', gpuCount: 8, sick: [5] },
  { name: 'gpu-05', scenario: 'thermal-throttle', verdict: 'critical', gpuCount: 4, sick: [1] },
  { name: 'gpu-06', scenario: 'nvlink-down', verdict: 'critical', gpuCount: 8, sick: [4] },
  { name: 'gpu-07', scenario: 'gsp-timeout', verdict: 'critical', gpuCount: 8, sick: [6] },
  { name: 'gpu-08', scenario: 'memory-held-by-nobody', verdict: 'warning', gpuCount: 4, sick: [1] },
  // Pods of another DaemonSet: they ask for no token, and must never be sent one.
  {
    name: 'gpu-09',
    scenario: 'application-page-fault',
    verdict: 'ok',
    gpuCount: 8,
    sick: [],
    isForeign: true,
  },
  { name: 'gpu-10', scenario: 'vbios-drift', verdict: 'ok', gpuCount: 8, sick: [], isForeign: true },
];

/** What is wrong with the row of a node that is well, or undefined. */
export function judgeWell({ name, verdict, gpuCount, sick }, row) {
  if (row === undefined) return `${name} is not in the answer`;
  if (row.status !== 'ok') return `${name} is ${row.status}: ${row.reason}`;
  if (row.verdict !== verdict) return `${name} is called ${row.verdict}, not ${verdict}`;
  if (row.gpuCount !== gpuCount || row.gpus?.length !== gpuCount)
    return `${name} has ${row.gpus?.length} of ${gpuCount} GPUs`;
  const told = row.gpus.filter((gpu) => gpu.verdict !== 'ok').map(({ index }) => index);
  return String(told) === String(sick) ? undefined : `${name}: sick GPUs are ${sick}, told are ${told}`;
}

/** What is wrong with the row of a node that has a fault, or undefined. */
export function judgeFaulty(name, { statuses, reason }, row) {
  if (row === undefined) return `${name} is not in the answer`;
  if (!statuses.includes(row.status)) return `${name} is ${row.status}, not ${statuses.join(' or ')}`;
  if (row.verdict !== 'unknown') return `${name} does not answer rightly and is called ${row.verdict}`;
  return reason.test(row.reason ?? '') ? undefined : `${name}: the reason is ${JSON.stringify(row.reason)}`;
}
