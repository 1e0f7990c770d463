// Asks a running agent over HTTP and prints its verdict:
//   npm start -w @k8s-gpu-mcp/example-http-client -- http://127.0.0.1:8080/mcp [TOKEN-FILE]
import { readFile } from 'node:fs/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url = 'http://127.0.0.1:8080/mcp', tokenFile] = process.argv.slice(2);
const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();

const client = new Client({ name: 'http-client-example', version: '1.0.0' });
await client.connect(
  new StreamableHTTPClientTransport(
    new URL(url),
    token === undefined ? {} : { requestInit: { headers: { authorization: `Bearer ${token}` } } },
  ),
);
try {
  const result = await client.callTool({ name: 'get_gpu_health', arguments: {} });
  const answer = result.structuredContent as { node: string; verdict: string; summary: string } | undefined;
  if (!answer) throw new Error('the agent gave no structured answer');
  console.log(`${answer.node}: ${answer.verdict}`);
  console.log(answer.summary);
} finally {
  await client.close();
}
