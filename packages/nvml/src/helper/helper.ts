import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { progressWriter } from '../protocol/progress-file.ts';
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

function send(reply: Reply): void {
  writeSync(replyFd, `${JSON.stringify(reply)}\n`);
}

let current = 0;
let nextStep: Promise<void> = Promise.resolve();
const noteProgress = progressWriter(progressFd);
const session = new NvmlSession(loadAndBind, (stage) => {
  if (!noteProgress?.(current, stage)) send({ id: current, stage });
});

const socket = new Socket({ fd: requestFd, readable: true, writable: false });
socket.on(
  'data',
  lineSplitter((line) => {
    const request = JSON.parse(line) as Request;
    nextStep = nextStep.then(() => serve(request));
  }),
);
// The parent let go of us, or is gone.
socket.on('error', leave);
socket.on('close', leave);

function leave(): void {
  void nextStep.finally(() => {
    session.shutdown();
    process.exit(0);
  });
}

async function serve({ id, operation }: Request): Promise<void> {
  current = id;
  const result = await session.run(operation);
  if ('failure' in result) send({ id, failure: result.failure });
  else send(session.hasLostDriver ? { id, result, hasLostDriver: true } : { id, result });
}

async function loadAndBind(): Promise<LoadNative> {
  const load = await loadKoffi();
  dieWithParent(load);
  return load;
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
