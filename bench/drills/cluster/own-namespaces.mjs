// Runs a drill again inside network, mount and process namespaces of its own: bridges, firewall rules and processes of the drill exist
// nowhere else, and the kernel ends all of them when the drill ends, however it ends. Needs Linux, util-linux and iproute2, and root or
// the right to make user namespaces.
import { execFileSync, spawn } from 'node:child_process';
import { constants } from 'node:os';

const mark = 'K8S_GPU_MCP_DRILL_NAMESPACES';

const outer = () => [
  ...['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
  ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']),
];

/** Names of namespaces are files in /run/netns, which is our own here; `ip netns` makes it when it is missing. */
const preparation = 'mount -t tmpfs drill /run && mkdir -p /run/netns && ip link set lo up';

/** Why there can be none here, or undefined. */
function obstacle() {
  if (process.platform !== 'linux') return 'needs Linux';
  const [command, ...args] = outer();
  try {
    execFileSync(command, [...args, 'sh', '-c', `${preparation} && ip netns add probe`], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    const said = String(error.stderr ?? '').trim();
    return `cannot make network namespaces (${said || error.message}); needs iproute2 and root`;
  }
}

/** Resolves inside the namespaces. Outside it does not: the process becomes the one that waits, and exits as the inner one does. */
export async function enterOwnNamespaces(name) {
  if (process.env[mark] === '1') {
    delete process.env[mark];
    // The outer process holds the other end: when it is gone, however it went, nobody waits for this one.
    process.stdin.on('close', () => process.exit(1)).resume();
    process.stdin.unref?.();
    return;
  }
  const reason = obstacle();
  if (reason !== undefined) {
    console.log(`${name}: skipped: ${reason}`);
    process.exit(0);
  }
  const [command, ...args] = outer();
  const inner = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const script = `${preparation} && exec "$@"`;
  const child = spawn(command, [...args, 'sh', '-c', script, 'drill', ...inner], {
    env: { ...process.env, [mark]: '1' },
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  // SIGKILL to unshare reaches the inner process, and with the first process of the namespace all others end.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      child.kill('SIGKILL');
      process.exitCode = 128 + constants.signals[signal];
    });
  const code = await new Promise((resolve) => child.on('exit', resolve));
  process.exit(process.exitCode ?? code ?? 1);
}
