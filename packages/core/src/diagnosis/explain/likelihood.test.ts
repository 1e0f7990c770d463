import { describe, expect, test } from 'vitest';
import { documentationPage } from '../../../test/documentation.ts';
import { seededRandom } from '../../../test/random.ts';
import { causes } from '../../domain/diagnosis.ts';
import { isDisruptive } from '../../domain/verdict.ts';
import { bySpecificity, causeCatalogue } from './cause-catalogue.ts';
import { type FindingIndicator, findingIndicators } from './finding-signs.ts';
import { authoritativeDecibans } from './incident-signs.ts';
import { percentagesOf, weigh } from './likelihood.ts';
import type { Sign } from './sign.ts';

const sign = (changes: Partial<Sign> = {}): Sign => ({
  indicator: 'a',
  cause: 'thermal',
  subject: { gpu: 0 },
  decibans: 20,
  evidence: [],
  ...changes,
});

const sharesOf = (signs: readonly Sign[]) =>
  weigh(signs).map(({ cause, score, likelihoodPercent }) => [cause, score, likelihoodPercent]);

describe('the worked example of docs/diagnosis.md', () => {
  // x8 instead of x16 (a warning: 28 * 0.75 = 21), and one uncorrected PCI Express error (26, 6 for the nearest), at most 30 together.
  test('a narrow link and an error of it', () => {
    const signs = [
      sign({ indicator: 'pcie.', cause: 'pcie-link', decibans: 21 }),
      sign({ indicator: 'log.pcie-error', cause: 'pcie-link', decibans: 26 }),
      sign({ indicator: 'log.nearest', cause: 'pcie-link', decibans: 6 }),
    ];
    // -8 + 30 = 22 against 8: 10^1.4 = 25.1 to 1.
    expect(sharesOf(signs)).toEqual([
      ['pcie-link', 22, 96],
      ['unknown', 8, 4],
    ]);
  });

  test('only the narrow link', () => {
    // -8 + 21 = 13 against 8: 10^0.5 = 3.16 to 1.
    expect(sharesOf([sign({ indicator: 'pcie.', cause: 'pcie-link', decibans: 21 })])).toEqual([
      ['pcie-link', 13, 76],
      ['unknown', 8, 24],
    ]);
  });
});

describe('weigh', () => {
  test('nothing seen is unknown for certain', () => {
    expect(sharesOf([])).toEqual([['unknown', 8, 100]]);
  });

  test('an indicator counts once, however often it is met; another adds', () => {
    const [once] = weigh([sign()]);
    expect(weigh([sign(), sign({ decibans: 12 }), sign()])[0]?.score).toBe(once?.score);
    expect(weigh([sign(), sign({ indicator: 'b', decibans: 4 })])[0]?.score).toBe((once?.score ?? 0) + 4);
  });

  test('what is not the word of the vendor never adds up to it', () => {
    const many = Array.from({ length: 50 }, (_, index) =>
      sign({ indicator: `i${index}`, cause: 'gpu-hardware' }),
    );
    const vendors = causes.map(
      (cause): Sign => sign({ cause, decibans: authoritativeDecibans, authoritative: true }),
    );
    const against = sign({ indicator: 'against', decibans: -50 });
    const [strongest] = weigh(many);
    for (const vendor of vendors.filter(({ cause }) => cause !== 'none' && cause !== 'unknown')) {
      const [weakest] = weigh([vendor, { ...against, cause: vendor.cause }]);
      expect(weakest?.score, vendor.cause).toBeGreaterThan(strongest?.score ?? Number.NaN);
    }
  });

  test('each GPU has its own hardware; a program is one for all', () => {
    const on = (cause: Sign['cause']) => weigh([0, 1].map((gpu) => sign({ cause, subject: { gpu } })));
    expect(on('thermal').filter(({ cause }) => cause === 'thermal')).toHaveLength(2);
    expect(on('application-fault').filter(({ cause }) => cause === 'application-fault')).toHaveLength(1);
  });

  test('a log that names any number of devices makes a bounded answer', () => {
    const devices = Array.from({ length: 5_000 }, (_, index) =>
      sign({ subject: { pciDevice: `${index.toString(16).padStart(8, '0')}:00:00` } }),
    );
    const weighed = weigh(devices);
    expect(weighed.length).toBeLessThanOrEqual(32);
    expect(weighed.reduce((sum, each) => sum + each.likelihoodPercent, 0)).toBe(100);
  });
});

describe('percentages', () => {
  test('add up to 100 by largest remainder', () => {
    // Three equal ones: 33.3 each, the first gets the remainder.
    expect(percentagesOf([5, 5, 5])).toEqual([34, 33, 33]);
    // 10 decibans are ten to one: 90.9 and 9.1.
    expect(percentagesOf([10, 0])).toEqual([91, 9]);
  });

  test('always, and more is never less', () => {
    const random = seededRandom(20_260_101);
    for (let round = 0; round < 500; round += 1) {
      const scores = Array.from({ length: 1 + random.below(12) }, () => random.below(120) - 40).sort(
        (a, b) => b - a,
      );
      const percents = percentagesOf(scores);
      expect(percents.reduce((sum, percent) => sum + percent, 0)).toBe(100);
      expect(percents).toEqual(percents.toSorted((a, b) => b - a));
    }
  });

  test('a sum that is off by one would be seen', () => {
    expect([34, 33, 34].reduce((sum, percent) => sum + percent, 0)).not.toBe(100);
  });
});

describe('the tables', () => {
  test('a cause alone never asks for a disruptive action, and each has a source and a place among equals', () => {
    for (const cause of causes) {
      expect(isDisruptive(causeCatalogue[cause].action), cause).toBe(false);
      expect(causeCatalogue[cause].priorSource).not.toBe('');
      expect(bySpecificity).toContain(cause);
    }
    expect(bySpecificity).toHaveLength(causes.length);
  });

  test('the word of the vendor weighs what it should, and nothing else does', () => {
    for (const { ruleIds, says, authoritative } of findingIndicators) {
      for (const [cause, decibans] of says) {
        expect(decibans, `${ruleIds} ${cause}`).toSatisfy((value: number) =>
          authoritative ? value === authoritativeDecibans : value > 0 && value <= 40,
        );
      }
    }
    expect(new Set(findingIndicators.map(({ ruleIds }) => ruleIds)).size).toBe(findingIndicators.length);
  });
});

describe('docs/diagnosis.md', () => {
  const page = documentationPage('diagnosis.md');

  test('has the table of findings as it is', () => {
    expect(page).toContain(tableOfFindings());
  });

  test('has the numbers of the worked example', () => {
    for (const words of ['76 % and 24 %', '96 % and 4 %', '-8 + 30 = 22'.replace('-', '−')])
      expect(page).toContain(words);
  });

  test('a table that lacks a row would be seen', () => {
    expect(page).not.toContain(tableOfFindings(findingIndicators.slice(1)));
  });
});

function tableOfFindings(rows = findingIndicators): string {
  const line = ({ ruleIds, says, authoritative, advice }: FindingIndicator) => {
    const words = says.map(([cause, decibans]) => `\`${cause}\` ${decibans}`).join(', ') || 'nothing';
    const more = `${authoritative ? ", the vendor's word" : ''}${advice ? ', unless an incident of the GPU says why' : ''}`;
    return `| ${ruleIds === '' ? 'any other' : `\`${ruleIds}\``} | ${words}${more} |`;
  };
  return `| rule ids | say |\n| --- | --- |\n${rows.map(line).join('\n')}\n`;
}
