import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { health } from '../ask-agent.ts';
import { builtImage, noContainers } from '../image/built-image.ts';
import { named, tellMissing } from '../missing.ts';
import { noCertificates } from '../stand-in-cluster/certificate.ts';
import { type StandInCluster, startStandInCluster } from '../stand-in-cluster/stand-in-cluster.ts';
import { skipReason, tool } from '../tools/tools.ts';
import { Reader } from './reader.ts';
import { createWorkstation, repositoryRoot, type Workstation } from './workstation.ts';

const missing = noContainers ?? noCertificates ?? skipReason('helm-4') ?? skipReason('kubectl-1.35');
tellMissing(missing);
const quickstart = readFileSync(join(repositoryRoot, 'docs/quickstart.md'), 'utf8');

/** The chart with the image: paths, users, privileges and read-only files are those of the pods. */
describe.skipIf(missing !== undefined)(named('the chart with containers of the image', missing), () => {
  let cluster: StandInCluster;
  let workstation: Workstation;
  let reader: Reader;
  beforeAll(async () => {
    cluster = await startStandInCluster({
      image: builtImage(),
      // The default install with real GPUs finds its RuntimeClass, and no driver behind it.
      machine: { runtimeClasses: { nvidia: {} } },
      nodes: [{ name: 'gpu-node-1', labels: { 'nvidia.com/gpu.present': 'true' } }],
    });
    workstation = createWorkstation({ helm: tool('helm-4'), kubectl: tool('kubectl-1.35') });
    workstation.useKubeconfig(cluster.kubeconfig);
    reader = new Reader(quickstart, workstation, { explain: cluster.report });
  });
  afterAll(async () => {
    workstation?.dispose();
    await cluster?.close();
  });

  it('serves through the gateway, and helm test passes', async () => {
    await expectOk(
      'helm install gpu deployment/helm/k8s-gpu-mcp-server --set gpu.mock.enabled=true --wait --timeout 2m',
    );
    expect((await expectOk('npx -y -p k8s-gpu-mcp-bridge kubectl-mcp health')).stdout).toMatch(
      /1 node: 1 OK|gpu-node-1 +OK/,
    );
    expect((await expectOk('helm test gpu')).stdout).toMatch(/Phase:\s+Succeeded/);
    expect(cluster.denials).toEqual([]);
    await expectOk('helm uninstall gpu --wait');
  });

  it('starts an agent on demand in the pod that sleeps', async () => {
    await reader.follow('Without a network endpoint');
    for (const server of reader.servers('Without a network endpoint'))
      await workstation.withServer(server, async (client) => {
        expect(client.getServerVersion()?.name).toBe('k8s-gpu-mcp-server');
        expect(await health(client)).toMatchObject({ verdict: 'ok' });
      });
    await expectOk('helm uninstall on-demand -n gpu-on-demand --wait');
  });

  it('runs as the default install has it, and says what is missing', async () => {
    await expectOk('helm install gpu deployment/helm/k8s-gpu-mcp-server --wait --timeout 2m');
    const { code, stdout } = await workstation.run('npx -y -p k8s-gpu-mcp-bridge kubectl-mcp health');
    expect(code, `${stdout}\n${cluster.report()}`).toBe(3);
    expect(stdout).toMatch(/gpu-node-1/);
    expect(stdout).not.toMatch(/SIMULATED/);
  });

  async function expectOk(command: string) {
    const outcome = await workstation.run(command);
    expect(outcome.code, `${command}\n${outcome.stdout}${outcome.stderr}\n${cluster.report()}`).toBe(0);
    return outcome;
  }
});
