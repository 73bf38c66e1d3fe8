import { RaftInvariantError } from '../errors.js';
import type { Ticks } from '../numbers.js';
import type { RawNode } from '../raw-node.js';
import { coreOf } from '../raw-node.js';

export { MemoryLogStore } from '../node/memory-log-store.js';
export type { MemoryLogStoreCounts, MemoryLogStoreHooks } from '../node/memory-log-store.js';
export { LOG_STORE_CONTRACT } from './log-store-contract.js';
export type { LogStoreCheck } from './log-store-contract.js';
export { LogStoreContractError } from './log-store-trial.js';
export type { LogStoreHarness } from './log-store-trial.js';

/**
 * Replaces the election timeout that was drawn at the last change of role; the next change draws
 * again. For tests that need to know who campaigns first.
 *
 * @param node any node
 * @param ticks at least 1
 */
export function setRandomizedElectionTimeout(node: RawNode, ticks: Ticks): void {
  if (!Number.isSafeInteger(ticks) || ticks < 1) {
    throw new RaftInvariantError(`an election timeout of ${ticks} ticks`);
  }
  coreOf(node).randomizedElectionTimeout = ticks;
}
