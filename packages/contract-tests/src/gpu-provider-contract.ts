import assert from 'node:assert/strict';
import './answer-cases.ts';
import './behaviour-cases.ts';
import { contractCases } from './case-kit.ts';
import {
  findCoverageFaults,
  type GpuFault,
  gpuProviderRequirements,
  requirementFault,
} from './requirements.ts';
import { type ContractTest, type GpuProviderFixture, outcomeOf } from './rig.ts';

export interface GpuProviderContractOptions {
  readonly test: ContractTest;
  /**
   * A new, unshared fixture. `fault` is one of `stagedFaults` when a test is about it: the fixture must then have a GPU with that
   * fault. Without it the fixture may have faulty GPUs or none.
   */
  createFixture(fault: GpuFault | undefined): GpuProviderFixture | Promise<GpuProviderFixture>;
  /** Faults that the rig can stage. Requirements about others are reported as skipped. */
  readonly stagedFaults?: readonly GpuFault[];
}

/** Registers one test per requirement with the given runner, and one that every requirement has a test. */
export function runGpuProviderContract(options: GpuProviderContractOptions): void {
  const { test, createFixture } = options;
  test('contract suite: every requirement is cited by a test', async () => {
    const cited = contractCases.flatMap((contractCase) => contractCase.cites);
    assert.deepEqual(findCoverageFaults(cited, Object.keys(gpuProviderRequirements)), []);
  });
  for (const { cites, run } of contractCases) {
    const title = cites.map((id) => `${id}: ${gpuProviderRequirements[id].text}`).join(' ');
    const fault = cites.map(requirementFault).find((needed) => needed !== undefined);
    const body = async () => {
      const fixture = await createFixture(fault);
      try {
        await run(fixture);
      } finally {
        // A failing close is a failure of GP-CLOSE, not of whatever test happens to end here.
        await outcomeOf(() => fixture.provider.close());
        if (fixture.dispose) await fixture.dispose();
      }
    };
    if (fault === undefined || options.stagedFaults?.includes(fault)) test(title, body);
    else if (test.skip) test.skip(`${title} (not exercised: this rig cannot stage "${fault}")`, body);
  }
}
