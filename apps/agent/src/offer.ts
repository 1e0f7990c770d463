import type { AgentOffer } from './describe-offer.ts';

export type { AgentOffer };

/** Stands for the name of the node in an offer that was made before it was known. A DNS name that nobody can have (RFC 2606). */
export const unknownNode = 'node.invalid';

/**
 * The offer of any agent. scripts/bundle.mjs replaces this file by what is in it once it has run, so that a program that is bundled lists
 * its tools before it loads them.
 */
export async function knownOffer(): Promise<AgentOffer> {
  const { describeOffer } = await import('./describe-offer.ts');
  return describeOffer(unknownNode);
}
