import { describe, expect, it } from 'vitest';
import { tellMissing } from '../missing.ts';
import { skipReason } from '../tools/tools.ts';
import { HelmError, helmVersions, render, type Values } from './helm.ts';
import { contradictions } from './value-choices.ts';

tellMissing(...helmVersions.map(skipReason));

describe.each(helmVersions)('what %s refuses', (helm) => {
  const isMissing = skipReason(helm) !== undefined;
  const refusal = async (values: Values, apiVersions?: readonly string[]) => {
    try {
      await render({ helm, values, ...(apiVersions === undefined ? {} : { apiVersions }) });
      return 'nothing is refused';
    } catch (error) {
      if (error instanceof HelmError) return error.message;
      throw error;
    }
  };

  it.skipIf(isMissing).concurrent.each(contradictions)('$name', async ({ values, sentence }) => {
    expect(await refusal(values)).toMatch(sentence);
  });

  // helm 4 takes a cluster that it does not ask for one that serves resource.k8s.io/v1.
  it.skipIf(isMissing || helm !== 'helm-3')('DRA where the cluster does not serve it', async () => {
    const values = { 'gpu.runtimeClass.enabled': false, 'gpu.dra.enabled': true };
    expect(await refusal(values, [])).toMatch(/resource\.k8s\.io\/v1.*1\.34.*gpu\.runtimeClass/);
  });

  it.skipIf(isMissing)('all problems at once', async () => {
    const message = await refusal({ 'gpu.runtimeClass.enabled': false, 'operator.reset.enabled': true });
    expect(message).toMatch(/exactly one of/);
    expect(message).toMatch(/operator\.reset\.enabled/);
  });

  const ofTheSchema: readonly (readonly [string, Values, RegExp])[] = [
    ['a value that does not exist', { 'gpu.runtimeclass.enabled': true }, /runtimeclass/],
    ['a value of the predecessor', { 'xidAnalysis.enabled': true }, /xidAnalysis/],
    ['a mode that does not exist', { mode: 'readonly' }, /mode/],
    ['a transport that does not exist', { 'transport.mode': 'sse' }, /transport/],
    ['a kernel log that does not exist', { 'kernelLog.source': 'journal' }, /kernelLog/],
    ['a switch as a text', { hostPID: 'yes' }, /hostPID/],
    ['a port out of range', { 'transport.http.port': 80_800 }, /port/],
    [
      'a request for no GPU',
      { 'gpu.runtimeClass.enabled': false, 'gpu.resourceRequest': { enabled: true, count: 0 } },
      /count/,
    ],
    ['a digest that is none', { 'image.digest': 'latest' }, /digest/],
    ['a storage that does not exist', { 'recorder.storage': 'pvc' }, /storage/],
    ['a retention that the agent refuses', { 'recorder.retentionHours': 1000 }, /retentionHours/],
    ['an interval that the agent refuses', { 'recorder.intervalMilliseconds': 10 }, /intervalMilliseconds/],
    ['a deadline that the gateway refuses', { 'gateway.deadline': '90s' }, /deadline/],
    ['a deadline of part of a second', { 'gateway.deadline': '2.5s' }, /deadline/],
    ['a log level that does not exist', { 'agent.logLevel': 'verbose' }, /logLevel/],
    [
      'labels of the chart',
      { commonLabels: { 'app.kubernetes.io/name': 'mine' } },
      /app\.kubernetes\.io|commonLabels/,
    ],
  ];
  it.skipIf(isMissing).concurrent.each(ofTheSchema)('%s', async (_name, values, words) => {
    const message = await refusal(values);
    expect(message).toMatch(/schema/i);
    expect(message).toMatch(words);
  });
});
