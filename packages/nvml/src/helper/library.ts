import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { rc } from '../abi/constants.ts';
import {
  type Arguments,
  essentialFunctions,
  type FunctionName,
  functions,
  type ParameterKind,
} from '../abi/functions.ts';

/**
 * Finding, loading and calling libnvidia-ml. Runs in the helper process only: dlopen matches by SONAME, so a process can hold one
 * libnvidia-ml in its life, and a native crash must not take the server along.
 */

const triplet = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

/** Tried in order when no library is named. The first is resolved by the dynamic loader (ld.so.cache, LD_LIBRARY_PATH). */
export const nvmlLibraryCandidates: readonly string[] = [
  'libnvidia-ml.so.1',
  `/usr/lib/${triplet}/libnvidia-ml.so.1`,
  '/usr/lib64/libnvidia-ml.so.1',
  '/usr/local/nvidia/lib64/libnvidia-ml.so.1',
  `/run/nvidia/driver/usr/lib/${triplet}/libnvidia-ml.so.1`,
  '/run/nvidia/driver/usr/lib64/libnvidia-ml.so.1',
  '/home/kubernetes/bin/nvidia/lib64/libnvidia-ml.so.1',
  '/usr/lib/wsl/lib/libnvidia-ml.so.1',
];

/** The part of koffi that is used. Only integers and Buffers ever cross it. */
interface NativeLibrary {
  func(name: string, result: string, parameters: string[]): (...values: unknown[]) => unknown;
  /** Where a buffer of ours lies, for structs that hold a pointer to one. */
  address?(buffer: Buffer): bigint;
  /** The memory at an address. */
  view?(address: unknown, length: number): ArrayBuffer;
}
export type LoadNative = (path: string | null) => NativeLibrary;

/** Required rather than imported: where this is bundled as CommonJS, node then need not load what ES modules take, a megabyte. */
export function loadKoffi(): LoadNative {
  const require = createRequire(process.argv[1] ?? process.execPath);
  const koffi: typeof import('koffi') = require('koffi');
  return (path) => {
    const library = koffi.load(path);
    return {
      func: (name, result, parameters) => library.func(name, result, parameters),
      address: (buffer) => koffi.address(buffer),
      view: (address, length) => koffi.view(address, length),
    };
  };
}

