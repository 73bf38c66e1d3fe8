import { decodeConfChange } from './codec/conf-change.js';
import { confchange } from './confchange.js';
import { RaftCodecError, RaftError } from './errors.js';
import type { Message, MessageType } from './message-types.js';
import type { NodeId } from './numbers.js';
import { isLocalThread, isUint, MAX_INDEX, MAX_NODE_ID, NONE } from './numbers.js';
import type { Entry, Snapshot } from './types.js';

/** Local messages never leave their node; a response answers what its receiver has sent. */
export type MessageKind = 'local' | 'response' | 'request';

const KINDS: ReadonlyMap<string, MessageKind> = new Map<MessageType, MessageKind>([
  ['MsgHup', 'local'],
  ['MsgBeat', 'local'],
  ['MsgProp', 'request'],
  ['MsgApp', 'request'],
  ['MsgAppResp', 'response'],
  ['MsgVote', 'request'],
  ['MsgVoteResp', 'response'],
  ['MsgSnap', 'request'],
  ['MsgHeartbeat', 'request'],
  ['MsgHeartbeatResp', 'response'],
  ['MsgUnreachable', 'local'],
  ['MsgSnapStatus', 'local'],
  ['MsgCheckQuorum', 'local'],
  ['MsgTransferLeader', 'request'],
  ['MsgTimeoutNow', 'request'],
  ['MsgReadIndex', 'request'],
  ['MsgReadIndexResp', 'response'],
  ['MsgPreVote', 'request'],
  ['MsgPreVoteResp', 'response'],
  ['MsgStorageAppend', 'local'],
  ['MsgStorageAppendResp', 'local'],
  ['MsgStorageApply', 'local'],
  ['MsgStorageApplyResp', 'local'],
  ['MsgForgetLeader', 'request'],
]);

/** Kind of a message type; undefined if there is no such type. */
export function kindOf(type: MessageType): MessageKind | undefined {
  return KINDS.get(type);
}

/** Whether a message is the acknowledgment of a local storage thread. */
export function isStorageResponse({ type, from }: Message): boolean {
  return (type === 'MsgStorageAppendResp' || type === 'MsgStorageApplyResp') && isLocalThread(from);
}

/**
 * What is wrong with a message, whoever sent it: numbers, entries, snapshot.
 *
 * @returns undefined if it is well-formed
 */
export function problemOf(message: Message): string | undefined {
  const numbers =
    isUint(message.term) &&
    isUint(message.index) &&
    isUint(message.commit) &&
    isUint(message.logTerm) &&
    isUint(message.rejectHint) &&
    isUint(message.vote) &&
    isUint(message.to) &&
    isUint(message.from);
  if (!numbers) return 'a number is not in 0..2^53-1';
  if (message.term > MAX_INDEX || message.index > MAX_INDEX || message.commit > MAX_INDEX) {
    return 'a term or index is too large';
  }
  switch (message.type) {
    case 'MsgApp':
      return appendProblem(message);
    case 'MsgProp':
      return proposalProblem(message.entries);
    case 'MsgReadIndex':
      return message.entries.length === 1 ? undefined : 'a read request has one entry';
    case 'MsgSnap':
      return snapshotProblem(message.snapshot);
    default:
      return undefined;
  }
}

/** What a node sends to others only; it would answer itself. */
const TO_OTHERS: ReadonlySet<MessageType> = new Set([
  'MsgApp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgVote',
  'MsgPreVote',
  'MsgTimeoutNow',
]);

/**
 * What is wrong with a message as one that came from the network.
 *
 * @param message any message
 * @param id the node that got it
 * @returns undefined if nothing is
 */
export function networkProblem(message: Message, id: NodeId): string | undefined {
  const { type, from, term } = message;
  if (from === NONE || from > MAX_NODE_ID) return `${from} is not a node id`;
  if (from === id && TO_OTHERS.has(type)) return `${type} from this node itself`;
  if (term === 0 && type !== 'MsgProp' && type !== 'MsgReadIndex') {
    return `${type} without a term`;
  }
  return problemOf(message);
}

/** Entries of an append continue its base without gaps, and terms do not go back. */
function appendProblem(message: Message): string | undefined {
  let { index, logTerm: term } = message;
  if (term > message.term) return 'the base of an append is of a later term';
  for (const entry of message.entries) {
    index++;
    if (entry.index !== index) return `entry ${entry.index} instead of ${index}`;
    if (!isUint(entry.term) || entry.term < term || entry.term > message.term) {
      return `entry ${index} has term ${entry.term} after ${term} in term ${message.term}`;
    }
    if (!isEntryType(entry)) return `entry ${index} has an unknown type`;
    term = entry.term;
  }
  return index > MAX_INDEX ? 'an index is too large' : undefined;
}

function isEntryType({ type }: Entry): boolean {
  return type === 'EntryNormal' || type === 'EntryConfChange' || type === 'EntryConfChangeV2';
}

function proposalProblem(entries: readonly Entry[]): string | undefined {
  if (entries.length === 0) return 'a proposal without entries';
  for (const entry of entries) {
    if (!isEntryType(entry)) return 'a proposal of an unknown type';
    if (entry.type === 'EntryNormal') continue;
    try {
      decodeConfChange(entry);
    } catch (error) {
      if (error instanceof RaftCodecError) return `a damaged change: ${error.message}`;
      throw error;
    }
  }
  return undefined;
}

function snapshotProblem(snapshot: Snapshot | undefined): string | undefined {
  if (snapshot === undefined) return 'a snapshot message without a snapshot';
  const { index, term, confState } = snapshot.metadata;
  if (!isUint(index) || !isUint(term) || index > MAX_INDEX || term > MAX_INDEX) {
    return 'a snapshot at no place of a log';
  }
  try {
    confchange.restore(confState, index, { maxInflightMsgs: 1 });
    return undefined;
  } catch (error) {
    if (error instanceof RaftError) return `a snapshot with a bad configuration: ${error.message}`;
    throw error;
  }
}
