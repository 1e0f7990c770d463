import { constants } from 'node:os';

export interface Libc {
  /** A C function by its prototype; arguments and result as koffi passes them. */
  func(prototype: string): (...values: readonly unknown[]) => unknown;
  /** The error of the call that has just returned -1, with `code` (EPERM, ENOSYS, ...) as those of node:fs have it. */
  failure(what: string): Error;
}

/** The C library of this process. Loaded on demand: koffi is a native module that many runs never need. */
export async function loadLibc(): Promise<Libc> {
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  return {
    func: (prototype) => {
      const call = library.func(prototype);
      return (...values) => call(...values);
    },
    failure(what) {
      const errno = koffi.errno();
      const code = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0];
      return Object.assign(
        new Error(`${code ?? `errno ${errno}`}: ${what} failed`),
        code === undefined ? {} : { code },
      );
    },
  };
}
