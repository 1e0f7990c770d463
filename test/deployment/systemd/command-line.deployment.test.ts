// environment.example promises that the environment file cannot change the mode and the files that the unit's command line names.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../apps/agent/src/cli/command-line.ts';
import { resolveConfig } from '../../../apps/agent/src/config.ts';
import { unitName, units } from './booted-unit.ts';

const changed = {
  K8S_GPU_MCP_PORT: '8080',
  K8S_GPU_MCP_RECORD: 'true',
  K8S_GPU_MCP_MODE: 'operator',
  K8S_GPU_MCP_OPERATOR_TOKEN_FILE: '/elsewhere/operator-token',
  K8S_GPU_MCP_AUTH_TOKEN_FILE: '/elsewhere/token',
  K8S_GPU_MCP_RECORD_DIRECTORY: '/elsewhere',
};

/** What the agent makes of the command line of a unit file, with that environment. */
function configOf(name: string, change = (text: string) => text) {
  const text = change(readFileSync(join(units, name), 'utf8'));
  const [, command = ''] = /^ExecStart=(?:\S+) (.*)$/m.exec(text) ?? [];
  const line = parseCommandLine(command.split(' '));
  if (line.kind === 'help') throw new Error('only help is asked for');
  return resolveConfig(line.command, line.flags, changed);
}

describe('the environment file', () => {
  it('does not make an operator of the unit, nor give it other files', () => {
    expect(configOf(unitName)).toMatchObject({
      mode: 'read-only',
      authTokenFile: expect.stringMatching(/\/token$/),
      recordDirectory: expect.stringContaining('STATE_DIRECTORY'),
    });
  });

  it('planted: it does where the command line does not say the mode', () => {
    const { mode } = configOf(unitName, (text) => text.replace(' --mode read-only', ''));
    expect(mode).toBe('operator');
  });

  it('does not give the operator other tokens', () => {
    expect(JSON.stringify(configOf('operator.conf'))).not.toContain('/elsewhere');
  });
});
