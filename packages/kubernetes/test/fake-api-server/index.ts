export { createFakeApiServer, statusObject } from './create-fake-api-server.ts';
export type { FakeApiServer, FakeApiServerOptions, FakeRequest, Fault, Verb } from './fake-api-server.ts';
