// Many agents in one process, for measuring a gateway: each has an address of its own, answers as recorded, and takes its own time.
// Arguments: the recording, the port, how many, and the median of that time in milliseconds (0: each answers at once).
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as after } from 'node:timers';

const [recordingFile, port, count, median] = process.argv.slice(2);
const { handshakes, answers } = JSON.parse(readFileSync(recordingFile, 'utf8'));
const medianMilliseconds = Number(median);
/** Of the logarithm: one in twenty takes twice the median, one in a thousand four times. */
const sigma = 0.45;

/** Mulberry32: the same numbers every time. */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = randomNumbers(20_261_121);
/** Box and Muller. */
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const agents = Array.from({ length: Number(count) }, (_, index) => {
  const address = `127.1.${index >> 8}.${index & 255}`;
  return {
    name: `gpu-node-${String(index).padStart(4, '0')}.eu-west-1.compute.internal`,
    address,
    url: `http://${address}:${port}/mcp`,
    latencyMilliseconds: medianMilliseconds * Math.exp(sigma * normal()),
    // One in ten has something to tell.
    answer: answers[index % 10 === 3 ? 1 : index % 10 === 7 ? 2 : 0],
  };
});
const byAddress = new Map(agents.map((agent) => [agent.address, agent]));

/** What stands around the id of a recorded answer, which is JSON or one event of a stream. Made once for each agent. */
const around = new Map();
function answerOf(agent, { type, answer }, id) {
  const key = `${agent.name} ${answer.length}`;
  if (!around.has(key)) {
    const isStream = type.startsWith('text/event-stream');
    const json = isStream
      ? answer
          .split('\n')
          .find((line) => line.startsWith('data: {'))
          ?.slice(6)
      : answer;
    const { result } = JSON.parse(json.replaceAll('NODE-NAME', agent.name));
    const [before, after] = isStream ? ['event: message\ndata: ', '\n\n'] : ['', ''];
    around.set(key, [`${before}{"jsonrpc":"2.0","id":`, `,"result":${JSON.stringify(result)}}${after}`]);
  }
  const [head, tail] = around.get(key);
  return `${head}${JSON.stringify(id)}${tail}`;
}

createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const agent = byAddress.get(request.socket.localAddress);
    const { id, method } = JSON.parse(Buffer.concat(chunks).toString());
    const isCall = method === 'tools/call';
    const recorded = isCall ? agent?.answer : handshakes[method];
    if (agent === undefined || recorded === undefined) {
      response.writeHead(id === undefined ? 202 : 400).end();
      return;
    }
    const body = answerOf(agent, recorded, id);
    const headers = { 'content-type': recorded.type, 'content-length': Buffer.byteLength(body) };
    const send = () => response.writeHead(200, headers).end(body);
    if (isCall && agent.latencyMilliseconds > 0) after(send, agent.latencyMilliseconds);
    else send();
  });
}).listen(Number(port), '0.0.0.0', 4_096, () => {
  process.stderr.write(
    `agents: ${JSON.stringify(agents.map(({ name, url, latencyMilliseconds }) => ({ name, url, latencyMilliseconds })))}\n`,
  );
  process.stderr.write('http: listening\n');
});
