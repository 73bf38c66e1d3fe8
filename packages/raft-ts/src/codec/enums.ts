import { RaftCodecError } from '../errors.js';
import type { MessageType } from '../message-types.js';
import type { ConfChangeTransition, ConfChangeType, EntryType } from '../types.js';

/** Names in the order of their numbers on the wire. */
export const MESSAGE_TYPES: readonly MessageType[] = [
  'MsgHup',
  'MsgBeat',
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
  'MsgForgetLeader',
];

/** Names in the order of their numbers on the wire. */
export const ENTRY_TYPES: readonly EntryType[] = [
  'EntryNormal',
  'EntryConfChange',
  'EntryConfChangeV2',
];

/** Names in the order of their numbers on the wire. */
export const CONF_CHANGE_TYPES: readonly ConfChangeType[] = [
  'ConfChangeAddNode',
  'ConfChangeRemoveNode',
  'ConfChangeUpdateNode',
  'ConfChangeAddLearnerNode',
];

/** Names in the order of their numbers on the wire. */
export const TRANSITIONS: readonly ConfChangeTransition[] = [
  'auto',
  'jointImplicit',
  'jointExplicit',
];

/** Number of a name. @throws RaftCodecError if it is none */
export function numberOf<T extends string>(names: readonly T[], name: T): number {
  const number = names.indexOf(name);
  if (number < 0) throw new RaftCodecError(`unknown value ${String(name)}`);
  return number;
}

/** Name of a number. @throws RaftCodecError if there is none */
export function nameOf<T extends string>(names: readonly T[], number: number): T {
  const name = names[number];
  if (name === undefined) throw new RaftCodecError(`unknown value ${number}`);
  return name;
}
