import { RaftCodecError } from '../errors.js';
import { NO_BYTES } from '../messages.js';
import { isLocalThread } from '../numbers.js';
import type {
  ConfChange,
  ConfChangeSingle,
  ConfChangeTransition,
  ConfChangeType,
  ConfChangeV1,
  ConfChangeV2,
  Entry,
  EntryType,
} from '../types.js';
import { CONF_CHANGE_TYPES, nameOf, numberOf, TRANSITIONS } from './enums.js';
import { Reader } from './reader.js';
import { BackwardWriter } from './writer.js';

/**
 * Leaves a joint configuration. Its encoding is empty, so that a leader can never refuse its own
 * for its size.
 */
export const LEAVE_JOINT: ConfChange = Object.freeze({
  version: 2,
  transition: 'auto',
  changes: [],
});

/** Steps of one change; more is not a change but an attack. */
const CHANGES_MAX = 10_000;

/** Payload of an entry that carries a change. */
export interface EncodedConfChange {
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/**
 * The steps of a change in either form.
 *
 * @param change any change
 */
export function changesOf(change: ConfChange): readonly ConfChangeSingle[] {
  return change.version === 1 ? [change.change] : change.changes;
}

/**
 * The payload of an entry that carries a change.
 *
 * @throws RaftCodecError for unknown names, for ids that are not node ids, and for more than 10,000
 *   steps
 */
export function encodeConfChange(change: ConfChange): EncodedConfChange {
  const writer = new BackwardWriter(32 + (change.context?.length ?? 0));
  if (change.version === 1) {
    const { type, nodeId } = change.change;
    checkId(nodeId);
    writer.bytes(4, change.context ?? NO_BYTES);
    writer.uintAlways(3, nodeId);
    writer.uintAlways(2, numberOf(CONF_CHANGE_TYPES, type));
    return { type: 'EntryConfChange', data: writer.finish() };
  }
  checkCount(change.changes);
  writer.bytes(3, change.context ?? NO_BYTES);
  for (const { type, nodeId } of change.changes.toReversed()) {
    checkId(nodeId);
    const before = writer.size;
    writer.uintAlways(2, nodeId);
    writer.uintAlways(1, numberOf(CONF_CHANGE_TYPES, type));
    writer.close(2, before);
  }
  writer.uint(1, numberOf(TRANSITIONS, change.transition));
  return { type: 'EntryConfChangeV2', data: writer.finish() };
}

/**
 * The change that an entry carries. The context is a view of the entry's payload.
 *
 * @throws RaftCodecError if the entry carries none or is damaged
 */
export function decodeConfChange(entry: Entry): ConfChange {
  switch (entry.type) {
    case 'EntryConfChange':
      return decodeV1(entry.data);
    case 'EntryConfChangeV2':
      return entry.data.length === 0 ? LEAVE_JOINT : decodeV2(entry.data);
    default:
      throw new RaftCodecError(`an ${entry.type} carries no configuration change`);
  }
}

function decodeV1(data: Uint8Array): ConfChangeV1 {
  const reader = new Reader(data);
  let context = NO_BYTES;
  let nodeId = 0;
  let type: ConfChangeType = 'ConfChangeAddNode';
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 2) type = nameOf(CONF_CHANGE_TYPES, reader.uint());
    else if (field === 3) nodeId = reader.uint();
    else if (field === 4) context = reader.bytes();
    else reader.skip();
  }
  const change = single(type, nodeId);
  return context.length === 0 ? { version: 1, change } : { version: 1, change, context };
}

function decodeV2(data: Uint8Array): ConfChangeV2 {
  const reader = new Reader(data);
  let context = NO_BYTES;
  let transition: ConfChangeTransition = 'auto';
  const changes: ConfChangeSingle[] = [];
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) transition = nameOf(TRANSITIONS, reader.uint());
    else if (field === 2) changes.push(decodeSingle(reader.nested()));
    else if (field === 3) context = reader.bytes();
    else reader.skip();
    checkCount(changes);
  }
  const base = { version: 2, transition, changes } as const;
  return context.length === 0 ? base : { ...base, context };
}

function decodeSingle(reader: Reader): ConfChangeSingle {
  let nodeId = 0;
  let type: ConfChangeType = 'ConfChangeAddNode';
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) type = nameOf(CONF_CHANGE_TYPES, reader.uint());
    else if (field === 2) nodeId = reader.uint();
    else reader.skip();
  }
  return single(type, nodeId);
}

function single(type: ConfChangeType, nodeId: number): ConfChangeSingle {
  checkId(nodeId);
  return { type, nodeId };
}

function checkId(nodeId: number): void {
  if (isLocalThread(nodeId)) throw new RaftCodecError(`${nodeId} is not a node id`);
}

function checkCount(changes: readonly ConfChangeSingle[]): void {
  if (changes.length > CHANGES_MAX) throw new RaftCodecError('too many changes');
}
