/** What a device of the fake library answers, by the keys of its configuration; null takes a reading away. */
export type Values = Readonly<Record<string, string | number | null>>;
