import type { Config } from '../index.js';
import type { ResolvedOptions } from './options.js';
import type { StartState } from './startup.js';

/**
 * The configuration of the core for a member of a cluster that keeps secrets.
 *
 * Reads are confirmed by a quorum, because a lease trusts clocks; nothing is forwarded, so that a
 * proposal is in the log at most once.
 */
export function coreConfig(options: ResolvedOptions, start: StartState): Config {
  const { id, electionTick, heartbeatTick, limits, logger, random, trace } = options;
  return {
    id,
    storage: start.storage,
    applied: start.index,
    electionTick,
    heartbeatTick,
    maxInflightMsgs: limits.inflightMessagesMax,
    maxInflightBytes: limits.inflightSizeMax,
    maxSizePerMsg: limits.messageSizeMax,
    maxCommittedSizePerReady: limits.applyingSizeMax,
    maxUncommittedEntriesSize: limits.uncommittedSizeMax,
    asyncStorageWrites: true,
    checkQuorum: true,
    preVote: true,
    readOnlyOption: 'safe',
    disableProposalForwarding: true,
    stepDownOnRemoval: true,
    random,
    ...(logger === undefined ? {} : { logger }),
    ...(trace === undefined ? {} : { trace }),
  };
}
