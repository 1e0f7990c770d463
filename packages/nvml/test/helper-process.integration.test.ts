import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultHelperPath, type HelperExit, helperStarter } from '../src/executor/helper-process.ts';
import { createProgressFile, type ProgressFile } from '../src/protocol/progress-file.ts';
import type { Operation, Reply } from '../src/protocol/protocol.ts';
import { compileFakeLibrary, configText, ensureBuilt, helperPids, noCompiler, until } from './fake/rig.ts';

const read = (index: number): Operation => ({
  kind: 'read',
  index,
  uuid: null,
  sections: ['thermal'],
  peers: [],
});

const folder = mkdtempSync(join(tmpdir(), 'nvml-helper-'));
beforeAll(ensureBuilt);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As on a disk that is full: every write fails. */
function unwritableFile(): ProgressFile {
  const path = join(folder, 'unwritable');
  writeFileSync(path, '');
  const fd = openSync(path, 'r');
  return { fd, read: () => undefined, close: () => closeSync(fd) };
}

describe.skipIf(noCompiler !== undefined)('how far a helper process is', () => {
  /** `/dev/shm` and the folder for temporary files can be read-only, or full. */
  it.each([
    ['a file', () => createProgressFile()],
    ['messages, where no file can be made', () => undefined],
    ['messages, where there is a file that cannot be written', unwritableFile],
  ])('is told by %s, also of what was sent ahead', async (_, createProgress) => {
    const configPath = join(folder, 'config');
    const faults = ['mode nvmlDeviceGetTemperatureV 1 hang'];
    writeFileSync(configPath, configText({ faults }, join(folder, 'calls')));
    const replies: Reply[] = [];
    const exits: HelperExit[] = [];
    const helper = helperStarter(
      defaultHelperPath(),
      { FAKE_NVML_CONFIG: configPath },
      createProgress,
    )({ onReply: (reply) => replies.push(reply), onExit: (exit) => exits.push(exit) });
    helper.send(1, { kind: 'open', library: compileFakeLibrary() });
    helper.send(2, read(0));
    helper.send(3, read(1));
    const stageOf = (id: number) =>
      replies.flatMap((reply) => (reply.id === id && 'stage' in reply ? [reply.stage] : [])).at(-1);
    await until(() => stageOf(3) === 'read thermal');
    expect(replies.filter((reply) => !('stage' in reply)).map(({ id }) => id)).toEqual([1, 2]);
    expect(replies.find((reply) => reply.id === 2 && 'result' in reply)).toMatchObject({
      result: { thermal: { temperatureCelsius: 31 } },
    });
    helper.kill();
    await until(() => exits.length > 0);
    expect(exits).toEqual([{ code: null, signal: 'SIGKILL' }]);
    expect(helperPids()).toEqual([]);
  });

  it('and what it had answered is not lost when it crashes before it was sent', async () => {
    const configPath = join(folder, 'crash');
    const faults = ['mode nvmlDeviceGetTemperatureV 1 segfault'];
    writeFileSync(configPath, configText({ faults }, join(folder, 'calls')));
    const replies: Reply[] = [];
    const exits: HelperExit[] = [];
    const helper = helperStarter(defaultHelperPath(), { FAKE_NVML_CONFIG: configPath })({
      onReply: (reply) => replies.push(reply),
      onExit: (exit) => exits.push(exit),
    });
    helper.send(1, { kind: 'open', library: compileFakeLibrary() });
    for (const id of [2, 3, 4]) helper.send(id, read(0));
    helper.send(5, read(1));
    await until(() => exits.length > 0);
    expect(replies.filter((reply) => 'result' in reply).map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    expect(replies.at(-1)).toMatchObject({ id: 5, stage: 'read thermal' });
  });
});

it('that cannot be started for want of file descriptors says so', () => {
  const module = fileURLToPath(new URL('../dist/executor/helper-process.js', import.meta.url));
  const program = `
    import { openSync } from 'node:fs';
    import { helperStarter } from ${JSON.stringify(module)};
    try { for (;;) openSync('/dev/null'); } catch {}
    const onExit = ({ error }) => console.log(error?.message);
    try { helperStarter('/absent')({ onReply() {}, onExit }); } catch (error) { console.log('threw', error.message); }
  `;
  const limited = 'ulimit -n 64; exec "$0" --input-type=module --eval "$1"';
  const said = execFileSync('bash', ['-c', limited, process.execPath, program], { encoding: 'utf8' });
  expect(said.trim()).toMatch(/^spawn .* EMFILE$/);
});
