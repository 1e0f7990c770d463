// What real agents answer to get_gpu_health, and the request that a gateway sends them, byte for byte.
import { once } from 'node:events';
import { createServer, request as sendRequest } from 'node:http';
import { connectToGateway } from './ask-gateway.mjs';
import { freePort, gatewayProgram, startAgent, startProgram } from './programs.mjs';

const bodyOf = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};

/** Passes everything on to an agent and remembers it. */
async function recordingProxy(agentPort) {
  const seen = [];
  const server = createServer(async (incoming, response) => {
    const body = await bodyOf(incoming);
    const { method, url: path, headers } = incoming;
    const onward = sendRequest({ host: '127.0.0.1', port: agentPort, method, path, headers });
    onward.end(body);
    const [answer] = await once(onward, 'response');
    const answerBody = await bodyOf(answer);
    if (body.length > 0) {
      const text = body.toString();
      const type = answer.headers['content-type'];
      seen.push({ rpc: JSON.parse(text).method, headers, body: text, type, answer: answerBody.toString() });
    }
    response.writeHead(answer.statusCode, answer.headers).end(answerBody);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: server.address().port, seen, close: () => server.close() };
}

const address = '127.0.0.1';
const nodeName = (index) => `NODE-NAME-${index}`;

/**
 * One agent for each scenario.
 * @returns the request as the gateway sent it, the answers to its handshake, and one answer for each scenario, about `NODE-NAME`.
 */
export async function recordAgent(scenarios) {
  const agents = await Promise.all(
    scenarios.map(async (scenario, index) => {
      const port = await freePort();
      const program = await startAgent({ scenario, node: nodeName(index), address, port }, []);
      return { program, proxy: await recordingProxy(port) };
    }),
  );
  const port = await freePort();
  const list = agents.map(({ proxy }, index) => `${nodeName(index)}=http://${address}:${proxy.port}`);
  const gateway = await startProgram([gatewayProgram, '--port', String(port), '--agents', list.join(',')]);
  const client = await connectToGateway(`http://${address}:${port}`);
  await client.call('get_gpu_health', {});
  await client.close();
  await Promise.all([gateway, ...agents.map(({ program }) => program)].map((each) => each.stop('SIGKILL')));
  for (const { proxy } of agents) proxy.close();
  const kept = (index, { type, answer }) => ({
    type,
    answer: answer.replaceAll(nodeName(index), 'NODE-NAME'),
  });
  const calls = agents.map(({ proxy }) => proxy.seen.find(({ rpc }) => rpc === 'tools/call'));
  const {
    host,
    connection,
    'content-length': length,
    'transfer-encoding': coding,
    ...headers
  } = calls[0].headers;
  const handshakes = agents[0].proxy.seen.filter(({ rpc }) => rpc !== 'tools/call');
  return {
    request: { headers, body: calls[0].body },
    handshakes: Object.fromEntries(handshakes.map((each) => [each.rpc, kept(0, each)])),
    answers: calls.map((call, index) => kept(index, call)),
  };
}
