// Nodes as network namespaces on one bridge, each with an address of its own. To be used inside own-namespaces.mjs.
import { execFileSync } from 'node:child_process';

const run = (words, input) =>
  execFileSync(words[0], words.slice(1), { stdio: 'pipe', ...(input === undefined ? {} : { input }) });

function canFilter() {
  try {
    run(['nft', '--version']);
    return true;
  } catch {
    return false;
  }
}

export const hubAddress = '10.77.0.1';

/** A bridge with the address of this process; `addNode` hangs a namespace on it. */
export function createNetwork() {
  run(['ip', 'link', 'add', 'hub', 'type', 'bridge']);
  run(['ip', 'address', 'add', `${hubAddress}/24`, 'dev', 'hub']);
  run(['ip', 'link', 'set', 'hub', 'up']);
  let count = 1;
  return {
    filter: canFilter() ? 'nft' : 'blackhole routes',
    addNode(name) {
      count += 1;
      const address = `10.77.0.${count}`;
      const outside = `veth${count}`;
      const inside = (...words) => run(['ip', '-n', name, ...words]);
      const within = (words, input) => run(['ip', 'netns', 'exec', name, ...words], input);
      run(['ip', 'netns', 'add', name]);
      run(['ip', 'link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
      run(['ip', 'link', 'set', outside, 'master', 'hub', 'up']);
      inside('address', 'add', `${address}/24`, 'dev', 'eth0');
      inside('link', 'set', 'eth0', 'up');
      inside('link', 'set', 'lo', 'up');
      return {
        name,
        address,
        /** What makes a command run on this node. The command takes the place of `ip`, so that its pid is the one that is started. */
        command: (words) => ['ip', 'netns', 'exec', name, ...words],
        /** Every packet is lost, and nobody is told. */
        partition() {
          if (canFilter())
            within(
              ['nft', '-f', '-'],
              `table inet drill {
                 chain in { type filter hook input priority 0; policy drop; }
                 chain out { type filter hook output priority 0; policy drop; }
               }`,
            );
          else inside('route', 'add', 'blackhole', '10.77.0.0/25');
          if (!canFilter()) inside('route', 'add', 'blackhole', '10.77.0.128/25');
        },
        heal() {
          if (canFilter()) within(['nft', 'delete', 'table', 'inet', 'drill']);
          else
            for (const half of ['10.77.0.0/25', '10.77.0.128/25']) inside('route', 'del', 'blackhole', half);
        },
        unplug: () => run(['ip', 'link', 'set', outside, 'down']),
        plug: () => run(['ip', 'link', 'set', outside, 'up']),
      };
    },
  };
}
