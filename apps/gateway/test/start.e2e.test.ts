import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import { startProcess } from '../../../test/programs/run-program.ts';
import { freePort, startProgram } from './run-program.ts';

const list = ['--agents', 'node-a=http://127.0.0.1:9'];

describe('a gateway that has just opened its port', () => {
  it('answers who asks for its tools at once, and ends when it is told to', async () => {
    const gateway = await startProgram('gateway', list);
    const client = new Client({ name: 'test', version: '0' });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${gateway.origin}/mcp`)));
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain('get_gpu_health');
    expect((await fetch(`${gateway.origin}/readyz`)).status).toBe(200);
    await client.close();
    expect(await gateway.stop()).toBe(0);
  });

  it('ends when it is told to before it is put together', async () => {
    const gateway = await startProgram('gateway', list);
    expect(await gateway.stop()).toBe(0);
  });

  it.each([
    ['no kubeconfig', ['--kubeconfig', '/does/not/exist'], /cannot read the kubeconfig/],
    ['a list with a mistake', ['--agents', 'node-a=ftp://127.0.0.1'], /--agents: entry 1/],
  ])('ends with the code for usage, and one line that says why, over %s', async (_, args, why) => {
    const port = String(await freePort());
    const quiet = ['--port', port, '--log-level', 'error'];
    const { code, stdout, stderr } = await startProcess('gateway', [...quiet, ...args]).exited;
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
    expect(stderr).toMatch(why);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
