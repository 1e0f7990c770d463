import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { programs } from '../../programs/run-program.ts';
import { flagsIn, unknownOptions, variablesIn } from '../agent-options.ts';
import { askHealth, connect, statusWithoutToken } from '../ask-agent.ts';
import { named, tellMissing } from '../missing.ts';
import { type Boot, type BootedUnit, boot, bootSkipReason, tokens, unitName, units } from './booted-unit.ts';

const read = (name: string) => readFileSync(join(units, name), 'utf8');
const operator = ['operator.conf', 'operator-reset.conf'];

const noAnalyze =
  spawnSync('systemd-analyze', ['--version']).error && 'systemd is not installed: apt-get install systemd';
tellMissing(noAnalyze);
describe.skipIf(noAnalyze)(named('systemd-analyze', noAnalyze), () => {
  /** Of the unit with these drop-ins, where the agent is at a place that exists here. */
  function analyze(
    command: readonly string[],
    dropIns: readonly string[] = [],
    change = (text: string) => text,
  ) {
    const directory = mkdtempSync(join(tmpdir(), 'units-'));
    const placed = (name: string) =>
      change(read(name)).replaceAll('ExecStart=k8s-gpu-mcp-server', `ExecStart=${programs.agent}`);
    try {
      mkdirSync(join(directory, `${unitName}.d`));
      writeFileSync(join(directory, unitName), placed(unitName));
      for (const name of dropIns) writeFileSync(join(directory, `${unitName}.d`, name), placed(name));
      const { status, stdout, stderr } = spawnSync(
        'systemd-analyze',
        ['--no-pager', ...command, join(directory, unitName)],
        { encoding: 'utf8' },
      );
      return { status, said: stderr, exposure: Number(/exposure level.*: ([\d.]+)/.exec(stdout)?.[1]) };
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
  const cases = [[], operator.slice(0, 1), operator].map(
    (dropIns) => [dropIns.join(' and ') || 'no drop-in', dropIns] as const,
  );

  it.each(cases)('verify has nothing to say: %s', (_name, dropIns) => {
    expect(analyze(['verify'], dropIns)).toMatchObject({ status: 0, said: '' });
  });

  it.each([
    ['a directive that does not exist', 'ProtectSystem=', 'ProtectSystems='],
    ['a value that does not exist', 'ProtectSystem=strict', 'ProtectSystem=very'],
    ['a system call that does not exist', '@system-service', '@system-services'],
  ])('verify turns red for %s', (_name, from, to) => {
    expect(analyze(['verify'], [], (text) => text.replace(from, to)).said).toMatch(
      /Unknown|Failed to parse|Invalid/,
    );
  });

  // systemd's own scale: below 2.5 is "OK", an unprotected unit has 9.6.
  it('security finds little exposed, and more without the protection', () => {
    const security = ['security', '--offline=true'];
    expect(analyze([...security, '--threshold=25']).status).toBe(0);
    const bare = analyze([...security, '--threshold=25'], [], (text) =>
      text.replace(/^(Protect|Restrict|System).*$/gm, ''),
    );
    expect(bare.status).not.toBe(0);
    expect(analyze(security, operator.slice(0, 1)).exposure).toBeLessThanOrEqual(2.5);
  });
});

describe('what the agent is told', () => {
  const mentioned = (text: string) => [
    ...flagsIn((text.match(/^ExecStart=.*$/gm) ?? []).flatMap((line) => line.split(/\s+/))),
    ...variablesIn(text),
  ];
  const files = [unitName, ...operator, 'environment.example'];

  it('is what `serve` takes', () => {
    const all = files.flatMap((name) => mentioned(read(name)));
    expect(all).toEqual(
      expect.arrayContaining(['--auth-token-file', '--operator-token-file', 'K8S_GPU_MCP_PORT']),
    );
    expect(unknownOptions('serve', all)).toEqual([]);
  });

  it('turns red for a misspelt flag and variable', () => {
    const planted = read(unitName)
      .replace('--auth-token-file', '--token-file')
      .replace('_RECORD=', '_RECORDS=');
    expect(unknownOptions('serve', mentioned(planted))).toEqual(['--token-file', 'K8S_GPU_MCP_RECORDS']);
  });
});

const skipped = bootSkipReason();
tellMissing(skipped);
describe.skipIf(skipped)(named('the unit under a booted systemd', skipped), () => {
  let booted: BootedUnit | undefined;
  const start = async (how: Boot) => {
    booted = await boot(how);
    return booted;
  };
  afterEach(() => booted?.stop());

  // capabilities(7): the number of each is its bit.
  const bits = (...capabilities: readonly bigint[]) =>
    capabilities
      .reduce((mask, bit) => mask | (1n << bit), 0n)
      .toString(16)
      .padStart(16, '0');
  const [KILL, SYS_ADMIN, SYSLOG] = [5n, 21n, 34n];
  const realLog = ['K8S_GPU_MCP_KERNEL_LOG=syslog'];

  it('answers the bearer of the token and nobody else, without root', async () => {
    const { url, status } = await start({ environment: ['K8S_GPU_MCP_BACKEND=mock'] });
    expect(await statusWithoutToken(url)).toBe(401);
    await expect(connect(url, 'another')).rejects.toThrow();
    expect(await askHealth(url, tokens.token)).toMatchObject({ verdict: 'ok' });
    // systemd.exec(5): the range of dynamic users.
    expect(Number(await status('Uid'))).toBeGreaterThanOrEqual(61184);
    expect(await status('CapEff')).toBe(bits(SYSLOG));
    expect(await status('CapBnd')).toBe(bits(SYSLOG));
    expect(await status('NoNewPrivs')).toBe('1');
    // proc(5): 2 is a filter.
    expect(await status('Seccomp')).toBe('2');
  });

  it('reads the kernel log', async () => {
    const { url } = await start({ environment: realLog });
    expect(await askHealth(url, tokens.token)).toMatchObject({
      coverage: { kernelLog: { source: 'syslog', readable: true } },
    });
  });

  it.each([
    ['syslog(2) is filtered', (unit: string) => unit.replace('@system-service syslog', '@system-service')],
    ['it has no CAP_SYSLOG', (unit: string) => unit.replaceAll('=CAP_SYSLOG', '=CAP_KILL')],
  ])('says that it cannot read the kernel log when %s', async (_what, change) => {
    const { url } = await start({ environment: realLog, change });
    expect(await askHealth(url, tokens.token)).toMatchObject({
      coverage: { kernelLog: { readable: false } },
    });
  });

  it.each([
    ['kill_gpu_process with CAP_KILL', operator.slice(0, 1), bits(KILL, SYSLOG), /^6/],
    ['reset_gpu as root with CAP_SYS_ADMIN', operator, bits(KILL, SYS_ADMIN, SYSLOG), /^0$/],
  ])(
    'has %s in operator mode, for the bearer of the second token',
    async (_what, dropIns, capabilities, user) => {
      const { url, status } = await start({ environment: [], dropIns });
      const toolsOf = async (token: string) => {
        const client = await connect(url, token);
        const { tools } = await client.listTools();
        await client.close();
        return tools.map(({ name }) => name);
      };
      expect(await toolsOf(tokens.token)).not.toContain('kill_gpu_process');
      expect(await toolsOf(tokens['operator-token'])).toContain('kill_gpu_process');
      expect(await status('CapBnd')).toBe(capabilities);
      expect(await status('Uid')).toMatch(user);
    },
  );
});
