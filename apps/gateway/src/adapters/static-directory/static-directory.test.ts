import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '@k8s-gpu-mcp/core';
import { type FixedClock, fixedClock } from '@k8s-gpu-mcp/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NodeDirectory } from '../../ports/node-directory.ts';
import { parseAgentList } from './agent-list.ts';
import { openStaticDirectory, type StaticDirectoryOptions } from './static-directory.ts';

const never = new AbortController().signal;
const list = (...names: readonly string[]) =>
  JSON.stringify(names.map((name) => ({ name, url: `http://${name}:8080` })));
const namesOf = (directory: NodeDirectory) => directory.snapshot().nodes.map(({ name }) => name);

/** Resolves once `isTrue` holds, looked at now and after every change. */
function until(directory: NodeDirectory, isTrue: () => boolean): Promise<void> {
  return new Promise((done) => {
    if (isTrue()) return done();
    const end = directory.onChange(() => {
      if (!isTrue()) return;
      end();
      done();
    });
  });
}

/** Lets the event loop turn until `isTrue` holds, for what nobody is told of. */
async function turnsUntil(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((done) => setImmediate(done));
}

let folder: string;
let file: string;
let opened: NodeDirectory[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'static-directory-'));
  file = join(folder, 'agents.yaml');
  opened = [];
});
afterEach(async () => {
  for (const directory of opened) await directory.close();
  rmSync(folder, { recursive: true, force: true });
});

async function open(options: Partial<StaticDirectoryOptions> = {}, path = file): Promise<NodeDirectory> {
  const directory = openStaticDirectory(
    { file: path },
    { clock: systemClock, logger: silentLogger, ...options },
  );
  opened.push(directory);
  await directory.settled(never);
  return directory;
}

/** Without events of the system: only polling, when the test moves the clock. */
async function openPolled(): Promise<{ directory: NodeDirectory; clock: FixedClock }> {
  const clock = fixedClock('2026-03-01T12:00:00.000Z');
  const watchFolder = () => {
    throw new Error('no inotify watches left');
  };
  return { directory: await open({ clock, watchFolder }), clock };
}

describe('a list on the command line', () => {
  it('is current and ready from the start, by name in code-unit order', async () => {
    const entries = parseAgentList('b=http://b,B=http://c,a=http://a:1/x');
    const directory = openStaticDirectory(
      { entries },
      { clock: fixedClock('2026-03-01T12:00:00.000Z'), logger: silentLogger },
    );
    await directory.settled(never);
    expect(directory.kind).toBe('static');
    expect(directory.snapshot()).toMatchObject({
      readAt: '2026-03-01T12:00:00.000Z',
      staleSince: null,
      problem: null,
    });
    expect(namesOf(directory)).toEqual(['B', 'a', 'b']);
    expect(directory.snapshot().nodes[1]).toEqual({
      name: 'a',
      url: 'http://a:1/x',
      labels: {},
      notReadyBecause: null,
      instance: 'http://a:1/x',
      mayReceiveToken: true,
    });
    expect(directory.snapshot()).toBe(directory.snapshot());
  });
});

describe('a file, watched', () => {
  it('is read again when it is written to', async () => {
    writeFileSync(file, list('a'));
    const directory = await open();
    expect(namesOf(directory)).toEqual(['a']);
    writeFileSync(file, list('a', 'b'));
    await until(directory, () => namesOf(directory).length === 2);
  });

  it('is read again when an editor renames a new file over it', async () => {
    writeFileSync(file, list('a'));
    const directory = await open();
    for (const name of ['b', 'c']) {
      writeFileSync(join(folder, '.new'), list(name));
      renameSync(join(folder, '.new'), file);
      await until(directory, () => namesOf(directory)[0] === name);
    }
  });

  it('is read again when kubelet swaps the links of a ConfigMap', async () => {
    // As kubelet's atomic writer lays it out: file -> ..data/file, ..data -> ..TIME, swapped by a rename.
    const swapTo = (name: string, version: string) => {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, 'agents.yaml'), list(name));
      symlinkSync(version, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    };
    swapTo('a', '..2026_03_01_12_00_00.1');
    symlinkSync(join('..data', 'agents.yaml'), file);
    const directory = await open();
    expect(namesOf(directory)).toEqual(['a']);
    swapTo('b', '..2026_03_01_12_01_00.2');
    rmSync(join(folder, '..2026_03_01_12_00_00.1'), { recursive: true });
    await until(directory, () => namesOf(directory)[0] === 'b');
    expect(directory.snapshot().problem).toBe(null);
  });
});

