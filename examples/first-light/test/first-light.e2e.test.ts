import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

async function runExample(env: Record<string, string> = {}) {
  const { NO_COLOR: _n, FORCE_COLOR: _f, NODE_EXTRA_CA_CERTS: _c, ...inherited } = process.env;
  // From elsewhere: the example finds the agent by its own place.
  const child = spawn(process.execPath, [main], { env: { ...inherited, ...env }, cwd: '/' });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, stdout };
}

describe('first light', () => {
  it('prints verdict, evidence and one action, and says that it is simulated', async () => {
    const { code, stdout } = await runExample();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^SIMULATED/);
    expect(stdout).toContain('Node demo-node: CRITICAL');
    expect(stdout).toContain('evidence: ');
    expect(stdout.match(/Do this now:/g)).toHaveLength(1);
    expect(stdout).not.toContain('\u001b');
  });

  it('tells how to use it for real: the command and the host configuration name files that exist', async () => {
    const { stdout } = await runExample();
    const { mcpServers } = JSON.parse(stdout.slice(stdout.indexOf('{\n')));
    expect(existsSync(mcpServers.gpu.command)).toBe(true);
    expect(existsSync(mcpServers.gpu.args[0])).toBe(true);
    expect(stdout).toContain(`node ${mcpServers.gpu.args[0]} doctor`);
  });

  it('can be coloured', async () => {
    expect((await runExample({ FORCE_COLOR: '1' })).stdout).toContain('\u001b[');
  });
});
