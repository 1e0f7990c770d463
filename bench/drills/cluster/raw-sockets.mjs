// What no gateway can be faster than: the requests of a fan-out as bytes made beforehand, on one open socket for each agent, all at once.
// Bodies are read to their end and thrown away; nothing is parsed but where they end.
import { once } from 'node:events';
import { connect } from 'node:net';

const endOfHead = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('0\r\n\r\n');

/** @param {{ url: string }} agent @param {{ headers: Record<string, string>, body: string }} request */
async function openAgent({ url }, { headers, body }) {
  const { hostname, port, host, pathname } = new URL(url);
  const lines = {
    host,
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'keep-alive',
  };
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.from(`POST ${pathname} HTTP/1.1\r\n${head.join('')}\r\n${body}`);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  let waiting;
  /** Of the answer that comes in: what has come of its head, how much of its body is missing, whether it comes in chunks. */
  let begun = Buffer.alloc(0);
  let missing;
  let tail;
  const end = (error) => {
    const { resolve, reject } = waiting ?? {};
    waiting = undefined;
    missing = undefined;
    tail = undefined;
    begun = Buffer.alloc(0);
    if (error) reject?.(error);
    else resolve?.();
  };
  /** The first bytes of a body; undefined while its head is not whole. */
  const bodyAfterHead = (part) => {
    begun = begun.length === 0 ? part : Buffer.concat([begun, part]);
    const at = begun.indexOf(endOfHead);
    if (at === -1) return undefined;
    const text = begun.latin1Slice(0, at);
    if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(`an agent answered ${text.slice(0, 20)}`);
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
    if (length !== undefined) missing = Number(length);
    else if (/\r\ntransfer-encoding: *chunked/i.test(text)) tail = Buffer.alloc(0);
    else throw new Error('an agent does not tell where its answer ends');
    return begun.subarray(at + endOfHead.length);
  };
  socket.on('data', (part) => {
    try {
      const isBody = missing !== undefined || tail !== undefined;
      const bodyPart = isBody ? part : bodyAfterHead(part);
      if (bodyPart === undefined) return;
      if (missing !== undefined) {
        missing -= bodyPart.length;
        if (missing <= 0) end();
        return;
      }
      // One answer at a time is on a connection: it has ended when its last bytes are those of the last chunk.
      tail = Buffer.concat([tail, bodyPart.subarray(-lastChunk.length)]).subarray(-lastChunk.length);
      if (tail.equals(lastChunk)) end();
    } catch (error) {
      end(error);
    }
  });
  socket.on('error', end);
  socket.on('close', () => end(new Error('an agent closed its connection')));
  return {
    ask: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(bytes);
      }),
    close: () => socket.destroy(),
  };
}

/** One open connection to each agent; `ask` resolves when all have answered. */
export async function openRawSockets(agents, request) {
  const open = await Promise.all(agents.map((agent) => openAgent(agent, request)));
  return {
    async ask() {
      await Promise.all(open.map((agent) => agent.ask()));
    },
    close: () => {
      for (const agent of open) agent.close();
    },
  };
}
