import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { progressRecordBytes, progressWriter } from '../protocol/progress-file.ts';
import { lineSplitter, type Reply, type Request } from '../protocol/protocol.ts';
import { type LoadNative, loadKoffi } from './library.ts';
import { NvmlSession } from './session.ts';

/**
 * The helper process. A hung or crashing driver takes this process, never the server: a native call that does not return blocks its
 * thread for good, and neither a worker thread nor an asynchronous call can be abandoned without keeping the whole process alive.
 */
const requestFd = 3;
const replyFd = 4;
const progressFd = 5;
const parentPid = Number(process.argv[2]);

/**
 * Waking the parent costs as much as several calls of the library, so while quick requests follow on one another their replies are held
 * back, for no longer than this, and sent together. A hang keeps none of them from the parent: it finds them in the progress file.
 */
const heldMilliseconds = 8;

let current = 0;
let waiting: Request[] = [];
let work: Promise<void> | undefined;
let held = '';

const progress = progressWriter(progressFd);
const session = new NvmlSession(loadAndBind, (stage) => {
  if (progress?.note(current, stage)) return;
  flush();
  writeSync(replyFd, lineOf({ id: current, stage }));
});

const socket = new Socket({ fd: requestFd, readable: true, writable: false });
socket.on(
  'data',
  lineSplitter((line) => {
    waiting.push(JSON.parse(line) as Request);
    work ??= serveAll();
  }),
);
// The parent let go of us, or is gone.
socket.on('error', leave);
socket.on('close', leave);

function leave(): void {
  waiting = [];
  void Promise.resolve(work).finally(() => {
    session.shutdown();
    process.exit(0);
  });
}

async function serveAll(): Promise<void> {
  let sentAt = performance.now();
  for (let request = waiting.shift(); request !== undefined; request = waiting.shift()) {
    const line = lineOf(await serve(request));
    held += line;
    const isDue = performance.now() - sentAt > heldMilliseconds || !progress?.hold(line);
    if (isDue) flush();
    if (isDue) sentAt = performance.now();
    // What came meanwhile, and that nothing is wanted any more, is noticed between two turns of the event loop.
    if (isDue || waiting.length === 0) await new Promise(setImmediate);
  }
  work = undefined;
  flush();
}

function flush(): void {
  if (held !== '') writeSync(replyFd, held);
  held = '';
  progress?.release();
}

function lineOf(reply: Reply): string {
  return `${JSON.stringify(reply)}\n`;
}

async function serve({ id, operation }: Request): Promise<Reply> {
  current = id;
  const result = await session.run(operation);
  if ('failure' in result) return { id, failure: result.failure };
  return session.hasLostDriver ? { id, result, hasLostDriver: true } : { id, result };
}

async function loadAndBind(): Promise<LoadNative> {
  const load = loadKoffi();
  dieWithParent(load);
  shareProgress(load);
  return load;
}

function shareProgress(load: LoadNative): void {
  const readAndWrite = 3; // PROT_READ | PROT_WRITE, Source: sys/mman.h, as the next
  const shared = 1; // MAP_SHARED
  const failed = 0xffff_ffff_ffff_ffffn; // MAP_FAILED
  try {
    const { func, view } = load(null);
    const mmap = func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64']);
    const address = mmap(null, progressRecordBytes, readAndWrite, shared, progressFd, 0);
    if (progress && view && address !== null && address !== failed) {
      progress.share(view(address, progressRecordBytes));
    }
  } catch {
    // Then each note is a system call.
  }
}

/** While a native call hangs this process cannot notice that its parent died; the kernel can. */
function dieWithParent(load: LoadNative): void {
  const setParentDeathSignal = 1; // PR_SET_PDEATHSIG, Source: linux/prctl.h
  const sigkill = 9n;
  try {
    const prctl = load(null).func('prctl', 'int', ['int', 'uint64', 'uint64', 'uint64', 'uint64']);
    prctl(setParentDeathSignal, sigkill, 0n, 0n, 0n);
  } catch {
    // Not Linux; the closed pipe still ends an idle helper.
  }
  if (Number.isSafeInteger(parentPid) && process.ppid !== parentPid) process.exit(0);
}