export class LibraryError extends Error {
  readonly code: 'LIBRARY_NOT_FOUND' | 'LIBRARY_INVALID';
  readonly hint: string;
  constructor(code: LibraryError['code'], message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

const nativeTypes = { handle: 'uint64', u32: 'uint32', u64: 'uint64', pointer: 'void *' } as const;
const jsTypes = { handle: 'bigint', u32: 'number', u64: 'bigint', pointer: 'object' } as const;

interface BoundFunction {
  readonly invoke: (...values: unknown[]) => unknown;
  /** What `typeof` says of each argument. */
  readonly types: readonly string[];
}

const uninitialized = 1; // NVML_ERROR_UNINITIALIZED
const driverLostCodes: ReadonlySet<number> = new Set([
  uninitialized,
  rc.driverNotLoaded,
  rc.libRmVersionMismatch,
]);

export class NvmlLibrary {
  readonly path: string;
  /** Some call said that the driver is not, or no longer, the one that this process initialised. */
  hasLostDriver = false;
  readonly #native: NativeLibrary;
  readonly #bound = new Map<FunctionName, BoundFunction | null>();

  constructor(path: string, native: NativeLibrary) {
    this.path = path;
    this.#native = native;
  }

  has(name: FunctionName): boolean {
    return this.#boundOf(name) !== null;
  }

  /** The return code. A symbol this driver does not export answers like one it exports empty: FUNCTION_NOT_FOUND. */
  call<Name extends FunctionName>(name: Name, ...values: Arguments<Name>): number {
    const bound = this.#boundOf(name);
    if (bound === null) return rc.functionNotFound;
    const { invoke, types } = bound;
    // The FFI turns a value of the wrong type into a wild address, so nothing unchecked reaches it.
    const given: readonly unknown[] = values;
    for (let position = 0; position < types.length; position += 1) {
      const value = given[position];
      if (typeof value !== types[position] || (typeof value === 'object' && !(value instanceof Uint8Array))) {
        throw new TypeError(`${name}: argument ${position} is not a ${functions[name].parameters[position]}`);
      }
    }
    const code = invoke(...given);
    if (typeof code !== 'number') throw new TypeError(`${name} returned no number`);
    if (driverLostCodes.has(code)) this.hasLostDriver = true;
    return code;
  }

  /** For a member that is a pointer. The buffer must be kept until the call has returned. Null where that cannot be told. */
  addressOf(buffer: Buffer): bigint | null {
    return this.#native.address?.(buffer) ?? null;
  }

  /** What the newest symbol said, or the older one where the driver has not got the newest or not that struct version. */
  firstOf<Result extends { readonly code: number }>(newest: Result, older: () => Result): Result {
    if (newest.code !== rc.functionNotFound && newest.code !== rc.argumentVersionMismatch) return newest;
    const fallback = older();
    // "No such function" from the fallback must not hide what the newer symbol said.
    return fallback.code === rc.functionNotFound ? newest : fallback;
  }

  #boundOf(name: FunctionName): BoundFunction | null {
    const known = this.#bound.get(name);
    if (known !== undefined) return known;
    const bound = this.#bind(name);
    this.#bound.set(name, bound);
    return bound;
  }

  #bind(name: FunctionName): BoundFunction | null {
    const kinds: readonly ParameterKind[] = functions[name].parameters;
    try {
      const invoke = this.#native.func(
        name,
        'int',
        kinds.map((kind) => nativeTypes[kind]),
      );
      return { invoke, types: kinds.map((kind) => jsTypes[kind]) };
    } catch {
      return null;
    }
  }
}

/**
 * Loads the named library, or the first candidate that loads and has the essential symbols.
 * @throws LibraryError LIBRARY_NOT_FOUND when no file is there, LIBRARY_INVALID when one is there but cannot be used
 */
export function openLibrary(load: LoadNative, named: string | undefined): NvmlLibrary {
  const problems: string[] = [];
  for (const path of named === undefined ? nvmlLibraryCandidates : [named]) {
    const isFile = path.includes('/');
    if (isFile && !existsSync(path)) continue;
    let library: NvmlLibrary;
    try {
      library = new NvmlLibrary(path, load(path));
    } catch (error) {
      // A bare name fails the same way whether it is absent or broken; the full paths that follow tell.
      if (isFile || named !== undefined)
        problems.push(`${path}: ${error instanceof Error ? error.message : error}`);
      continue;
    }
    const absent = essentialFunctions.filter((name) => !library.has(name));
    if (absent.length === 0) return library;
    problems.push(`${path}: not an NVML library, it lacks ${absent.join(', ')}`);
  }
  if (problems.length > 0) {
    throw new LibraryError(
      'LIBRARY_INVALID',
      problems.join('; '),
      `The file must be NVIDIA's libnvidia-ml.so.1 built for ${process.arch} with glibc, and readable by this process.`,
    );
  }
  throw named === undefined
    ? new LibraryError(
        'LIBRARY_NOT_FOUND',
        `libnvidia-ml.so.1 is not on this machine; tried ${nvmlLibraryCandidates.join(', ')}`,
        'Install the NVIDIA driver, or point --nvml-library at libnvidia-ml.so.1. In a container use the NVIDIA runtime with NVIDIA_DRIVER_CAPABILITIES=utility, or mount the driver.',
      )
    : new LibraryError(
        'LIBRARY_NOT_FOUND',
        `there is no file ${named}`,
        'Correct --nvml-library, or leave it out to try the usual places.',
      );
}
