import type { Logger, Readiness } from './options.ts';

const READINESS_LIMIT_MILLISECONDS = 5_000;

/** Combines the caller's readiness check with the transport's own reasons; a check that throws or hangs is not ready. */
export function createReadinessCheck(options: {
  readonly readiness: (() => Promise<Readiness>) | undefined;
  readonly ownReasons: () => Promise<readonly string[]>;
  readonly logger: Logger;
  readonly limitMilliseconds?: number;
}): () => Promise<Readiness> {
  const limitMilliseconds = options.limitMilliseconds ?? READINESS_LIMIT_MILLISECONDS;
  const asked = async (): Promise<Readiness> => {
    if (options.readiness === undefined) return { ready: true, reasons: [] };
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<Readiness>((resolve) => {
      const reasons = [`the readiness check did not answer within ${limitMilliseconds} ms`];
      timer = setTimeout(() => resolve({ ready: false, reasons }), limitMilliseconds);
    });
    try {
      return await Promise.race([options.readiness(), limit]);
    } catch (error) {
      options.logger.error('http: the readiness check failed', { error: String(error) });
      return { ready: false, reasons: ['the readiness check failed'] };
    } finally {
      clearTimeout(timer);
    }
  };
  return async () => {
    const [answer, ownReasons] = await Promise.all([asked(), options.ownReasons()]);
    return { ready: answer.ready && ownReasons.length === 0, reasons: [...ownReasons, ...answer.reasons] };
  };
}
