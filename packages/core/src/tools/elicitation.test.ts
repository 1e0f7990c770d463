import { describe, expect, test } from 'vitest';
import { bindElicitation, type ElicitingServer } from './elicitation.ts';
import type { ConfirmationRequest } from './tool.ts';

const question: ConfirmationRequest = {
  id: 'question-1',
  message: 'Ends process 4711.',
  signal: new AbortController().signal,
  timeoutMilliseconds: 120_000,
};

function server(capabilities: unknown, answer?: unknown) {
  const asked: { params: unknown; options: unknown }[] = [];
  const made: ElicitingServer = {
    getClientCapabilities: () => capabilities,
    async elicitInput(params, options) {
      asked.push({ params, options });
      return answer;
    },
  };
  return { asked, made };
}

const modern = (capabilities: unknown, more: object = {}) => ({
  mcpReq: { envelope: { 'io.modelcontextprotocol/clientCapabilities': capabilities }, ...more },
});

// An empty object means forms, as before there were modes. Source: MCP 2025-11-25, elicitation capabilities.
const capabilities: readonly (readonly [unknown, boolean])[] = [
  [{ elicitation: {} }, true],
  [{ elicitation: { form: {} } }, true],
  [{ elicitation: { form: {}, url: {} } }, true],
  [{ elicitation: { url: {} } }, false],
  [{ sampling: {} }, false],
  [{ elicitation: null }, false],
  [{ elicitation: 'yes' }, false],
  [undefined, false],
  [null, false],
];

test.each(capabilities)('a client with %j can be asked: %j', (offered, can) => {
  expect(bindElicitation(server(offered).made, {}).confirm !== undefined).toBe(can);
  expect(bindElicitation(undefined, modern(offered)).confirm !== undefined).toBe(can);
});

test('a server object that cannot ask leaves nobody to be asked', () => {
  expect(bindElicitation(undefined, {}).confirm).toBeUndefined();
  expect(bindElicitation(undefined, undefined).confirm).toBeUndefined();
});

const answers: readonly (readonly [unknown, string])[] = [
  [{ action: 'accept', content: { confirm: true } }, 'accepted'],
  [{ action: 'accept', content: { confirm: false } }, 'declined'],
  [{ action: 'accept', content: { confirm: 'true' } }, 'declined'],
  [{ action: 'accept', content: { confirm: 1 } }, 'declined'],
  [{ action: 'accept', content: {} }, 'declined'],
  [{ action: 'accept' }, 'declined'],
  [{ action: 'decline', content: { confirm: true } }, 'declined'],
  [{ action: 'cancel', content: { confirm: true } }, 'cancelled'],
  [{ content: { confirm: true } }, 'cancelled'],
  [undefined, 'cancelled'],
  [null, 'cancelled'],
  ['accept', 'cancelled'],
];

describe.each(answers)('the answer %j', (answer, expected) => {
  test(`is ${expected}, asked on the way`, async () => {
    const { confirm } = bindElicitation(server({ elicitation: {} }, answer).made, {});
    expect(await confirm?.(question)).toBe(expected);
  });

  test(`is ${expected}, brought by the next call`, async () => {
    const host = modern(
      { elicitation: {} },
      { inputResponses: { confirm: answer }, requestState: () => 'question-1' },
    );
    const { confirm, result, answeredQuestion } = bindElicitation(undefined, host);
    expect([await confirm?.(question), result(), answeredQuestion]).toEqual([
      expected,
      undefined,
      'question-1',
    ]);
  });
});

test('planted fault: an answer read by its action alone would take five refusals for a yes', () => {
  const naive = answers.filter(([answer]) => (answer as { action?: string } | null)?.action === 'accept');
  expect(naive.filter(([, expected]) => expected !== 'accepted')).toHaveLength(5);
});

test.each([{ mcpReq: { id: 7 } }, { requestId: 7 }])(
  'the question goes on the stream of the call (%j), and ends with its signal',
  async (host) => {
    const { asked, made } = server({ elicitation: {} });
    await bindElicitation(made, host).confirm?.(question);
    expect(asked).toMatchObject([
      {
        params: {
          mode: 'form',
          message: 'Ends process 4711.',
          requestedSchema: { type: 'object', required: ['confirm'] },
        },
        options: { relatedRequestId: 7, timeout: 125_000 },
      },
    ]);
    expect(asked[0]?.options).toHaveProperty('signal', question.signal);
  },
);

test('from 2026-07-28 on the question is the result of the call', async () => {
  const forged = { confirm: { action: 'accept', content: { confirm: true } } };
  const host = modern(
    { elicitation: {} },
    { inputResponses: forged, requestState: () => 'another question' },
  );
  const { confirm, result } = bindElicitation(undefined, host);
  expect(result()).toBeUndefined();
  expect(await confirm?.(question)).toBe('pending');
  expect(result()).toEqual({
    resultType: 'input_required',
    inputRequests: {
      confirm: {
        method: 'elicitation/create',
        params: { mode: 'form', message: 'Ends process 4711.', requestedSchema: expect.any(Object) },
      },
    },
    requestState: 'question-1',
  });
});
