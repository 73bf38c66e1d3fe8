import type { NetworkMessage } from '../../../src/index.js';
import type { LoadedLog } from '../../../src/node/index.js';

/**
 * Throws when a message leaves that promises more than is durable: raft-driver.md, 3.1.
 * A later durable term makes promises of an earlier one void: what was true when it was promised may
 * have been replaced in the same write.
 *
 * @param durable what would survive a loss of power of the sender now
 */
export function checkDurability(message: NetworkMessage, durable: LoadedLog): void {
  const { type, from, to, term, index, reject } = message;
  const state = durable.hardState ?? { term: 0, vote: 0, commit: 0 };
  const say = `${type} of ${from} at term ${term}, index ${index}`;
  switch (type) {
    case 'MsgVoteResp':
      if (!reject && !hasVoted(state, term, to)) throw new Error(`${say}: the vote is not durable`);
      return;
    case 'MsgVote':
      if (!hasVoted(state, term, from)) throw new Error(`${say}: the own vote is not durable`);
      // Entries of the same term are those of a leader that won already.
      if (lastTermOf(durable) >= term) return;
      if (lastOf(durable).index < index && state.term === term) {
        throw new Error(`${say}: the log is not durable`);
      }
      return;
    case 'MsgAppResp':
      if (state.term < term) throw new Error(`${say}: the term is not durable`);
      if (!reject && lastOf(durable).index < index && state.term === term) {
        throw new Error(`${say}: only ${lastOf(durable).index} entries are durable`);
      }
      return;
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      if (state.term < term) throw new Error(`${say}: leads a term that is not durable`);
      return;
    default:
      return;
  }
}

function hasVoted(state: { term: number; vote: number }, term: number, vote: number): boolean {
  return state.term > term || (state.term === term && state.vote === vote);
}

function lastOf({ entries, snapshot }: LoadedLog): { index: number } {
  return { index: Math.max(entries.at(-1)?.index ?? 0, snapshot?.metadata.index ?? 0) };
}

function lastTermOf({ entries }: LoadedLog): number {
  return entries.at(-1)?.term ?? 0;
}
