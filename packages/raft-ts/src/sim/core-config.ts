import type { Config, Logger } from '../config.js';
import type { SimParameters } from './parameters.js';

/** What the parameters of a run say about the core of each member. */
export function coreConfig(
  parameters: SimParameters,
  logger: Logger | undefined,
): Omit<Config, 'id' | 'storage' | 'random'> {
  const limit = (value: number): number =>
    value === Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : value;
  return {
    electionTick: parameters.electionTick,
    heartbeatTick: parameters.heartbeatTick,
    maxSizePerMsg: limit(parameters.maxSizePerMsg),
    maxCommittedSizePerReady: limit(parameters.maxCommittedSizePerReady),
    maxUncommittedEntriesSize: limit(parameters.maxUncommittedEntriesSize),
    maxInflightMsgs: parameters.maxInflightMsgs,
    maxInflightBytes: limit(parameters.maxInflightBytes),
    asyncStorageWrites: parameters.asyncStorageWrites,
    checkQuorum: parameters.checkQuorum,
    preVote: parameters.preVote,
    stepDownOnRemoval: parameters.stepDownOnRemoval,
    disableProposalForwarding: parameters.disableProposalForwarding,
    deferVoteRequests: parameters.deferVoteRequests,
    readOnlyOption: parameters.leaseReads ? 'leaseBased' : 'safe',
    ...(logger === undefined ? {} : { logger }),
  };
}
