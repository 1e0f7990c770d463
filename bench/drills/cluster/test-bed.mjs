// Real agents in network namespaces, the API server that knows their pods, and a gateway in a namespace of its own.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectToGateway } from './ask-gateway.mjs';
import { createAuthority } from './certificates.mjs';
import { createFakeCluster, daemonSet, namespace } from './fake-cluster.mjs';
import { createNetwork, hubAddress } from './network.mjs';
import { nodes } from './nodes.mjs';
import { gatewayProgram, startAgent, startProgram } from './programs.mjs';

const faultyAgent = join(import.meta.dirname, 'faulty-agent.mjs');
const port = 8_080;

export async function createTestBed({ deadlineMilliseconds }) {
  // /run is the drill's own, and goes with its namespaces.
  const folder = mkdtempSync('/run/cluster-drill-');
  const file = (name, content) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const token = file('token', 'the-token-of-the-agents');
  const otherToken = file('other-token', 'a-token-of-somebody-else');
  const gatewayToken = 'the-token-of-the-gateway';
  const network = createNetwork();
  const authority = createAuthority(folder);
  const stranger = createAuthority(folder, 'stranger');
  // Every byte of a watch comes on its own: each border is one between chunks.
  const cluster = await createFakeCluster({ address: hubAddress, chunkBytes: 1 });
  /** Requests with a token that came to what stood in an agent's place: in a pod of the DaemonSet, and in one of somebody else. */
  const tokens = { own: 0, foreign: 0 };

  async function addNode(node) {
    const place = network.addNode(node.name);
    const address = `IP:${place.address}`;
    const certificates = {
      good: authority.certify(`${node.name}-good`, address),
      expired: authority.certify(`${node.name}-expired`, address, -1),
      'other-name': authority.certify(`${node.name}-named`, 'DNS:elsewhere.example'),
      'unknown-authority': stranger.certify(`${node.name}-strange`, address),
    };
    let generation = 0;
    let program;
    let pod;
    const start = async ({ certificate = 'good', tokenFile = token } = {}) => {
      const { certificate: chain, key } = certificates[certificate];
      const access = node.isForeign ? ['--allow-unauthenticated'] : ['--auth-token-file', tokenFile];
      const more = [...access, '--tls-cert', chain, '--tls-key', key];
      program = await startAgent({ ...node, node: node.name, address: place.address, port }, more, {
        place: place.command,
      });
    };
    const newPod = () => {
      generation += 1;
      const owner = node.isForeign ? 'of-somebody-else' : daemonSet;
      pod = cluster.putPod({ node: node.name, generation, address: place.address, port, owner });
    };
    await start();
    cluster.addGpuNode(node.name);
    newPod();
    return {
      ...place,
      start,
      newPod,
      get pod() {
        return pod;
      },
      signal: (signal) => program.signal(signal),
      stop: (signal = 'SIGKILL') => program.stop(signal),
      /** Something else in the agent's place. */
      async misbehave(mode) {
        await program.stop('SIGKILL');
        const { certificate, key } = certificates.good;
        const words = [faultyAgent, mode, place.address, String(port), certificate, key];
        program = await startProgram(words, {
          place: place.command,
          onOutput: (text) => {
            tokens[node.isForeign ? 'foreign' : 'own'] += text.split('token').length - 1;
          },
        });
      },
    };
  }

  // Two at a time: two cores are what there is to count on.
  const places = {};
  for (let index = 0; index < nodes.length; index += 2) {
    const started = await Promise.all(nodes.slice(index, index + 2).map(addNode));
    for (const place of started) places[place.name] = place;
  }
  const home = network.addNode('gateway');
  const program = await startProgram(
    [
      gatewayProgram,
      ...['--directory', 'kubernetes', '--kubeconfig', file('kubeconfig', cluster.api.kubeconfig())],
      ...['--namespace', namespace, '--agent-daemonset', daemonSet],
      ...['--agent-tls', '--agent-ca', authority.file, '--agent-token-file', token],
      ...['--addr', home.address, '--port', String(port)],
      ...['--auth-token-file', file('gateway-token', gatewayToken)],
      ...['--deadline', `${deadlineMilliseconds}ms`],
    ],
    { place: home.command },
  );
  const gateway = await connectToGateway(`http://${home.address}:${port}`, gatewayToken);
  return {
    gateway,
    program,
    api: cluster.api,
    nodes: places,
    otherToken,
    filter: network.filter,
    tokens,
  };
}
