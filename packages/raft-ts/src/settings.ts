import type { Config, ReadOnlyOption } from './config.js';
import { ConfigError } from './errors.js';
import type { Bytes, Index, NodeId, Ticks } from './numbers.js';
import { isUint, MAX_NODE_ID } from './numbers.js';
import type { TraceEvent } from './trace.js';

/** A checked configuration with all defaults filled in. */
export interface Settings {
  readonly id: NodeId;
  readonly electionTick: Ticks;
  readonly heartbeatTick: Ticks;
  readonly applied: Index;
  readonly maxSizePerMsg: Bytes;
  readonly maxCommittedSizePerReady: Bytes;
  readonly maxUncommittedEntriesSize: Bytes;
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: Bytes;
  readonly asyncStorageWrites: boolean;
  readonly checkQuorum: boolean;
  readonly preVote: boolean;
  readonly readOnlyOption: ReadOnlyOption;
  readonly disableProposalForwarding: boolean;
  readonly disableConfChangeValidation: boolean;
  readonly stepDownOnRemoval: boolean;
  readonly deferVoteRequests: boolean;
  readonly deferSoleVoterReads: boolean;
  readonly random: (n: number) => number;
  readonly trace: ((event: TraceEvent) => void) | undefined;
}

function require(isFine: boolean, field: keyof Config, text: string): void {
  if (!isFine) throw new ConfigError(field, text);
}

/** A size limit: a whole number of bytes, or Infinity for no limit. */
function isSize(value: unknown): boolean {
  return isUint(value) || value === Number.POSITIVE_INFINITY;
}

/**
 * Checks a configuration.
 *
 * @throws ConfigError for the first value that is missing or out of range
 */
export function settingsOf(config: Config): Settings {
  const maxSizePerMsg = config.maxSizePerMsg ?? Number.POSITIVE_INFINITY;
  const settings: Settings = {
    id: config.id,
    electionTick: config.electionTick,
    heartbeatTick: config.heartbeatTick,
    applied: config.applied ?? 0,
    maxSizePerMsg,
    maxCommittedSizePerReady: config.maxCommittedSizePerReady ?? maxSizePerMsg,
    maxUncommittedEntriesSize: config.maxUncommittedEntriesSize ?? Number.POSITIVE_INFINITY,
    maxInflightMsgs: config.maxInflightMsgs,
    maxInflightBytes: config.maxInflightBytes ?? Number.POSITIVE_INFINITY,
    asyncStorageWrites: config.asyncStorageWrites ?? false,
    checkQuorum: config.checkQuorum ?? false,
    preVote: config.preVote ?? false,
    readOnlyOption: config.readOnlyOption ?? 'safe',
    disableProposalForwarding: config.disableProposalForwarding ?? false,
    disableConfChangeValidation: config.disableConfChangeValidation ?? false,
    stepDownOnRemoval: config.stepDownOnRemoval ?? false,
    deferVoteRequests: config.deferVoteRequests ?? true,
    deferSoleVoterReads: config.deferSoleVoterReads ?? true,
    random: config.random,
    trace: config.trace,
  };
  check(config, settings);
  return settings;
}

function check(config: Config, s: Settings): void {
  require(isUint(s.id) && s.id > 0, 'id', 'cannot use none as id');
  require(s.id <= MAX_NODE_ID, 'id', 'cannot use local target as id');
  require(typeof config.storage === 'object', 'storage', 'storage cannot be missing');
  require(typeof s.random === 'function', 'random', 'random cannot be missing');
  const { heartbeatTick, electionTick } = s;
  require(isUint(heartbeatTick) &&
    heartbeatTick > 0, 'heartbeatTick', 'heartbeat tick must be greater than 0');
  require(isUint(electionTick) &&
    electionTick >
      heartbeatTick, 'electionTick', 'election tick must be greater than heartbeat tick');
  require(isUint(s.applied), 'applied', 'applied must be an index');
  require(isUint(s.maxInflightMsgs) &&
    s.maxInflightMsgs > 0, 'maxInflightMsgs', 'max inflight messages must be greater than 0');
  require(isSize(s.maxSizePerMsg), 'maxSizePerMsg', 'max message size must be a size');
  require(isSize(s.maxCommittedSizePerReady) &&
    s.maxCommittedSizePerReady >
      0, 'maxCommittedSizePerReady', 'max committed size per ready must be greater than 0');
  require(isSize(
    s.maxUncommittedEntriesSize,
  ), 'maxUncommittedEntriesSize', 'max uncommitted size must be a size');
  require(isSize(s.maxInflightBytes) &&
    s.maxInflightBytes > 0 &&
    s.maxInflightBytes >=
      s.maxSizePerMsg, 'maxInflightBytes', 'max inflight bytes must be >= max message size');
  require(s.readOnlyOption === 'safe' ||
    s.readOnlyOption ===
      'leaseBased', 'readOnlyOption', "read-only option must be 'safe' or 'leaseBased'");
  require(s.readOnlyOption === 'safe' ||
    s.checkQuorum, 'readOnlyOption', 'CheckQuorum must be enabled when ReadOnlyOption is ReadOnlyLeaseBased');
}
