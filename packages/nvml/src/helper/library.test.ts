import { describe, expect, it } from 'vitest';
import { rc } from '../abi/constants.ts';
import { functions } from '../abi/functions.ts';
import { type LoadNative, NvmlLibrary, nvmlLibraryCandidates, openLibrary } from './library.ts';

/** A loader whose libraries export what is listed, and return 0. */
function loader(exported: readonly string[]): LoadNative {
  return () => ({
    func(name) {
      if (!exported.includes(name)) throw new Error(`Cannot find function '${name}' in shared library`);
      return () => 0;
    },
  });
}
const refuse: LoadNative = () => {
  throw new Error('Failed to load shared library');
};
const everything = Object.keys(functions);

describe('openLibrary', () => {
  it('looks up the loader first and absolute paths after it', () => {
    expect(nvmlLibraryCandidates[0]).toBe('libnvidia-ml.so.1');
    expect(nvmlLibraryCandidates.slice(1).every((path) => path.startsWith('/'))).toBe(true);
    expect(new Set(nvmlLibraryCandidates).size).toBe(nvmlLibraryCandidates.length);
    expect(openLibrary(loader(everything), undefined).path).toBe('libnvidia-ml.so.1');
  });

  it('names every place it looked in when there is none', () => {
    const error = thrownBy(() => openLibrary(refuse, undefined));
    expect(error).toMatchObject({ code: 'LIBRARY_NOT_FOUND' });
    for (const path of nvmlLibraryCandidates) expect(String(error)).toContain(path);
  });

  it('tells a named file that is absent from one that does not load', () => {
    expect(thrownBy(() => openLibrary(refuse, '/no/such/file.so'))).toMatchObject({
      code: 'LIBRARY_NOT_FOUND',
      message: 'there is no file /no/such/file.so',
    });
    expect(thrownBy(() => openLibrary(refuse, '/proc/self/exe'))).toMatchObject({
      code: 'LIBRARY_INVALID',
      message: expect.stringContaining('/proc/self/exe'),
    });
  });

  it('refuses a library without the essential symbols, and names them', () => {
    const without = everything.filter((name) => name !== 'nvmlDeviceGetCount_v2');
    expect(thrownBy(() => openLibrary(loader(without), '/proc/self/exe'))).toMatchObject({
      code: 'LIBRARY_INVALID',
      message: expect.stringContaining('nvmlDeviceGetCount_v2'),
    });
  });
});

describe('NvmlLibrary', () => {
  it('answers FUNCTION_NOT_FOUND for a symbol that is not exported', () => {
    const library = new NvmlLibrary('x', loader([])('x'));
    expect(library.call('nvmlInit_v2')).toBe(rc.functionNotFound);
    expect(library.has('nvmlInit_v2')).toBe(false);
  });

  it('lets no value of the wrong kind reach the native side', () => {
    const library = new NvmlLibrary('x', loader(everything)('x'));
    const call = library.call.bind(library) as (...values: unknown[]) => number;
    const buffer = Buffer.alloc(8);
    expect(call('nvmlDeviceGetUUID', 1n, buffer, 8)).toBe(0);
    for (const values of [
      [1, buffer, 8],
      [null, buffer, 8],
      [1n, null, 8],
      [1n, {}, 8],
      [1n, 'text', 8],
      [1n, buffer, 8n],
      [1n, buffer],
    ]) {
      expect(() => call('nvmlDeviceGetUUID', ...values)).toThrow(TypeError);
    }
  });

  it('falls back on 13 and 25 only, and keeps what the newer symbol said when there is no older one', () => {
    const library = new NvmlLibrary('x', loader([])('x'));
    const first = (newest: number, older: number) =>
      library.firstOf({ code: newest }, () => ({ code: older })).code;
    expect(first(0, 1)).toBe(0);
    expect(first(3, 0)).toBe(3);
    expect(first(13, 0)).toBe(0);
    expect(first(25, 0)).toBe(0);
    expect(first(25, 13)).toBe(25);
    expect(first(13, 13)).toBe(13);
    expect(first(13, 4)).toBe(4);
  });
});

function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
