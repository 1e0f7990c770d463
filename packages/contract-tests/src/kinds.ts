/** What a number may be. Bounds are those of the unit, wide enough for any product, narrow enough to show a wrong unit. */
export const numberKinds = {
  percent: { minimum: 0, maximum: 100, integer: false },
  /** Fans may be driven beyond what is called their maximum. */
  fanPercent: { minimum: 0, maximum: 255, integer: false },
  revolutionsPerMinute: { minimum: 0, maximum: 100_000, integer: false },
  celsius: { minimum: -60, maximum: 200, integer: false },
  /** Signed distance to a temperature limit. */
  marginCelsius: { minimum: -100, maximum: 200, integer: false },
  watts: { minimum: 0, maximum: 20_000, integer: false },
  joules: { minimum: 0, maximum: 1e15, integer: false },
  megahertz: { minimum: 0, maximum: 50_000, integer: true },
  /** A duration; a century at most. */
  microseconds: { minimum: 0, maximum: 3.2e15, integer: false },
  milliseconds: { minimum: 0, maximum: 3.2e12, integer: false },
  bytes: { minimum: 0, maximum: Number.MAX_SAFE_INTEGER, integer: true },
  megabytesPerSecond: { minimum: 0, maximum: 10_000_000, integer: false },
  kilobytesPerSecond: { minimum: 0, maximum: 10_000_000_000, integer: false },
  megatransfersPerSecond: { minimum: 1_000, maximum: 1_000_000, integer: true },
  bits: { minimum: 1, maximum: 65_536, integer: true },
  /** Errors per bit. */
  bitErrorRate: { minimum: 0, maximum: 1, integer: false },
  count: { minimum: 0, maximum: Number.MAX_SAFE_INTEGER, integer: true },
  /** A position or an instance number. */
  ordinal: { minimum: 0, maximum: 65_535, integer: true },
  pid: { minimum: 1, maximum: 2 ** 31 - 1, integer: true },
  pcieGeneration: { minimum: 1, maximum: 10, integer: true },
  lanes: { minimum: 1, maximum: 32, integer: true },
} as const satisfies Record<string, { minimum: number; maximum: number; integer: boolean }>;
export type NumberKind = keyof typeof numberKinds;

/** How a text must be spelled. */
export const textKinds = {
  text: /\S/,
  lowerCaseName: /^[a-z0-9][a-z0-9 _.-]*$/,
  version: /^\d+\.\d+$/,
  nvlinkVersion: /^\d+(?:\.\d+)?$/,
  performanceState: /^P(?:\d|1[0-5])$/,
  hexId: /^0x[0-9a-f]+$/,
  /** Numbers and ranges of them: `0-31,64-95`. */
  ranges: /^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/,
  pciAddress: /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/,
  /** `1g.10gb`, with a compute slice before it and extensions behind it where it has them: `1c.3g.40gb`, `1g.10gb+me`. */
  migProfile: /^(?:\d+c\.)?\d+g\.\d+gb(?:[+-][a-z][a-z.]*)*$/,
  /** ISO 8601 in UTC. */
  instant: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/,
} as const satisfies Record<string, RegExp>;
export type TextKind = keyof typeof textKinds;

/** One word of a closed list. */
export interface WordKind<Word extends string = string> {
  readonly oneOf: readonly Word[];
}
/** An object with its members. */
export interface RecordKind<Kinds> {
  readonly members: Kinds;
  /** Members that are always there: a null in their place breaks the port. */
  readonly neverNull: readonly string[];
}
export interface ListKind<Item> {
  readonly listOf: Item;
  /** What names a member, where it is an object: no two members share it. */
  readonly namedBy: readonly string[];
}
export type Kind =
  | NumberKind
  | TextKind
  | 'flag'
  | WordKind
  | RecordKind<Readonly<Record<string, Kind>>>
  | ListKind<Kind>;

type KindOfPresent<Value> = [Value] extends [boolean]
  ? 'flag'
  : [Value] extends [number]
    ? NumberKind
    : [Value] extends [string]
      ? string extends Value
        ? TextKind
        : WordKind<Value>
      : [Value] extends [readonly (infer Item)[]]
        ? ListKind<KindOfPresent<Item>>
        : RecordKind<KindTable<Value>>;
export type KindTable<Readings> = {
  readonly [Leaf in keyof Readings]: KindOfPresent<Exclude<Readings[Leaf], null>>;
};

export const always = true;
/** The members of an object that the port never gives as null, all of them. */
export type NeverNull<Item> = {
  readonly [Key in keyof Item as null extends Item[Key] ? never : Key]: typeof always;
};

export const oneOf = <const Word extends string>(words: readonly Word[]): WordKind<Word> => ({
  oneOf: words,
});
export const record = <Kinds>(kinds: Kinds, neverNull: object): RecordKind<Kinds> => ({
  members: kinds,
  neverNull: Object.keys(neverNull),
});
type NameOf<Item> = Item extends RecordKind<infer Kinds> ? keyof Kinds & string : never;
export const list = <Item>(item: Item, namedBy: readonly NameOf<Item>[] = []): ListKind<Item> => ({
  listOf: item,
  namedBy,
});

export const isNumberKind = (kind: Kind): kind is NumberKind =>
  typeof kind === 'string' && Object.hasOwn(numberKinds, kind);
export const isTextKind = (kind: Kind): kind is TextKind =>
  typeof kind === 'string' && Object.hasOwn(textKinds, kind);
export const isListKind = (kind: Kind): kind is ListKind<Kind> =>
  typeof kind === 'object' && 'listOf' in kind;
export const isRecordKind = (kind: Kind): kind is RecordKind<Readonly<Record<string, Kind>>> =>
  typeof kind === 'object' && 'members' in kind;

/** What a kind is called in a message. */
export function nameOfKind(kind: Kind): string {
  if (typeof kind === 'string') return kind;
  if (isListKind(kind)) return `list of ${nameOfKind(kind.listOf)}`;
  return 'oneOf' in kind ? kind.oneOf.join('|') : 'object';
}
