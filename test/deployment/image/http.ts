// A client of what a container serves over HTTP.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { expect } from 'vitest';

export { freePort } from '../../programs/run-program.ts';

export const healthTool = { name: 'get_gpu_health', arguments: {} };

/** Resolves once the address answers with status 200; the log of who should have answered is shown when it never does. */
export async function answersAt(url: string, log: () => string): Promise<void> {
  const status = () =>
    fetch(url).then(
      (response) => response.status,
      () => `no answer; the log says:\n${log()}`,
    );
  await expect.poll(status).toBe(200);
}

/** The official client, connected. */
export async function connected(url: string, token?: string): Promise<Client> {
  const client = new Client({ name: 'test', version: '0' });
  const requestInit = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
}

/** Many questions, several at once. @returns how many were answered; rejects when one was not */
export async function askedHard(url: string, calls = 200): Promise<number> {
  const clients = await Promise.all(Array.from({ length: 4 }, () => connected(url)));
  const answers = await Promise.all(
    clients.map(async (client) => {
      let answered = 0;
      for (; answered < calls / clients.length; answered += 1) {
        const { isError } = await client.callTool(healthTool);
        expect(isError ?? false).toBe(false);
      }
      await client.close();
      return answered;
    }),
  );
  return answers.reduce((sum, each) => sum + each, 0);
}