describe('a file, polled', () => {
  it('is seen to change where the system cannot watch', async () => {
    writeFileSync(file, list('a'));
    const { directory, clock } = await openPolled();
    writeFileSync(file, list('b'));
    clock.advance(4_999);
    expect(namesOf(directory)).toEqual(['a']);
    clock.advance(1);
    await until(directory, () => namesOf(directory)[0] === 'b');
    expect(directory.snapshot().readAt).toBe('2026-03-01T12:00:05.000Z');
  });

  it('that breaks keeps the last good set, stale since then, and says which entry', async () => {
    writeFileSync(file, list('a', 'b'));
    const { directory, clock } = await openPolled();
    writeFileSync(file, '- name: c\n  url: http://c\n- name: d\n  url: gopher://d\n');
    clock.advance(5_000);
    await until(directory, () => directory.snapshot().staleSince !== null);
    expect(directory.snapshot()).toMatchObject({
      readAt: '2026-03-01T12:00:00.000Z',
      staleSince: '2026-03-01T12:00:05.000Z',
      problem: 'the list of agents: entry 2 (line 3): the URL must begin with http:// or https://',
    });
    expect(namesOf(directory)).toEqual(['a', 'b']);

    unlinkSync(file);
    clock.advance(5_000);
    await until(directory, () => directory.snapshot().problem?.includes('does not exist') ?? false);
    expect(directory.snapshot().staleSince).toBe('2026-03-01T12:00:05.000Z');

    writeFileSync(file, list('e'));
    clock.advance(5_000);
    await until(directory, () => directory.snapshot().staleSince === null);
    expect(directory.snapshot()).toMatchObject({ problem: null, readAt: '2026-03-01T12:00:15.000Z' });
    expect(namesOf(directory)).toEqual(['e']);
  });

  it('that is written again with the same text is read again, and nobody is told', async () => {
    writeFileSync(file, list('a'));
    const { directory, clock } = await openPolled();
    const { nodes } = directory.snapshot();
    let told = 0;
    directory.onChange(() => {
      told += 1;
    });
    writeFileSync(file, list('a'));
    clock.advance(5_000);
    await turnsUntil(() => directory.snapshot().readAt === '2026-03-01T12:00:05.000Z');
    expect(directory.snapshot().nodes).toBe(nodes);
    expect(told).toBe(0);
    writeFileSync(file, list('b'));
    clock.advance(5_000);
    await until(directory, () => namesOf(directory)[0] === 'b');
    expect(told).toBe(1);
  });

  it('that the folder watch reports is read a moment later, once for a burst of events', async () => {
    writeFileSync(file, list('a'));
    const clock = fixedClock();
    let report = () => {};
    const watchFolder: StaticDirectoryOptions['watchFolder'] = (watched, onEvent) => {
      expect(watched).toBe(folder);
      report = onEvent;
      return () => {};
    };
    const directory = await open({ clock, watchFolder });
    writeFileSync(file, list('b'));
    for (let event = 0; event < 1_000; event += 1) report();
    clock.advance(99);
    expect(namesOf(directory)).toEqual(['a']);
    clock.advance(1);
    await until(directory, () => namesOf(directory)[0] === 'b');
  });

  it('watches anew after the watch broke', async () => {
    writeFileSync(file, list('a'));
    const clock = fixedClock();
    let begun = 0;
    let ended = 0;
    let fail = () => {};
    const watchFolder: StaticDirectoryOptions['watchFolder'] = (_folder, _onEvent, onBroken) => {
      begun += 1;
      fail = onBroken;
      return () => {
        ended += 1;
      };
    };
    const directory = await open({ clock, watchFolder });
    fail();
    expect([begun, ended]).toEqual([1, 1]);
    clock.advance(5_000);
    expect([begun, ended]).toEqual([2, 1]);
    await directory.close();
    expect(ended).toBe(2);
  });
});

describe('a file that is no list', () => {
  it.each([
    ['missing', () => {}, 'the list of agents: it does not exist'],
    ['a folder', () => mkdirSync(file), 'the list of agents: it is not a regular file'],
    ['a named pipe', () => execFileSync('mkfifo', [file]), 'the list of agents: it is not a regular file'],
    [
      'no text',
      () => writeFileSync(file, Buffer.from([0x5b, 0xff, 0x5d])),
      'the list of agents: it is not UTF-8 text',
    ],
    [
      'too large',
      () => writeFileSync(file, ' '.repeat(600_000)),
      'the list of agents: it is larger than 512 KiB',
    ],
    [
      'a circle',
      () => symlinkSync('agents.yaml', file),
      'the list of agents: its symbolic links go in a circle',
    ],
    ['empty', () => writeFileSync(file, '[]'), 'the list of agents is empty'],
  ])('%s: opens all the same and says why there are no agents', async (_, make, words) => {
    make();
    const directory = await open();
    expect(directory.snapshot()).toMatchObject({ nodes: [], problem: words });
  });
});

describe('waiting and closing', () => {
  it('settled ends with its signal, and after close', async () => {
    const directory = openStaticDirectory({ file }, { clock: fixedClock(), logger: silentLogger });
    await directory.settled(AbortSignal.abort());
    const controller = new AbortController();
    const waiting = directory.settled(controller.signal);
    controller.abort();
    await waiting;
    const later = directory.settled(never);
    await directory.close();
    await later;
    await directory.close();
  });

  it('a file system that hangs makes the set stale, and does not hold up its reader', () => {
    const clock = fixedClock('2026-03-01T12:00:00.000Z');
    const directory = openStaticDirectory({ file }, { clock, logger: silentLogger });
    opened.push(directory);
    // The read has not come back when the clock passes ten seconds: nothing else ran in between.
    clock.advance(10_000);
    expect(directory.snapshot()).toMatchObject({
      problem: 'the list of agents: the file system does not answer',
      staleSince: '2026-03-01T12:00:10.000Z',
    });
  });

  it('planted fault: a directory that is closed does not see the change that an open one sees', async () => {
    writeFileSync(file, list('a'));
    const { directory: open, clock: openClock } = await openPolled();
    const { directory: closed, clock: closedClock } = await openPolled();
    await closed.close();
    writeFileSync(file, list('b'));
    openClock.advance(5_000);
    closedClock.advance(5_000);
    await until(open, () => namesOf(open)[0] === 'b');
    expect(namesOf(closed)).toEqual(['a']);
  });
});
