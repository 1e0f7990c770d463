// The person who asks: a kubeconfig of its own, with few rights, whose way to the API server can be cut.
import { writeFile } from 'node:fs/promises';
import { connect, createServer, isIP } from 'node:net';
import { eventually } from './kubectl.mjs';

/** A TCP relay on this machine to `host:port`. `cut` ends every connection that it carries. */
async function openRelay(host, port) {
  const sockets = new Set();
  const server = createServer((near) => {
    const far = connect(port, host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => {
    const count = sockets.size / 2;
    for (const socket of sockets) socket.destroy();
    return count;
  };
  return {
    port: server.address().port,
    cut,
    close() {
      server.close();
      cut();
    },
  };
}

/** Kubeconfigs of the service accounts of the trial, in `folder`, that lead through one relay. */
export async function openCallers(kubectl, { namespace }, folder) {
  const config = await kubectl.json('config', 'view', '--minify', '--flatten', '--raw');
  const { cluster } = config.clusters[0];
  const server = new URL(cluster.server);
  const relay = await openRelay(server.hostname.replace(/^\[|\]$/g, ''), Number(server.port || 443));
  const name = cluster['tls-server-name'] ?? server.hostname;
  const near = {
    ...cluster,
    server: `https://127.0.0.1:${relay.port}${server.pathname.replace(/\/$/, '')}`,
    // An address cannot be a server name (RFC 6066, section 3); certificates of API servers name the loopback address or not.
    ...(isIP(name) === 0 ? { 'tls-server-name': name } : {}),
  };
  async function kubeconfigOf(account) {
    const token = await eventually(`token of ${account}`, 30, async () => {
      const { data } = await kubectl.json('get', 'secret', `${account}-login`);
      return data?.token;
    });
    const file = `${folder}/${account}.kubeconfig`;
    const made = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'trial',
      contexts: [{ name: 'trial', context: { cluster: 'trial', user: account, namespace } }],
      clusters: [{ name: 'trial', cluster: near }],
      users: [{ name: account, user: { token: Buffer.from(token, 'base64').toString('utf8') } }],
    };
    await writeFile(file, JSON.stringify(made), { mode: 0o600 });
    return file;
  }
  return {
    caller: await kubeconfigOf('caller'),
    stranger: await kubeconfigOf('stranger'),
    cutConnections: relay.cut,
    close: relay.close,
  };
}
