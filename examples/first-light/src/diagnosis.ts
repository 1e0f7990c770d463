/** The parts of the agent's answers that this example prints. */
export interface InventoryAnswer {
  readonly node: string;
  readonly summary: string;
}

export interface HealthAnswer {
  readonly node: string;
  readonly verdict: string;
  readonly summary: string;
  readonly gpus: readonly { readonly index: number; readonly verdict: string }[];
  readonly findings: readonly {
    readonly gpu?: number;
    readonly verdict: string;
    readonly what: string;
    readonly evidence: readonly { readonly field: string; readonly value: unknown }[];
    readonly action: string;
  }[];
  readonly nextSteps: readonly { readonly action: string; readonly reason: string }[];
  readonly coverage: { readonly gpuBackend: { readonly simulated?: boolean } };
}

export interface XidAnswer {
  readonly incidents: readonly {
    readonly xid?: number;
    readonly title: string;
    readonly gpu?: number;
    readonly pciAddress: string | null;
    readonly count: number;
    readonly lastAt: string | null;
    readonly raw: readonly string[];
  }[];
}

export interface Answers {
  readonly inventory: InventoryAnswer;
  readonly health: HealthAnswer;
  readonly xid: XidAnswer;
}

export type Emphasis = (kind: 'bad' | 'poor' | 'good' | 'strong', text: string) => string;

const applicationActions = ['restart-app', 'check-app'];
const softwareActions = ['restart-service', 'update-software'];
const observingActions = ['none', 'monitor'];

/** Whose problem it is, told by whom the advised action concerns. */
export function codeOrHardware(action: string): string {
  if (observingActions.includes(action)) return 'undecided: nothing has to be done at once';
  if (applicationActions.includes(action)) return 'the code: the action concerns the application';
  if (softwareActions.includes(action))
    return 'the system software: neither the application nor the hardware';
  return 'the hardware: restarting the application would not help';
}

const kindOf = (verdict: string) => (verdict === 'critical' ? 'bad' : verdict === 'ok' ? 'good' : 'poor');

/** What is wrong, the evidence, and the one thing to do: read in half a minute. */
export function renderDiagnosis({ inventory, health, xid }: Answers, emphasize: Emphasis): string {
  const lines: string[] = [];
  const word = (verdict: string) => emphasize(kindOf(verdict), verdict.toUpperCase());
  lines.push(
    `${emphasize('strong', `Node ${health.node}`)}: ${word(health.verdict)}    ${inventory.summary}`,
    '',
  );
  for (const { index, verdict } of health.gpus) {
    if (verdict === 'ok') continue;
    const [worst, ...others] = health.findings.filter((finding) => finding.gpu === index);
    lines.push(`  GPU ${index}  ${word(verdict)}  ${worst?.what ?? 'see get_gpu_health'}`);
    const proof = worst?.evidence.map(({ field, value }) => `${field} = ${String(value)}`).join('; ');
    if (proof) lines.push(`         evidence: ${proof}`);
    if (others.length > 0)
      lines.push(`         and ${others.length} more finding${others.length === 1 ? '' : 's'}`);
  }
  const healthy = health.gpus.filter(({ verdict }) => verdict === 'ok').map(({ index }) => index);
  if (healthy.length > 0) lines.push(`  GPU ${healthy.join(', ')}  ${word('ok')}`);

  lines.push('', emphasize('strong', 'Kernel log'));
  for (const incident of xid.incidents.slice(0, 5)) {
    const where =
      incident.gpu === undefined ? (incident.pciAddress ?? 'unnamed device') : `GPU ${incident.gpu}`;
    const name = incident.xid === undefined ? incident.title : `Xid ${incident.xid} (${incident.title})`;
    const times = incident.count > 1 ? `, ${incident.count} times` : '';
    lines.push(`  ${name} on ${where}${times}${incident.lastAt === null ? '' : `, ${incident.lastAt}`}`);
  }
  if (xid.incidents.length === 0) lines.push('  no GPU errors');
  else lines.push(`  | ${xid.incidents[0]?.raw[0] ?? ''}`);

  const step = health.nextSteps.find(({ action }) => action !== 'none');
  const action = step?.action ?? 'none';
  lines.push(
    '',
    `${emphasize('strong', 'Code or hardware?')} ${codeOrHardware(action)}.`,
    `${emphasize('strong', 'Do this now:')} ${emphasize(step ? 'bad' : 'good', action)}${step ? ` - ${step.reason}` : ''}`,
  );
  return `${lines.join('\n')}\n`;
}
