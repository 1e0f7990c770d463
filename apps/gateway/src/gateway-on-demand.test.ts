import type { McpRequestContext, Server } from '@modelcontextprotocol/server';
import { describe, expect, it, vi } from 'vitest';
import { gatewayOnDemand, type ServedGateway } from './gateway-on-demand.ts';

const context: McpRequestContext = { era: 'modern' };
const server = {} as Server;

/** A gateway that is put together when the test says so. */
function rig() {
  const endChange = vi.fn();
  const gateway = {
    serverFactory: vi.fn(() => server),
    readiness: vi.fn(async () => ({ ready: true, reasons: [] })),
    collectMetrics: vi.fn(async () => 'gpu_nodes 1\n'),
    resourceChanges: { onChange: vi.fn(() => endChange) },
    stop: vi.fn(),
    close: vi.fn(async () => {}),
  };
  let composed = () => {};
  let failed: (error: Error) => void = () => {};
  const composing = new Promise<ServedGateway>((resolve, reject) => {
    composed = () => resolve(gateway as unknown as ServedGateway);
    failed = reject;
  });
  const compose = vi.fn(() => composing);
  return { gateway, endChange, compose, onDemand: gatewayOnDemand(compose), composed, failed };
}

describe('a gateway on demand', () => {
  it('is put together once, by the first who asks, and then serves all who waited', async () => {
    const { onDemand, compose, composed, gateway } = rig();
    expect(compose).not.toHaveBeenCalled();
    const waiting = [onDemand.serverFactory(context), onDemand.serverFactory(context)];
    const metrics = onDemand.collectMetrics();
    composed();
    expect(await Promise.all(waiting)).toEqual([server, server]);
    expect(await metrics).toBe('gpu_nodes 1\n');
    await onDemand.get();
    expect(compose).toHaveBeenCalledTimes(1);
    expect(gateway.serverFactory.mock.calls).toEqual([[context], [context]]);
  });

  it('is not ready before it is there, and then as ready as it says', async () => {
    const { onDemand, compose, composed, gateway } = rig();
    expect(await onDemand.readiness()).toEqual({ ready: false, reasons: [expect.any(String)] });
    expect(compose).not.toHaveBeenCalled();
    composed();
    await onDemand.get();
    gateway.readiness.mockResolvedValueOnce({ ready: false, reasons: ['not read yet'] } as never);
    expect(await onDemand.readiness()).toEqual({ ready: false, reasons: ['not read yet'] });
    expect(await onDemand.readiness()).toEqual({ ready: true, reasons: [] });
  });

  it('that cannot be put together tells everybody who waits', async () => {
    const { onDemand, failed } = rig();
    const mistake = new Error('no kubeconfig');
    const waiting = Promise.allSettled([onDemand.get(), onDemand.serverFactory(context)]);
    onDemand.resourceChanges.onChange(() => {}, ['gpu://a'])();
    failed(mistake);
    expect(await waiting).toEqual([
      { status: 'rejected', reason: mistake },
      { status: 'rejected', reason: mistake },
    ]);
    expect(await onDemand.readiness()).toMatchObject({ ready: false });
    await onDemand.close();
  });

  it('is stopped, also when that was asked for before it was there', async () => {
    const early = rig();
    early.onDemand.stop();
    early.composed();
    await early.onDemand.get();
    expect(early.gateway.stop).toHaveBeenCalledTimes(1);
    const late = rig();
    late.composed();
    await late.onDemand.get();
    late.onDemand.stop();
    expect(late.gateway.stop).toHaveBeenCalledTimes(1);
  });

  it('is closed when it is there, and never put together for that', async () => {
    const { onDemand, compose, composed, gateway } = rig();
    await onDemand.close();
    expect(compose).not.toHaveBeenCalled();
    const asked = onDemand.get();
    const closed = onDemand.close();
    expect(gateway.close).not.toHaveBeenCalled();
    composed();
    await Promise.all([asked, closed]);
    expect(gateway.close).toHaveBeenCalledTimes(1);
  });

  it('tells of changes from when it is there, unless nobody listens any more', async () => {
    const { onDemand, composed, gateway, endChange } = rig();
    const listener = () => {};
    const end = onDemand.resourceChanges.onChange(listener, ['gpu://a']);
    onDemand.resourceChanges.onChange(listener, ['gpu://b'])();
    composed();
    await onDemand.get();
    expect(gateway.resourceChanges.onChange.mock.calls).toEqual([[listener, ['gpu://a']]]);
    expect(endChange).not.toHaveBeenCalled();
    end();
    expect(endChange).toHaveBeenCalledTimes(1);
  });
});
