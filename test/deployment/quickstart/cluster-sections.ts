// What the quickstart says of a cluster, for one helm and one kubectl: each pair is a test file, so that they run beside each other.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ask, health } from '../ask-agent.ts';
import { named, tellMissing } from '../missing.ts';
import { noCertificates } from '../stand-in-cluster/certificate.ts';
import { objectsAt, textAt } from '../stand-in-cluster/json.ts';
import { resources } from '../stand-in-cluster/resources.ts';
import { type StandInCluster, startStandInCluster } from '../stand-in-cluster/stand-in-cluster.ts';
import { skipReason, type ToolName, tool } from '../tools/tools.ts';
import { createDriver, type Driver, noCompiler } from './driver.ts';
import { Reader } from './reader.ts';
import { createWorkstation, repositoryRoot, type Workstation } from './workstation.ts';

const quickstart = readFileSync(join(repositoryRoot, 'docs/quickstart.md'), 'utf8');
const chart = 'deployment/helm/k8s-gpu-mcp-server';
const sections = {
  simulated: 'In a cluster, with simulated GPUs',
  real: 'In a cluster, with real GPUs',
  assistant: 'In an assistant',
  onDemand: 'Without a network endpoint',
};
const nodes = ['gpu-node-1', 'gpu-node-2'].map((name) => ({
  name,
  labels: { 'nvidia.com/gpu.present': 'true' },
}));

/** All but what every namespace gets by itself. */
const everything = ({ state }: StandInCluster) =>
  resources
    .flatMap((resource) => state.list(resource))
    .map(({ kind, metadata: { namespace = '', name } }) => `${kind} ${namespace}/${name}`)
    .filter((each) => !/^ServiceAccount .*\/default$/.test(each));
const tokensOf = ({ state }: StandInCluster) =>
  Object.fromEntries(
    state
      .all('Secret')
      .filter(({ metadata }) => metadata.name.endsWith('-token'))
      .map((secret) => [secret.metadata.name, textAt(secret, 'data', 'token')]),
  );
const withoutTimes = (text: string) => text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME').trim();
const deniedToPrograms = ({ denials }: StandInCluster) =>
  denials.filter((each) => each.includes('system:serviceaccount:'));

type Helm = ToolName & `helm-${string}`;
type Kubectl = ToolName & `kubectl-${string}`;
const missingFor = (helm: Helm, kubectl: Kubectl) =>
  skipReason(helm) ?? skipReason(kubectl) ?? noCompiler ?? noCertificates;

