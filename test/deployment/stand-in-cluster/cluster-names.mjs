// Loaded first by each process of the stand-in cluster: names of Services have the addresses that the cluster's DNS would give.
import dns from 'node:dns';
import { readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const real = dns.lookup;
// Who loads it names the file.
const hostsFile = new URL(import.meta.url).searchParams.get('hosts');

dns.lookup = Object.assign(function lookup(name, options, callback) {
  const done = typeof options === 'function' ? options : callback;
  const hosts = JSON.parse(readFileSync(hostsFile, 'utf8'));
  const address = hosts[name];
  if (address === undefined) return real(name, options, callback);
  const wantsAll = typeof options === 'object' && options?.all === true;
  process.nextTick(() => (wantsAll ? done(null, [{ address, family: 4 }]) : done(null, address, 4)));
}, real);
syncBuiltinESMExports();
