import { RaftInvariantError } from '../errors.js';
import type { Ticks } from '../numbers.js';
import type { RawNode } from '../raw-node.js';
import { coreOf } from '../raw-node.js';

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
