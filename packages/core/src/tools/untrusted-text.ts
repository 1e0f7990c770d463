/**
 * Text that came from logs, process names or pods. It stands only in its own fields, and is made harmless there: no control, ANSI or
 * bidirectional or invisible characters, no way to close a Markdown fence, a capped length.
 */
const ansiSequence = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]{0,256}(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
const controls = /[\u0000-\u001f\u007f-\u009f]/g;
const bidirectional = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
/** Invisible copies of ASCII (tags) and of variation selectors: they can smuggle text past a reader's eye. */
const invisible = /[\u{e0000}-\u{e0fff}]/gu;
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const fence = /`{3,}|~{3,}/g;

export function quarantine(text: string, maximumLength: number): string {
  const cut = text.length > maximumLength * 4 ? text.slice(0, maximumLength * 4) : text;
  const clean = cut
    .replace(ansiSequence, '')
    .replace(controls, ' ')
    .replace(bidirectional, '')
    .replace(invisible, '')
    .replace(loneSurrogate, '\ufffd')
    .replace(fence, "'''")
    .trim();
  return clean.length > maximumLength || cut.length < text.length
    ? `${clean.slice(0, maximumLength).replace(/[\ud800-\udbff]$/, '')}…`
    : clean;
}
