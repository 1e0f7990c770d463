import assert from 'node:assert/strict';
import { outcomeOf } from './outcomes.ts';

/** Fits `test` of vitest and of node:test. `skip`, where there is one, shows what this rig cannot exercise. */
export interface ContractTest {
  (name: string, body: () => Promise<void>): unknown;
  readonly skip?: (name: string, body: () => Promise<void>) => unknown;
}

/** One sentence that an adapter must make true. `needs` names what a test rig must stage for it. */
export interface Requirement<Stage extends string = string> {
  readonly text: string;
  readonly needs?: Stage;
}

export interface ContractOptions<Stage extends string, Fixture> {
  readonly test: ContractTest;
  /**
   * A new, unshared fixture for each test. `stage` is one of `staged` when a test needs it: the fixture must then have it. Without it the
   * fixture may stage something or nothing.
   */
  createFixture(stage: Stage | undefined): Fixture | Promise<Fixture>;
  /** What the rig can stage. Requirements that need something else are reported as skipped. */
  readonly staged: readonly Stage[];
}

/**
 * The tests of one port. Each cites the requirements that it proves; one more test fails when a requirement is cited by none. `end` gives
 * back what a fixture holds; that it fails is no failure of the test that ends.
 */
export function createContractSuite<
  Id extends string,
  Stage extends string,
  Fixture extends { dispose?(): Promise<void> },
>(
  requirements: Readonly<Record<Id, Requirement<Stage>>>,
  end: (fixture: Fixture) => Promise<void> = async () => {},
) {
  const cases: { readonly cites: readonly Id[]; readonly run: (fixture: Fixture) => Promise<void> }[] = [];
  return {
    /** The one way to add a test. */
    proves(cites: Id | readonly Id[], run: (fixture: Fixture) => Promise<void>): void {
      cases.push({ cites: typeof cites === 'string' ? [cites] : cites, run });
    },
    register({ test, createFixture, staged }: ContractOptions<Stage, Fixture>): void {
      test('contract suite: every requirement is cited by a test', async () => {
        const cited = cases.flatMap((contractCase) => contractCase.cites);
        assert.deepEqual(findCoverageFaults(cited, Object.keys(requirements)), []);
      });
      for (const { cites, run } of cases) {
        const title = cites.map((id) => `${id}: ${requirements[id].text}`).join(' ');
        const stage = cites.map((id) => requirements[id].needs).find((needed) => needed !== undefined);
        const body = async () => {
          const fixture = await createFixture(stage);
          try {
            await run(fixture);
          } finally {
            await outcomeOf(() => end(fixture));
            if (fixture.dispose) await fixture.dispose();
          }
        };
        if (stage === undefined || staged.includes(stage)) test(title, body);
        else if (test.skip) test.skip(`${title} (not exercised: this rig cannot stage "${stage}")`, body);
      }
    },
  };
}

/** What is wrong with the citations of a suite: requirements without a test, and ids that are no requirement. Empty when all is well. */
export function findCoverageFaults(cited: Iterable<string>, known: Iterable<string>): readonly string[] {
  const citedIds = new Set(cited);
  const knownIds = new Set(known);
  return [
    ...[...knownIds].filter((id) => !citedIds.has(id)).map((id) => `${id}: no test cites it`),
    ...[...citedIds].filter((id) => !knownIds.has(id)).map((id) => `${id}: not a requirement`),
  ];
}
