// The image under what a careful cluster allows it: it works, and says so itself.

import { describe, expect, it } from 'vitest';
import { freePort } from '../../programs/run-program.ts';
import { answering, askHard } from '../ask-agent.ts';
import { named, tellMissing } from '../missing.ts';
import { noContainers, runOnce, tryPodman } from './built-image.ts';
import { logOf, removeContainersAfterEach, startContainer, stateOf } from './containers.ts';

tellMissing(noContainers);

/** Of the agent: what the chart asks for is far above; this is what it takes at the least while it is asked. */
const memoryLimit = '128m';

describe.skipIf(noContainers !== undefined)(named('restricted containers', noContainers), () => {
  removeContainersAfterEach();

  it.each([
    ['65532', []],
    ['0', []],
    ['4711', ['--security-opt', 'no-new-privileges']],
  ])('as user %s, read-only, without capabilities, without network', (user, more) => {
    const flags = [
      '--user',
      user,
      '--read-only',
      '--cap-drop',
      'ALL',
      '--network',
      'none',
      '--pids-limit',
      '64',
      ...more,
    ];
    const { code, stdout } = runOnce(flags, ['health', '--backend', 'mock', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'ok' });
    expect(code).toBe(0);
  });

  it(`serves within --memory ${memoryLimit} while it is asked hard`, async () => {
    const port = await freePort();
    const name = startContainer(
      [
        '--network',
        'host',
        '--read-only',
        '--cap-drop',
        'ALL',
        '--memory',
        memoryLimit,
        '--pids-limit',
        '64',
      ],
      ['--backend', 'mock', '--port', String(port)],
    );
    const origin = `http://127.0.0.1:${port}`;
    await answering(`${origin}/healthz`, { log: () => logOf(name) });
    expect(await askHard(origin)).toBe(200);
    expect(stateOf(name)).toMatchObject({ Running: true, OOMKilled: false });
  });

  it('planted: a limit on memory that is below what node needs is seen', () => {
    const name = startContainer(['--network', 'none', '--memory', '20m'], ['inventory', '--backend', 'mock']);
    const { code } = tryPodman(['wait', name]);
    expect(code).toBe(0);
    expect(stateOf(name).ExitCode).not.toBe(0);
  });
});
