// The least HTTP client that can speak MCP with ours and theirs: keep-alive connections, answers by length or in chunks. It does the same,
// and little, for both sides.
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort, messages, millisecondsSince, protocolVersion, spawnProgram } from './processes.mjs';

const endOfHead = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');

/** Where the body of the answer at the start of `bytes` lies; undefined while it is not whole. Only one answer is on its way at a time. */
export function wholeAnswer(bytes) {
  const headEnd = bytes.indexOf(endOfHead);
  if (headEnd === -1) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const bodyStart = headEnd + endOfHead.length;
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  let isWhole;
  if (length !== undefined) isWhole = bytes.length >= bodyStart + Number(length);
  else if (/\r\ntransfer-encoding: *chunked/i.test(head))
    // The line end before the first chunk's length is the head's own: a body of no chunks ends there too.
    isWhole = bytes
      .subarray(headEnd + 2)
      .subarray(-lastChunk.length)
      .equals(lastChunk);
  else isWhole = head.startsWith('HTTP/1.1 204');
  return isWhole ? { status: Number(head.slice(9, 12)), head, body: bytes.subarray(bodyStart) } : undefined;
}

/** One connection; a request at a time. */
export async function openConnection(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let bytes = Buffer.alloc(0);
  let waiting;
  await once(socket, 'connect');
  socket.on('data', (chunk) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const answer = wholeAnswer(bytes);
    if (answer === undefined) return;
    bytes = Buffer.alloc(0);
    waiting?.resolve(answer);
  });
  const fail = (error) => waiting?.reject(error);
  socket.on('error', fail).on('close', () => fail(new Error('the connection was closed')));
  return {
    exchange: (request) =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        socket.write(request);
      }),
    close: () => socket.destroy(),
  };
}

/** The bytes of a POST. They are made once and sent again and again. */
export function postOf(message, { path = '/mcp', headers = {} } = {}) {
  const body = JSON.stringify(message);
  const lines = Object.entries({
    host: '127.0.0.1',
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'content-length': Buffer.byteLength(body),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}

const modernVersion = '2026-07-28';
const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': modernVersion,
  'io.modelcontextprotocol/clientCapabilities': {},
};
/** The bytes of a `tools/call` of the revision without sessions: a request of its own, with nothing before it. */
export function modernCallOf(id, name, args = {}) {
  const message = messages.toolCall(id, name, args);
  const headers = { 'mcp-protocol-version': modernVersion, 'mcp-method': 'tools/call', 'mcp-name': name };
  return postOf({ ...message, params: { ...message.params, _meta: modernMeta } }, { headers });
}

/** Headers of all further requests, by the answer to `initialize`: the session, where the server keeps one. */
export function sessionHeaders({ head }) {
  const session = /\r\nmcp-session-id: *(\S+)/i.exec(head)?.[1];
  return {
    'mcp-protocol-version': protocolVersion,
    ...(session === undefined ? {} : { 'mcp-session-id': session }),
  };
}

function checked(answer) {
  const { status, body } = answer;
  // In a string within the answer its quotes would be escaped.
  if (status !== 200 || !body.includes('"result"') || body.includes('"isError":true'))
    throw new Error(`HTTP ${status}: ${body.toString('utf8', 0, 500)}`);
  return answer;
}

/** To a program that was started just now; it may not listen yet. */
export async function connectionTo(port, program, deadline = deadlineOf(process.hrtime.bigint())) {
  for (;;) {
    try {
      return await openConnection(port);
    } catch (error) {
      if (process.hrtime.bigint() > deadline || program.child.exitCode !== null)
        throw new Error(`nothing listens: ${error.message}`);
      await pause(1);
    }
  }
}

const deadlineOf = (startedAt) => startedAt + 20_000_000_000n;

/** Milliseconds from `startedAt` until a GET of `path` is answered with 200. */
export async function untilAnswered(program, port, path, startedAt) {
  const request = Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`);
  const connection = await connectionTo(port, program, deadlineOf(startedAt));
  try {
    while ((await connection.exchange(request)).status !== 200) await pause(1);
    return millisecondsSince(startedAt);
  } finally {
    connection.close();
  }
}

/**
 * A program that serves MCP over HTTP, started just now: milliseconds until `initialize` and `tools/list` were answered.
 * `commandOf(port)` is the command, `environmentOf(port)` what its environment has beside the cleaned one.
 */
export async function startHttp(commandOf, { environmentOf = () => ({}) } = {}) {
  const port = await freePort();
  const startedAt = process.hrtime.bigint();
  const program = spawnProgram(commandOf(port), {
    environment: environmentOf(port),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    const connection = await connectionTo(port, program, deadlineOf(startedAt));
    const headers = sessionHeaders(checked(await connection.exchange(postOf(messages.initialize))));
    const initializeMilliseconds = millisecondsSince(startedAt);
    const told = await connection.exchange(postOf(messages.initialized, { headers }));
    if (told.status !== 202) throw new Error(`HTTP ${told.status} for a notification`);
    checked(await connection.exchange(postOf(messages.toolsList(2), { headers })));
    const toolsListMilliseconds = millisecondsSince(startedAt);
    connection.close();
    return { ...program, port, headers, initializeMilliseconds, toolsListMilliseconds };
  } catch (error) {
    await program.kill();
    throw new Error(`${error.message}\n${await program.ended}`);
  }
}

/**
 * `requests` POSTs of the same bytes over `connections` connections: requests a second. Any answer without a result, or of a tool that
 * failed, ends it with an error.
 */
export async function httpLoad({ port, request, connections, requests }) {
  const open = await Promise.all(Array.from({ length: connections }, () => openConnection(port)));
  let left = requests;
  const startedAt = process.hrtime.bigint();
  const one = async (connection) => {
    while (left > 0) {
      left -= 1;
      checked(await connection.exchange(request));
    }
  };
  try {
    await Promise.all(open.map(one));
    const milliseconds = millisecondsSince(startedAt);
    return { milliseconds, requestsPerSecond: (requests * 1_000) / milliseconds };
  } finally {
    for (const connection of open) connection.close();
  }
}
