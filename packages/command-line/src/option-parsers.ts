import { UsageError } from './usage-error.ts';

/** Makes a value of the texts given (several for a repeatable option). @throws UsageError saying what is valid. */
export type TextParser<T> = (texts: readonly string[]) => T;

const maximumEchoLength = 60;

function quote(value: string): string {
  const shown = value.length > maximumEchoLength ? `${value.slice(0, maximumEchoLength)}...` : value;
  return JSON.stringify(shown);
}

/** The last one counts, as is the custom of command lines. */
export function single<T>(parse: (value: string) => T): TextParser<T> {
  return (texts) => parse(texts.at(-1) ?? '');
}

export function repeated<T>(parse: (value: string) => T): TextParser<readonly T[]> {
  return (texts) => texts.map(parse);
}

export const commaList = (value: string): readonly string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

export const toggle: TextParser<boolean> = single((value) => {
  if (/^(?:true|1|yes|on)$/i.test(value)) return true;
  if (/^(?:false|0|no|off)$/i.test(value)) return false;
  throw new UsageError(`${quote(value)} is neither true nor false`);
});

export function text(): (value: string) => string {
  return (value) => {
    const trimmed = value.trim();
    if (trimmed === '') throw new UsageError('the value is empty');
    return trimmed;
  };
}

/** A path; whether the file can be used is for its user to find out, at the time of use. */
export function file(): (value: string) => string {
  return (value) => {
    if (value.trim() === '') throw new UsageError('the file name is empty');
    if (value.includes('\0')) throw new UsageError('a file name cannot hold a NUL character');
    return value;
  };
}

export function wholeNumber(minimum: number, maximum: number): (value: string) => number {
  return (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= minimum && number <= maximum) return number;
    throw new UsageError(`${quote(value)} is not a whole number from ${minimum} to ${maximum}`);
  };
}

const millisecondsPerUnit: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };

/** `1500ms`, `10s`, `2m`, as milliseconds within these bounds. */
export function duration(
  minimumMilliseconds: number,
  maximumMilliseconds: number,
): (value: string) => number {
  return (value) => {
    const [, number = '', unit = ''] = /^(\d{1,7})(ms|s|m)$/.exec(value.trim()) ?? [];
    const milliseconds = Number(number) * (millisecondsPerUnit[unit] ?? Number.NaN);
    if (number !== '' && milliseconds >= minimumMilliseconds && milliseconds <= maximumMilliseconds)
      return milliseconds;
    throw new UsageError(
      `${quote(value)} is not a duration from ${minimumMilliseconds / 1_000}s to ${maximumMilliseconds / 1_000}s, such as 10s`,
    );
  };
}

/** The URL of an MCP endpoint over http or https. One without a path is that of a server of this project, which is at `/mcp`. */
export function endpointUrl(): (value: string) => URL {
  return (value) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (url === undefined || !['http:', 'https:'].includes(url.protocol))
      throw new UsageError('it must be a URL of http or https');
    if (url.username !== '' || url.password !== '')
      throw new UsageError('it must not carry a password: use --token-file');
    if (url.pathname === '/') url.pathname = '/mcp';
    url.hash = '';
    return url;
  };
}

interface OneOfOptions {
  /** Valid some day: told apart from nonsense. */
  readonly planned?: readonly string[];
  /** Another form that the caller accepts, for the message. */
  readonly alsoValid?: string;
}

export function oneOf<const T extends string>(
  choices: readonly T[],
  { planned = [], alsoValid }: OneOfOptions = {},
): (value: string) => T {
  return (value) => {
    const choice = choices.find((each) => each === value);
    if (choice !== undefined) return choice;
    const valid = [...choices, ...(alsoValid === undefined ? [] : [alsoValid])].join(', ');
    if (planned.includes(value)) throw new UsageError(`${value} is not built yet; valid now: ${valid}`);
    throw new UsageError(`${quote(value)} is not one of ${valid}`);
  };
}
