import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { type ClusterState, selectorText } from './cluster-state.ts';
import { isReady } from './controllers.ts';
import { type KubernetesObject, objectAt, objectsAt, textAt } from './json.ts';
import { portNumber } from './probes.ts';

/** Gives each Service an address and passes what comes there to its ready pods, in turn; keeps the file of the names. */
export class Services {
  readonly #servers = new Map<string, Server>();
  readonly #state: ClusterState;
  readonly #hostsFile: string;
  readonly #nextAddress: () => string;
  #turn = 0;

  constructor(options: { state: ClusterState; hostsFile: string; nextAddress: () => string }) {
    this.#state = options.state;
    this.#hostsFile = options.hostsFile;
    this.#nextAddress = options.nextAddress;
    this.#writeNames();
    this.#state.onChange(({ object, type }) => {
      if (object.kind !== 'Service') return;
      setImmediate(() => {
        this.#follow(type === 'DELETED' ? undefined : object, object);
        this.#writeNames();
      });
    });
  }

  async close(): Promise<void> {
    await Promise.all(
      [...this.#servers.values()].map(async (server) => {
        if (!server.listening) return;
        server.close();
        await once(server, 'close');
      }),
    );
  }

  #follow(service: KubernetesObject | undefined, { metadata }: KubernetesObject): void {
    const current = this.#state.find('Service', metadata.namespace ?? '', metadata.name);
    if (service === undefined || current === undefined) {
      for (const [key, server] of this.#servers)
        if (key.startsWith(`${metadata.uid} `)) {
          server.close();
          this.#servers.delete(key);
        }
      return;
    }
    const spec = objectAt(current, 'spec');
    const address = textAt(spec, 'clusterIP');
    if (address === undefined || address === '') {
      const clusterIP = this.#nextAddress();
      this.#state.replace(current, { ...current, spec: { ...spec, clusterIP, clusterIPs: [clusterIP] } });
    } else if (address !== 'None') {
      for (const port of objectsAt(spec, 'ports')) this.#listen(current, address, Number(port['port']));
    }
  }

  #listen(service: KubernetesObject, address: string, port: number): void {
    const key = `${service.metadata.uid} ${port}`;
    if (this.#servers.has(key)) return;
    const server = createServer((client) => {
      const target = this.#target(service, port);
      client.on('error', () => {});
      if (target === undefined) return client.destroy();
      const inside = connect(target.port, target.address);
      inside.on('error', () => client.destroy());
      client.on('close', () => inside.destroy());
      client.pipe(inside).pipe(client);
      return undefined;
    });
    // Ports below 1024 may need more rights than this process has; who asks finds nobody there.
    server.on('error', () => {});
    server.listen(port, address);
    this.#servers.set(key, server);
  }

  #target({ metadata }: KubernetesObject, port: number): { port: number; address: string } | undefined {
    const namespace = metadata.namespace ?? '';
    const service = this.#state.find('Service', namespace, metadata.name);
    const labels = selectorText(objectAt(service, 'spec', 'selector'));
    const pods = this.#state.all('Pod', { namespace, labels }).filter(isReady);
    this.#turn += 1;
    const pod = pods[this.#turn % Math.max(1, pods.length)];
    const entry = objectsAt(service, 'spec', 'ports').find((each) => each['port'] === port);
    const targetPort = portNumber(objectsAt(pod, 'spec', 'containers'), entry?.['targetPort'] ?? port);
    const address = textAt(pod, 'status', 'podIP');
    return targetPort === undefined || address === undefined ? undefined : { port: targetPort, address };
  }

  #writeNames(): void {
    const names: Record<string, string> = {};
    for (const service of this.#state.all('Service')) {
      const { name, namespace } = service.metadata;
      const address = textAt(service, 'spec', 'clusterIP');
      if (address === undefined || address === '' || address === 'None') continue;
      for (const suffix of ['', `.${namespace}`, `.${namespace}.svc`, `.${namespace}.svc.cluster.local`])
        names[`${name}${suffix}`] = address;
    }
    writeFileSync(this.#hostsFile, JSON.stringify(names));
  }
}