export function describeQuickstart(helm: Helm, kubectl: Kubectl): void {
  const missing = missingFor(helm, kubectl);
  tellMissing(missing);
  describe.skipIf(missing !== undefined)(named(`the quickstart with ${helm} and ${kubectl}`, missing), () => {
    let driver: Driver;
    let workstation: Workstation;
    let cluster: StandInCluster;
    const reading = (text: string) => new Reader(text, workstation, { explain: cluster.report });

    beforeAll(async () => {
      driver = createDriver();
      cluster = await startStandInCluster({
        nodes,
        machine: { kernelLog: driver.kernelLog, runtimeClasses: { nvidia: driver.variables } },
      });
      workstation = createWorkstation({ helm: tool(helm), kubectl: tool(kubectl) });
      workstation.useKubeconfig(cluster.kubeconfig);
    });
    afterAll(async () => {
      workstation?.dispose();
      await cluster?.close();
      driver?.dispose();
    });

    it(`${sections.simulated}: answers say so, an upgrade keeps the tokens, nothing is left`, async () => {
      const reader = reading(quickstart);
      const before = everything(cluster);
      const tokens: object[] = [];
      const done = await reader.follow(sections.simulated, ({ text }) => {
        if (/helm (?:install|upgrade)/.test(text)) tokens.push(tokensOf(cluster));
      });
      const [shown] = reader.blocks(sections.simulated).filter(({ language }) => language === 'text');
      const asked = done.find(({ text }) => text.endsWith('kubectl-mcp health'));
      expect(withoutTimes(asked?.stdout ?? '')).toBe(withoutTimes(shown?.text ?? ''));
      const tables = done.filter(({ text }) => text.startsWith('kubectl mcp'));
      expect(tables.length).toBeGreaterThan(1);
      for (const { stdout } of tables)
        for (const word of [/SIMULATED GPUs/, /gpu-node-1/, /gpu-node-2/]) expect(stdout).toMatch(word);
      expect(done.find(({ text }) => text.startsWith('helm test'))?.stdout).toMatch(/Phase:\s+Succeeded/);
      expect(tokens).toHaveLength(2);
      expect(Object.keys(tokens[0] ?? {})).toHaveLength(2);
      expect(tokens[1]).toEqual(tokens[0]);
      expect(cluster.denials).toEqual([]);
      // Pods end in their own time.
      await expect.poll(() => everything(cluster), { timeout: 20_000 }).toEqual(before);
    });

    it(`${sections.real}: through the RuntimeClass, with a Role that is enough for others`, async () => {
      const alice = cluster.kubeconfigOf('alice');
      const asked = `kubectl mcp health --gateway-namespace gpu-mcp --kubeconfig ${alice}`;
      const done = await reading(quickstart).follow(sections.real, async ({ text }) => {
        // Before the last command she may do nothing.
        if (text.endsWith('kubectl-mcp health')) expect((await workstation.run(asked)).code).toBe(3);
      });
      const shown = done.find(({ text }) => text.endsWith('kubectl-mcp health'))?.stdout;
      expect(shown).toMatch(/2 nodes: 2 OK/);
      expect(shown).not.toMatch(/SIMULATED/);
      expect(await workstation.run(asked)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/2 nodes: 2 OK/),
      });
      expect(deniedToPrograms(cluster)).toEqual([]);
    });

    it(`${sections.assistant}: every configuration gives an answer, and the gateway may read what its tools need`, async () => {
      const servers = reading(quickstart).servers(sections.assistant);
      expect(servers.length).toBeGreaterThan(0);
      for (const server of servers.filter((each) => each.includes('k8s-gpu-mcp-bridge'))) {
        await workstation.withServer(server, async (client) => {
          expect(await health(client)).toMatchObject({ verdict: 'ok' });
          await ask(client, 'describe_gpu_node', { node: 'gpu-node-1' });
          await ask(client, 'get_pod_gpu_allocation');
        });
      }
      expect(deniedToPrograms(cluster)).toEqual([]);
    });

    it(`${sections.onDemand}: an agent per session, through exec`, async () => {
      const reader = reading(quickstart);
      await reader.follow(sections.onDemand);
      for (const server of reader.servers(sections.onDemand))
        await workstation.withServer(server, async (client) => {
          expect(client.getServerVersion()?.name).toBe('k8s-gpu-mcp-server');
          expect(JSON.stringify(await health(client))).toMatch(/simulated|mock/i);
        });
      const pods = cluster.state.all('Pod', { labels: 'app.kubernetes.io/instance=on-demand' });
      expect(pods).toHaveLength(2);
      for (const pod of pods)
        expect(objectsAt(pod, 'spec', 'containers')[0]?.['command']).toEqual(['/pause']);
    });
  });
}

/** What would turn the above red. */
export function describePlantedFaults(helm: Helm, kubectl: Kubectl): void {
  const missing = missingFor(helm, kubectl);
  describe.skipIf(missing !== undefined)(named('planted faults', missing), () => {
    let workstation: Workstation;
    let cluster: StandInCluster;
    beforeAll(async () => {
      cluster = await startStandInCluster({ nodes });
      workstation = createWorkstation({ helm: tool(helm), kubectl: tool(kubectl) });
      workstation.useKubeconfig(cluster.kubeconfig);
    });
    afterAll(async () => {
      workstation?.dispose();
      await cluster?.close();
    });

    it('a value of another name', async () => {
      const wrong = quickstart.replaceAll('gpu.mock.enabled', 'gpu.mock.enable');
      await expect(new Reader(wrong, workstation).follow(sections.simulated)).rejects.toThrow(
        /gpu.mock.enable=true/,
      );
    });

    it('a right that the chart forgets', async () => {
      const copy = mkdtempSync(join(tmpdir(), 'chart-'));
      cpSync(join(repositoryRoot, chart), copy, { recursive: true });
      const file = join(copy, 'templates/gateway-rbac.yaml');
      const rules = readFileSync(file, 'utf8');
      const without = rules.replace(/(resources: \[pods\]\n\s+verbs: \[)list, watch\]/, '$1list]');
      expect(without).not.toBe(rules);
      writeFileSync(file, without);
      const [section = ''] =
        /## In a cluster, with simulated GPUs[\s\S]*?kubectl-mcp health\n```/.exec(quickstart) ?? [];
      await new Reader(section.replace(`./${chart}`, copy), workstation, { explain: cluster.report }).follow(
        sections.simulated,
      );
      expect(deniedToPrograms(cluster).join('\n')).toMatch(/cannot watch resource "pods"/);
      rmSync(copy, { recursive: true, force: true });
    });
  });
}
