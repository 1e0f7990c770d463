// Stands where an agent stood, and does what its first argument says instead. The others: address, port, certificate, key. Headers with a
// token are told on stdout as the one word `token`.
import { readFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { createServer } from 'node:net';

const [mode, address, port, certificate, key] = process.argv.slice(2);
const json = { 'content-type': 'application/json' };
const send = (response, status, body, headers = json) => response.writeHead(status, headers).end(body);

/** The result of any call; the one of the handshake is enough for a client of 2026-07-28. */
const reply = (response, id, result) =>
  send(response, 200, JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } }));

const pour = (response) => {
  const more = () => {
    while (response.writable && response.write('x'.repeat(65_536)));
  };
  response.on('drain', more);
  more();
};

const behaviours = {
  html: (response) => send(response, 200, '<html>please log in</html>', { 'content-type': 'text/html' }),
  'not-json': (response) => send(response, 200, '{"jsonrpc":"2.0","id":1,"resu'),
  nested: (response) => send(response, 200, `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`),
  'cut-off': (response) => {
    response.writeHead(200, { ...json, 'content-length': '100000' });
    response.write('{"jsonrpc":"2.0",', () => response.socket.destroy());
  },
  huge: (response) => {
    response.writeHead(200, json);
    pour(response);
  },
  'huge-announced': (response) => {
    response.writeHead(200, { ...json, 'content-length': String(1e12) });
    pour(response);
  },
  drip: (response) => {
    response.writeHead(200, json);
    const timer = setInterval(() => response.write(' '), 50);
    response.on('close', () => clearInterval(timer));
  },
  'stream-without-end': (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write(': still here\n\n'), 50);
    response.on('close', () => clearInterval(timer));
  },
  'status-500': (response) => send(response, 500, 'oops', { 'content-type': 'text/plain' }),
  'status-503': (response) => send(response, 503, 'busy', { 'content-type': 'text/plain' }),
  'status-503-for-an-hour': (response) => send(response, 503, 'busy', { 'retry-after': '3600' }),
  redirect: (response) => send(response, 307, '', { location: 'https://10.77.0.1:1/mcp' }),
  'other-version': (response, id) => {
    const data = { supported: ['2099-01-01'], requested: '2026-07-28' };
    const error = { code: -32_022, message: 'unsupported protocol version', data };
    send(response, 400, JSON.stringify({ jsonrpc: '2.0', id, error }));
  },
  'tool-error': (response, id) =>
    reply(response, id, { isError: true, content: [{ type: 'text', text: 'INTERNAL: it broke' }] }),
  'empty-answer': (response, id) => reply(response, id, { content: [], structuredContent: {} }),
  // Says that all is well without having looked at a GPU.
  'no-gpus': (response, id) => {
    const structuredContent = { apiVersion: 'v1', observedAt: new Date().toISOString(), summary: 'ok' };
    reply(response, id, {
      content: [],
      structuredContent: { ...structuredContent, verdict: 'ok', gpus: [] },
    });
  },
};

function answer(request, response) {
  if (request.headers.authorization !== undefined) process.stdout.write('token\n');
  response.on('error', () => {});
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    let id = null;
    try {
      ({ id } = JSON.parse(Buffer.concat(chunks).toString()));
    } catch {
      // A request without a body has no id.
    }
    behaviours[mode](response, id);
  });
}

const server =
  mode === 'not-tls'
    ? createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2\r\n'))
    : createHttpsServer({ cert: readFileSync(certificate), key: readFileSync(key) }, answer);
if (mode !== 'not-tls' && behaviours[mode] === undefined) throw new Error(`no such fault: ${mode}`);
server.on('tlsClientError', () => {});
server.listen(Number(port), address, () => process.stderr.write('http: listening\n'));
