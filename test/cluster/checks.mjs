// What a cluster must show. Each check gets the trial and throws when it does not hold; what it returns is printed beside its name.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { eventually } from './kubectl.mjs';
import {
  agentSelector,
  fullName,
  gatewaySelector,
  gpuResource,
  releases,
  sleepingAgentSelector,
} from './manifests.mjs';
import { connectBridge, kubectlMcp, speak } from './programs.mjs';

const agents = `daemonset/${fullName(releases.http)}-agent`;
const gateway = `deployment/${fullName(releases.http)}-gateway`;
const readTools = ['get_gpu_health', 'describe_gpu_node', 'get_pod_gpu_allocation', 'explain_failure'];
const initialize = {
  protocolVersion: '2025-11-25',
  capabilities: {},
  clientInfo: { name: 'trial', version: '0' },
};

/** Whether the process is there and no zombie. */
const isRunning = (pid) => {
  try {
    return !execFileSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).startsWith('Z');
  } catch {
    return false;
  }
};

const sleepingPod = async (kubectl) => {
  const [pod] = (await kubectl.json('get', 'pods', '-l', sleepingAgentSelector)).items;
  return pod.metadata.name;
};

async function allNodesAnswer(session, nodes) {
  const answer = await session.ask('get_gpu_health');
  assert.equal(answer.nodeCount, nodes.length, 'nodes in the answer');
  assert.equal(
    answer.statusCounts.ok,
    nodes.length,
    `nodes that answered: ${JSON.stringify(answer.statusCounts)}`,
  );
  return answer;
}

