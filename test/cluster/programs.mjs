// The programs as their users run them: the bridge in an MCP host, and the kubectl plugin.
import { execFile } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const bin = (file) => fileURLToPath(new URL(`../../apps/bridge/bin/${file}`, import.meta.url));
export const bridgeProgram = bin('k8s-gpu-mcp-bridge.js');

/** The environment without what would configure the programs. */
export const environment = () =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:KUBECONFIG|K8S_GPU_MCP_.*)$/.test(name)),
  );

/** An MCP host with the bridge. `said` is the bridge's log so far. */
export async function connectBridge(...args) {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [bridgeProgram, ...args],
    env: environment(),
    stderr: 'pipe',
  });
  let said = '';
  transport.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const client = new Client({ name: 'trial', version: '0' }, { versionNegotiation: { mode: 'auto' } });
  const session = {
    client,
    said: () => said,
    pid: () => transport.pid,
    close: () => client.close(),
    /** The structured answer. Rejects with what the tool said. */
    async ask(name, input = {}) {
      const { isError, content, structuredContent } = await client.callTool(
        { name, arguments: input },
        { timeout: 60_000 },
      );
      if (isError) throw new Error(`${name}: ${JSON.stringify(content).slice(0, 600)}`);
      return structuredContent;
    },
  };
  try {
    await client.connect(transport, { timeout: 60_000 });
  } catch (error) {
    await client.close();
    throw new Error(`${error.message}\n${said.slice(-1_500)}`);
  }
  return session;
}

/** `kubectl mcp ...`; never rejects. */
export const kubectlMcp = (...args) =>
  new Promise((resolve) => {
    execFile(
      process.execPath,
      [bin('kubectl-mcp.js'), ...args],
      { env: environment(), timeout: 120_000 },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });

/** MCP by hand over a child's stdin and stdout, to see every line of both. */
export function speak(child) {
  const lines = [];
  const waiting = new Map();
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    try {
      const message = JSON.parse(line);
      waiting.get(message.id)?.(message);
    } catch {
      // Counted by the reader of `lines`.
    }
  });
  const ended = new Promise((resolve) => {
    child.once('close', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  child.stdin.on('error', () => {});
  const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  return {
    lines,
    ended,
    notify: (method) => send({ method }),
    request(id, method, params = {}) {
      const answered = new Promise((resolve) => waiting.set(id, resolve));
      send({ id, method, params });
      const gone = ended.then((code) => {
        throw new Error(`ended with ${code} before it answered ${method}: ${lines.join('\n').slice(-400)}`);
      });
      return Promise.race([answered, gone]);
    },
  };
}
