/** Where in a file something was read. */
export interface Citation {
  /** As the person named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}