/** With the bridge of a person who may do what the documentation asks for, and with nothing else given: no URL, no token. */
export const bridgeChecks = [
  [
    'bridge, port-forward: tools/list',
    async ({ session }) => {
      const { tools } = await session.client.listTools();
      const names = tools.map(({ name }) => name);
      for (const name of readTools) assert.ok(names.includes(name), `${name} is offered`);
      return `${names.length} tools`;
    },
  ],
  [
    'get_gpu_health: every node answers',
    async ({ session, nodes, isMock, scenario }) => {
      const answer = await allNodesAnswer(session, nodes);
      if (isMock && scenario === 'mixed-faults') assert.equal(answer.verdict, 'critical');
      return answer.summary;
    },
  ],
  [
    'describe_gpu_node: Kubernetes beside the hardware',
    async ({ session, nodes, kubectl, pretendGpus }) => {
      const holder = pretendGpus > 0 ? await kubectl.json('get', 'pod', 'holds-a-gpu') : undefined;
      const node = holder?.spec.nodeName ?? nodes[0];
      const answer = await session.ask('describe_gpu_node', { node });
      const { status } = await kubectl.json('get', 'node', node);
      assert.equal(answer.coverage.node, true);
      assert.equal(answer.coverage.agent, true);
      assert.equal(answer.kubernetes.kubeletVersion, status.nodeInfo.kubeletVersion);
      const countOf = (layer) => answer.layers.find((each) => each.layer === layer)?.count;
      if (holder !== undefined)
        assert.deepEqual([countOf('allocatable'), countOf('requested')], [pretendGpus, 1]);
      return answer.summary;
    },
  ],
  [
    'get_pod_gpu_allocation: all pods are read',
    async ({ session, namespace, pretendGpus }) => {
      const answer = await session.ask('get_pod_gpu_allocation', { namespace });
      assert.equal(answer.coverage.pods, true);
      if (pretendGpus > 0)
        assert.ok(JSON.stringify(answer).includes('holds-a-gpu'), `a pod with ${gpuResource}`);
      return answer.summary;
    },
  ],
  [
    'every other tool that reads answers',
    async ({ session, namespace, nodes: [node] }) => {
      const subjects = {
        get_gpu_inventory: {},
        analyze_xid_errors: {},
        get_gpu_processes: {},
        compare_gpus: {},
        get_gpu_telemetry: { node },
        get_gpu_topology: { node },
        get_gpu_timeline: { node },
        get_incident_report: { pod: `${namespace}/ends-with-1` },
      };
      for (const [name, input] of Object.entries(subjects)) await session.ask(name, input);
      return Object.keys(subjects).join(', ');
    },
  ],
  [
    'explain_failure: a job, by the pods that it owns',
    async ({ session, namespace, kubectl }) => {
      const answer = await session.ask('explain_failure', { job: `${namespace}/Job/train` });
      // The first pod that fails ends the job, which may delete the second.
      const { items } = await kubectl.json('get', 'pods', '-l', 'job-name=train');
      assert.ok(items.length > 0, 'a pod is left');
      assert.equal(answer.subject.podCount, items.length);
      assert.deepEqual(
        answer.gaps.filter(({ reason }) => reason === 'no-permission'),
        [],
      );
      return answer.summary;
    },
  ],
  [
    'explain_failure: a pod that ended with exit code 1',
    async ({ session, namespace }) => {
      const answer = await session.ask('explain_failure', {
        pod: `${namespace}/ends-with-1`,
        detail: 'full',
      });
      assert.match(JSON.stringify(answer), /"exitCode":1\b/);
      return answer.summary;
    },
  ],
  [
    'explain_failure: a pod that its memory limit ended',
    async ({ session, namespace, kubectl }) => {
      const { status } = await kubectl.json('get', 'pod', 'out-of-memory');
      const { reason, exitCode } = status.containerStatuses[0].state.terminated;
      if (reason !== 'OOMKilled') return `not tried: this cluster reports ${reason} (${exitCode})`;
      const answer = await session.ask('explain_failure', { pod: `${namespace}/out-of-memory` });
      assert.equal(answer.cause, 'host-memory');
      // Some kubelets, 1.20 among them, report the end of one container as the node's own lack of memory, which leaves it undecided.
      const isOfNode = answer.events.some((event) => event.reason === 'SystemOOM');
      assert.equal(answer.notYourCode, isOfNode ? 'undecided' : false);
      return answer.summary;
    },
  ],
  [
    'port-forward: the connections to the API server are cut, and the next question is answered',
    async ({ session, callers, nodes }) => {
      const count = callers.cutConnections();
      assert.ok(count > 0, 'a connection was open');
      await allNodesAnswer(session, nodes);
      return `${count} cut`;
    },
  ],
  [
    'port-forward: cut while a question is under way, which still gets its answer',
    async ({ session, callers }) => {
      const asked = session.ask('get_gpu_telemetry', {
        node: (await session.ask('get_gpu_health')).nodes[0].node,
        window: 3,
      });
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      assert.ok(callers.cutConnections() > 0, 'a connection was open');
      await asked;
    },
  ],
  [
    'gateway: its pod is deleted, and the next question is answered by the new one',
    async ({ session, kubectl, nodes }) => {
      await kubectl.text('delete', 'pod', '-l', gatewaySelector, '--wait=false');
      await kubectl.text('rollout', 'status', gateway, '--timeout=120s');
      await allNodesAnswer(session, nodes);
    },
  ],
  [
    'agents: rolling restart under questions, none of which fails',
    async ({ session, kubectl, nodes }) => {
      const failures = new Set();
      const silent = new Map();
      let asked = 0;
      let whole = 0;
      await kubectl.text('rollout', 'restart', agents);
      let isDone = false;
      const done = kubectl.text('rollout', 'status', agents, '--timeout=240s').finally(() => {
        isDone = true;
      });
      while (!isDone) {
        asked += 1;
        try {
          const answer = await session.ask('get_gpu_health');
          assert.equal(answer.nodeCount, nodes.length);
          if (answer.statusCounts.ok === nodes.length) whole += 1;
          for (const { status, reason } of answer.nodes.filter((each) => each.status !== 'ok')) {
            const why = `${status} (${reason})`;
            silent.set(why, (silent.get(why) ?? 0) + 1);
          }
        } catch (error) {
          failures.add(error.message);
        }
      }
      await done;
      await eventually('every node answers again', 60, () =>
        allNodesAnswer(session, nodes).catch(() => undefined),
      );
      assert.equal(failures.size, 0, [...failures].join('; '));
      const named = [...silent].map(([why, count]) => `${count} ${why}`).join('; ');
      return `${asked} questions, all answered, ${whole} by all nodes; nodes that did not: ${named}`;
    },
  ],
  [
    'bridge: ends with its host',
    async ({ session }) => {
      const pid = session.pid();
      const asked = session.ask('get_gpu_health').catch(() => {});
      await session.close();
      await asked;
      await eventually('the bridge has ended', 10, () => (isRunning(pid) ? undefined : true));
    },
  ],
];

