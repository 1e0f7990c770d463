/** The person's input is at fault; `message` is the whole of what they are told. Exit code 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
