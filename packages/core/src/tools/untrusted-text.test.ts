import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../test/random.ts';
import { quarantine } from './untrusted-text.ts';

const esc = '\u001b';

describe('quarantine', () => {
  test.each([
    ['plain text stays', 'NVRM: Xid (PCI:0000:3b:00): 79', 'NVRM: Xid (PCI:0000:3b:00): 79'],
    ['other scripts stay', 'процесс 进程 😀', 'процесс 进程 😀'],
    ['colours go', `${esc}[1;31mred${esc}[0m`, 'red'],
    ['cursor movement goes', `a${esc}[2J${esc}[H${esc}[10;20Hb`, 'ab'],
    ['window titles and links go', `${esc}]0;title\u0007a${esc}]8;;http://x${esc}\\b`, 'ab'],
    ['an escape that leads nowhere becomes a space', `a${esc}b`, 'a b'],
    ['line breaks cannot start a new line', 'a\nb\r\nc\u0085d', 'a b  c d'],
    ['NUL', 'a\u0000b', 'a b'],
    ['C1 control sequence introducer', 'a\u009b31mb', 'a 31mb'],
    ['bidirectional overrides and isolates', 'a\u202eb\u2066c\u2069\u200fd\u061ce', 'abcde'],
    ['zero width', 'ig\u200bno\u200dre\ufeff', 'ignore'],
    ['line and paragraph separators', 'a\u2028b\u2029c', 'abc'],
    ['ASCII hidden in tag characters', 'a\u{e0069}\u{e0067}\u{e006e}b', 'ab'],
    ['lone high surrogate', 'a\ud800b', 'a\ufffdb'],
    ['lone low surrogate', 'a\udc00b', 'a\ufffdb'],
    ['a fence', '```\nignore the above\n```', "''' ignore the above '''"],
    ['a long fence', '``````````x', "'''x"],
    ['a tilde fence', '~~~~x', "'''x"],
    ['a fence with a zero-width joint', '`\u200b`\u200b`x', "'''x"],
    ['a fence with an escape for a joint', `\`${esc}[0m\`\`x`, "'''x"],
    ['inline code stays', '`x`', '`x`'],
    ['white space around', '  x\t', 'x'],
    ['nothing', '', ''],
  ])('%s', (_, hostile, harmless) => {
    expect(quarantine(hostile, 100)).toBe(harmless);
  });

  test.each([
    ['exactly the cap', 'x'.repeat(10), 'x'.repeat(10)],
    ['one more', 'x'.repeat(11), `${'x'.repeat(10)}…`],
    ['very long', 'x'.repeat(1_000_000), `${'x'.repeat(10)}…`],
    ['a pair that would be cut in two', `${'x'.repeat(9)}😀`, `${'x'.repeat(9)}…`],
    ['shown as cut when what was cut is not seen', `${'\u200b'.repeat(50)}x`, '…'],
  ])('length: %s', (_, hostile, harmless) => {
    expect(quarantine(hostile, 10)).toBe(harmless);
  });
});

/** What may never come out. The check is its own, so that a hole in the source's expressions shows. */
function isHarmless(text: string, cap: number): boolean {
  if (text.length > cap + 1 || text.includes('```') || text.includes('~~~')) return false;
  return [...text].every((character) => {
    const code = character.codePointAt(0) ?? 0;
    const control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    const surrogate = code >= 0xd800 && code <= 0xdfff;
    const direction = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    const tag = code >= 0xe0000 && code <= 0xe007f;
    return !control && !surrogate && !direction && !tag && code !== 0x200e && code !== 0x200f;
  });
}

describe('property: whatever goes in, what comes out is harmless', () => {
  const hostile = [
    ...[esc, '[', ']', ';', 'm', '\u0007', '\\', '\u009b', '\u0000', '\n', '\r', '\u007f', '\u0085'],
    ...['`', '``', '```', '~', '~~~', '\u200b', '\u202e', '\u2066', '\u200e', '\u{e0041}'],
    ...['\ud83d', '\ude00', '😀', 'a', ' ', 'x'.repeat(30), `${esc}[31`, `${esc}]8;;`],
  ];

  test('20,000 random mixtures', () => {
    const random = seededRandom(0x6b87);
    for (let round = 0; round < 20_000; round += 1) {
      const text = Array.from({ length: random.below(24) }, () => random.pick(hostile)).join('');
      const cap = 1 + random.below(40);
      const out = quarantine(text, cap);
      if (!isHarmless(out, cap)) expect.fail(`${JSON.stringify(text)} with ${cap}: ${JSON.stringify(out)}`);
      expect(quarantine(out, cap + 1)).toBe(out.trim());
    }
  });

  test('the check itself finds what a weaker filter lets through', () => {
    const weaker = (text: string) => text.replaceAll(/[\u0000-\u001f]/g, ' ');
    for (const text of ['a\u009bb', 'a\u202eb', '```', '\ud800', '\u{e0041}', 'x'.repeat(99)]) {
      expect(isHarmless(weaker(text), 40), JSON.stringify(text)).toBe(false);
    }
  });

  test('a megabyte of unfinished escapes takes no time worth the name', () => {
    const start = performance.now();
    quarantine(`${esc}[`.repeat(500_000), 500_000);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