/** Sessions of their own. */
export const otherChecks = [
  [
    'kubectl mcp health: a row for every node',
    async ({ callerConfig, nodes, isMock, scenario }) => {
      const { code, stdout, stderr } = await kubectlMcp('health', '--kubeconfig', callerConfig);
      for (const node of nodes) assert.match(stdout, new RegExp(`^${node} `, 'm'), stderr);
      if (isMock && scenario === 'mixed-faults') assert.equal(code, 2);
      return stdout.split('\n', 1)[0];
    },
  ],
  [
    'kubectl mcp diagnose pod/NAME',
    async ({ callerConfig, namespace }) => {
      const flags = ['--namespace', namespace, '--kubeconfig', callerConfig];
      const { code, stdout, stderr } = await kubectlMcp('diagnose', 'pod/ends-with-1', ...flags);
      assert.ok([0, 1, 2, 3].includes(code), `${code}: ${stderr}`);
      assert.match(stdout, /ends-with-1/);
      return stdout.split('\n', 1)[0];
    },
  ],
  [
    'bridge --via exec: the sleeping agent answers for its node',
    async ({ callerConfig, nodes }) => {
      const session = await connectBridge(
        ...['--via', 'exec', '--node', nodes[0]],
        ...['--kubeconfig', callerConfig],
      );
      try {
        const answer = await session.ask('get_gpu_health');
        assert.equal(answer.node, nodes[0]);
        return answer.summary;
      } finally {
        await session.close();
      }
    },
  ],
  [
    'kubectl exec -i POD -- /agent: MCP and nothing else on stdout, and an end when stdin closes',
    async ({ kubectl }) => {
      const child = kubectl.start('exec', '-i', await sleepingPod(kubectl), '--', '/agent');
      const speech = speak(child);
      try {
        const { result } = await speech.request(1, 'initialize', initialize);
        speech.notify('notifications/initialized');
        const listed = await speech.request(2, 'tools/list');
        child.stdin.end();
        assert.equal(await speech.ended, 0, 'exit code');
        for (const line of speech.lines) JSON.parse(line);
        return `${result.serverInfo.name}, ${listed.result.tools.length} tools`;
      } finally {
        child.kill();
      }
    },
  ],
  [
    'no program of a session is left in the pod',
    async ({ kubectl, node }) => {
      const script =
        'const fs=require("fs");console.log(fs.readdirSync("/proc").filter((p)=>/^\\d+$/.test(p)&&p!==String(process.pid)&&p!=="1").length)';
      const pod = await sleepingPod(kubectl);
      const others = () => kubectl.text('exec', pod, '--', ...node, '-e', script);
      await eventually('only the sleeping one', 20, async () =>
        Number(await others()) === 0 ? true : undefined,
      );
    },
  ],
  [
    'helm test: the gateway is asked from inside the cluster',
    async ({ helm, kubectl }) => {
      const dns = await kubectl.text('get', 'services', '-A', '-l', 'k8s-app=kube-dns', '-o', 'name');
      if (dns === '') return 'not tried: the names of Services are not resolved in this cluster';
      assert.match(await helm.test('http'), /^Phase:\s+Succeeded$/m);
    },
  ],
  [
    'helm upgrade: tokens stay',
    async ({ helm, kubectl }) => {
      const tokens = async () =>
        (await kubectl.json('get', 'secrets', '-l', `app.kubernetes.io/instance=${releases.http}`)).items.map(
          ({ metadata, data }) => [metadata.name, data.token],
        );
      const before = await tokens();
      assert.equal(before.length, 2, 'tokens of the agents and of the gateway');
      await helm.upgrade('http');
      assert.deepEqual(await tokens(), before);
    },
  ],
  [
    'without rights: one sentence that says which',
    async ({ callers, namespace }) => {
      const { code, stderr } = await kubectlMcp(
        ...['health', '--gateway-namespace', namespace, '--kubeconfig', callers.stranger],
      );
      assert.equal(code, 3);
      assert.match(stderr, /You may not .*list services/);
      return stderr.trim().split('\n', 1)[0];
    },
  ],
  [
    'with a wrong token: refused',
    async ({ callerConfig }) => {
      const { code, stderr } = await kubectlMcp('health', '--token', 'wrong', '--kubeconfig', callerConfig);
      assert.equal(code, 3);
      assert.match(stderr, /token/i);
      return stderr.trim().split('\n', 1)[0];
    },
  ],
  [
    'agents: without a token nobody is answered',
    async ({ kubectl, namespace }) => {
      const [pod] = (await kubectl.json('get', 'pods', '-l', agentSelector)).items;
      const path = `/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}:8080/proxy/metrics`;
      await assert.rejects(kubectl.text('get', '--raw', path), /Unauthorized|credentials|401|403|Forbidden/i);
    },
  ],
];
