import type { Citation } from '../domain/citation.ts';
import type { Finding } from '../domain/verdict.ts';
import type { PublishedRule } from '../health/rule.ts';
import type { DiagnosticTest } from '../ports/recorded-evidence.ts';

/**
 * Tests of the GPU itself, by DCGM's names without spaces and case. The others look at how the node is set up.
 * Source: NVIDIA DCGM diagnostics guide, test names of levels 2 to 4.
 */
const hardwareTests =
  /^(?:gpumemory|memory|memtest|memorybandwidth|pcie|pcibandwidth|pulsetest|diagnostic|sm(?:stress|performance)|targeted(?:stress|power)|nvbandwidth|ncclallreduce|eud|cpueud|integration)$/;
const source = 'NVIDIA DCGM diagnostics guide (a failed test is the vendor’s own statement)';

/** The same fault as the rule of this name on the readings of a GPU, which publishes it. Source: NVIDIA DCGM 4.6 health; NVSentinel. */
const corruptInforom = {
  ruleId: 'inforom.corrupt',
  verdict: 'critical',
  action: 'reset-gpu',
  confidence: 'high',
  source: 'NVIDIA DCGM 4.6 health (InfoROM corrupt: failure); NVSentinel',
} as const;

export const diagnosticTestRules = [
  {
    id: 'diagnostic.hardware-test',
    title: "A hardware test of the vendor's diagnostic",
    threshold: 'failed: critical; gave a warning: warning',
    appliesTo: 'results of `dcgmi diag` among the files',
    verdict: 'critical',
    action: 'run-field-diagnostic',
    confidence: 'high',
    source,
  },
  {
    id: 'diagnostic.set-up-test',
    title: "A test of the set-up by the vendor's diagnostic",
    threshold: 'failed or gave a warning',
    appliesTo: 'results of `dcgmi diag` among the files',
    verdict: 'warning',
    action: 'monitor',
    confidence: 'high',
    source,
    note: 'Persistence mode and environment variables fail it on nodes that work.',
  },
] as const satisfies readonly PublishedRule[];

/** What the vendor's own diagnostic found: a failed test of the hardware is authoritative, one of the set-up is to be looked at. */
export function diagnosticTestFindings(tests: readonly DiagnosticTest[]): readonly Finding[] {
  return tests
    .filter(({ status }) => status === 'fail' || status === 'warn')
    .map(({ test, gpu, status, citation }): Finding => {
      const name = test.toLowerCase().replaceAll(/[^a-z]/g, '');
      const isHardware = hardwareTests.test(name);
      if (name === 'inforom' && status === 'fail') return inforomFinding(gpu, citation);
      const isFailure = status === 'fail';
      const subject = isHardware ? 'this GPU' : 'the set-up of the node';
      return {
        ruleId: `diagnostic.${isHardware ? 'hardware' : 'set-up'}-test`,
        verdict: isFailure && isHardware ? 'critical' : 'warning',
        ...(gpu === null ? {} : { gpu }),
        what: `A test of ${subject} by the vendor's diagnostic ${isFailure ? 'failed' : 'gave a warning'}.`,
        evidence: [{ field: 'diagnosticTest', value: status, ...citation }],
        action: isFailure && isHardware ? 'run-field-diagnostic' : 'monitor',
        source,
        confidence: isFailure ? 'high' : 'medium',
      };
    });
}

function inforomFinding(gpu: number | null, citation: Citation): Finding {
  return {
    ...corruptInforom,
    ...(gpu === null ? {} : { gpu }),
    what: 'The InfoROM, the configuration memory of this GPU, does not check: reset the GPU, and if it stays so it is for support.',
    evidence: [{ field: 'inforom', value: 'corrupt', ...citation }],
  };
}
