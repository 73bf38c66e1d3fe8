import { NO_BYTES } from '../messages.js';
import type { NodeId } from '../numbers.js';
import type { ConfState, HardState, Snapshot, SnapshotMetadata } from '../types.js';
import type { DecodeLimits } from './limits.js';
import { checkSize, limitsOf, NODES_MAX } from './limits.js';
import { Reader } from './reader.js';
import { BackwardWriter } from './writer.js';

const SMALL = 64;

/** Encodes a hard state. @throws RaftCodecError for a number that is not in 0..2^53-1 */
export function encodeHardState(state: HardState): Uint8Array {
  const writer = new BackwardWriter(SMALL);
  writer.uint(3, state.commit);
  writer.uint(2, state.vote);
  writer.uint(1, state.term);
  return writer.finish();
}

/** Decodes a hard state. @throws RaftCodecError */
export function decodeHardState(bytes: Uint8Array): HardState {
  const reader = new Reader(bytes);
  let term = 0;
  let vote = 0;
  let commit = 0;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) term = reader.uint();
    else if (field === 2) vote = reader.uint();
    else if (field === 3) commit = reader.uint();
    else reader.skip();
  }
  return { term, vote, commit };
}

/** Encodes a configuration. @throws RaftCodecError for a number that is not in 0..2^53-1 */
export function encodeConfState(state: ConfState): Uint8Array {
  const writer = new BackwardWriter(SMALL);
  writeConfState(writer, state);
  return writer.finish();
}

/** Decodes a configuration. @throws RaftCodecError */
export function decodeConfState(bytes: Uint8Array): ConfState {
  return readConfState(new Reader(bytes));
}

/** Encodes a snapshot. @throws RaftCodecError for a number that is not in 0..2^53-1 */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const writer = new BackwardWriter(SMALL * 2 + snapshot.data.length);
  writeSnapshot(writer, snapshot);
  return writer.finish();
}

/**
 * Decodes a snapshot. Its data is a view of `bytes`, which must not be modified later.
 *
 * @throws RaftCodecError
 */
export function decodeSnapshot(bytes: Uint8Array, limits: DecodeLimits = {}): Snapshot {
  checkSize(bytes.length, limitsOf(limits).sizeMax);
  return readSnapshot(new Reader(bytes));
}

/** Writes the fields of a snapshot. */
export function writeSnapshot(writer: BackwardWriter, snapshot: Snapshot): void {
  const { data, metadata } = snapshot;
  const before = writer.size;
  writer.uint(3, metadata.term);
  writer.uint(2, metadata.index);
  const beforeConfState = writer.size;
  writeConfState(writer, metadata.confState);
  writer.close(1, beforeConfState);
  writer.close(2, before);
  writer.bytes(1, data);
}

/** Reads the fields of a snapshot. */
export function readSnapshot(reader: Reader): Snapshot {
  let data = NO_BYTES;
  let metadata: SnapshotMetadata = {
    index: 0,
    term: 0,
    confState: readConfState(new Reader(data)),
  };
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) data = reader.bytes();
    else if (field === 2) metadata = readMetadata(reader.nested());
    else reader.skip();
  }
  return { data, metadata };
}

function readMetadata(reader: Reader): SnapshotMetadata {
  let confState = readConfState(new Reader(NO_BYTES));
  let index = 0;
  let term = 0;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 1) confState = readConfState(reader.nested());
    else if (field === 2) index = reader.uint();
    else if (field === 3) term = reader.uint();
    else reader.skip();
  }
  return { index, term, confState };
}

function writeConfState(writer: BackwardWriter, state: ConfState): void {
  writer.bool(5, state.autoLeave);
  writeIds(writer, 4, state.learnersNext);
  writeIds(writer, 3, state.votersOutgoing);
  writeIds(writer, 2, state.learners);
  writeIds(writer, 1, state.voters);
}

function writeIds(writer: BackwardWriter, field: number, ids: readonly NodeId[]): void {
  for (let i = ids.length - 1; i >= 0; i--) writer.uintAlways(field, ids[i] as NodeId);
}

function readConfState(reader: Reader): ConfState {
  const voters: NodeId[] = [];
  const learners: NodeId[] = [];
  const votersOutgoing: NodeId[] = [];
  const learnersNext: NodeId[] = [];
  const lists = [voters, learners, votersOutgoing, learnersNext];
  let autoLeave = false;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    const list = lists[field - 1];
    if (field === 5) autoLeave = reader.bool();
    else if (list === undefined) reader.skip();
    else reader.uintsInto(list, NODES_MAX);
  }
  return { voters, votersOutgoing, learners, learnersNext, autoLeave };
}
