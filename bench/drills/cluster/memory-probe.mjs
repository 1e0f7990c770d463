// Loaded into the gateway before its own code. On `collect` over the IPC channel it tells what is on the heap after a collection, for which
// it needs --expose-gc. On `leak` it keeps something of every answer that comes in from now on: a check of memory must then fail.
import { channel } from 'node:diagnostics_channel';

const kept = [];
process.on('message', (message) => {
  if (message === 'leak') {
    // Published by undici for every answer to the gateway's own requests.
    channel('undici:request:headers').subscribe(() => kept.push(new Array(128).fill(kept.length)));
    return;
  }
  globalThis.gc();
  globalThis.gc();
  process.send(process.memoryUsage().heapUsed);
});
process.channel?.unref();
