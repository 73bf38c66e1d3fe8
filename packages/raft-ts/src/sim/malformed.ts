import type { Message, MessageType } from '../message-types.js';
import type { RaftCore } from '../core.js';
import { message } from '../messages.js';
import type { NodeId } from '../numbers.js';
import type { Entry } from '../types.js';
import { IDS_MAX } from './network.js';

/** Nobody ever has this id. */
const UNKNOWN: NodeId = IDS_MAX - 1;

const LOCAL_TYPES: readonly MessageType[] = [
  'MsgHup',
  'MsgBeat',
  'MsgCheckQuorum',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgStorageAppendResp',
];

/**
 * A message that no member sends, made to do harm if it were accepted: one without a term, with a
 * gap, with terms that go back, from somebody unknown, or of a type for the inside of a member.
 *
 * @param core the receiver
 * @param from whose name it bears
 * @param raw decides which one
 */
export function malformedMessage(core: RaftCore, from: NodeId, raw: number): Message {
  const { id: to, term, log } = core;
  const { index, term: logTerm } = log.lastId();
  const entry = (place: number, ofTerm: number): Entry => ({
    type: 'EntryNormal',
    term: ofTerm,
    index: place,
    data: Uint8Array.of(0),
  });
  const append = { from, to, index, logTerm, commit: index + 1 };
  switch (raw % 5) {
    case 0:
      return message('MsgApp', { ...append, entries: [entry(index + 1, term)] });
    case 1:
      return message('MsgApp', { ...append, term: term + 1, entries: [entry(index + 2, term)] });
    case 2: {
      const entries = [entry(index + 1, term + 1), entry(index + 2, term)];
      return message('MsgApp', { ...append, term: term + 1, entries });
    }
    case 3:
      return message('MsgAppResp', { from: UNKNOWN, to, term, index });
    default: {
      const type = LOCAL_TYPES[Math.floor(raw / 5) % LOCAL_TYPES.length] ?? 'MsgHup';
      return message(type, { from, to, term, index, logTerm });
    }
  }
}
