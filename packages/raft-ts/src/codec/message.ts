import { kindOf, problemOf } from '../checks.js';
import { RaftCodecError } from '../errors.js';
import type { NetworkMessage } from '../message-types.js';
import type { MessageDraft } from '../messages.js';
import { draft } from '../messages.js';
import { MAX_NODE_ID } from '../numbers.js';
import { entriesSize } from '../sizes.js';
import type { Entry } from '../types.js';
import { readEntry, writeEntry } from './entry.js';
import { MESSAGE_TYPES, nameOf, numberOf } from './enums.js';
import type { DecodeLimits } from './limits.js';
import { checkSize, limitsOf } from './limits.js';
import { Reader } from './reader.js';
import { readSnapshot, writeSnapshot } from './states.js';
import { BackwardWriter } from './writer.js';

/** Room for the numbers of a message, and for tag and length of each entry. */
const FIXED_SIZE = 96;
const SIZE_PER_ENTRY = 11;

/** Highest field number of a message. */
const RESPONSES_FIELD = 14;

/**
 * Encodes a message for another node.
 *
 * @throws RaftCodecError for local messages, unknown names, and numbers that are not in 0..2^53-1
 */
export function encodeMessage(message: NetworkMessage): Uint8Array {
  checkTravels(message);
  const { entries, context, snapshot } = message;
  const writer = new BackwardWriter(
    FIXED_SIZE +
      context.length +
      (snapshot === undefined ? 0 : snapshot.data.length + FIXED_SIZE) +
      (entries.length > 0 ? entriesSize(entries) + entries.length * SIZE_PER_ENTRY : 0),
  );
  writer.uint(13, message.vote);
  writer.bytes(12, context);
  writer.uint(11, message.rejectHint);
  writer.bool(10, message.reject);
  if (snapshot !== undefined) {
    const before = writer.size;
    writeSnapshot(writer, snapshot);
    writer.close(9, before);
  }
  writer.uint(8, message.commit);
  for (let i = entries.length - 1; i >= 0; i--) {
    const before = writer.size;
    writeEntry(writer, entries[i] as Entry);
    writer.close(7, before);
  }
  writer.uint(6, message.index);
  writer.uint(5, message.logTerm);
  writer.uint(4, message.term);
  writer.uint(3, message.from);
  writer.uint(2, message.to);
  writer.uint(1, numberOf(MESSAGE_TYPES, message.type));
  return writer.finish();
}

/**
 * Decodes a message of another node, and checks all that can be checked without knowing the log.
 * Payloads are views of `bytes`, which must not be modified later.
 *
 * @throws RaftCodecError
 */
export function decodeMessage(bytes: Uint8Array, limits: DecodeLimits = {}): NetworkMessage {
  const { sizeMax, entriesMax } = limitsOf(limits);
  checkSize(bytes.length, sizeMax);
  const message = readMessage(bytes, entriesMax) as NetworkMessage;
  checkTravels(message);
  const problem = problemOf(message);
  if (problem !== undefined) throw new RaftCodecError(problem);
  return message;
}

function readMessage(bytes: Uint8Array, entriesMax: number): MessageDraft {
  // The type comes first when this package has written the message, but need not.
  const message = draft(readType(new Reader(bytes)), 0);
  const entries: Entry[] = [];
  const reader = new Reader(bytes);
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field === 7) {
      if (entries.length >= entriesMax) {
        throw new RaftCodecError(`more than ${entriesMax} entries`);
      }
      entries.push(readEntry(reader.nested()));
    } else {
      readField(message, field, reader);
    }
  }
  if (entries.length > 0) message.entries = entries;
  return message;
}

function readType(reader: Reader): NetworkMessage['type'] {
  let number = 0;
  for (let field = reader.next(); field !== 0; field = reader.next()) {
    if (field !== 1) {
      reader.skip();
      continue;
    }
    number = reader.uint();
    break;
  }
  return nameOf(MESSAGE_TYPES, number) as NetworkMessage['type'];
}

function readField(message: MessageDraft, field: number, reader: Reader): void {
  switch (field) {
    case 1:
      if (nameOf(MESSAGE_TYPES, reader.uint()) !== message.type) {
        throw new RaftCodecError('two types in one message');
      }
      break;
    case 2:
      message.to = reader.uint();
      break;
    case 3:
      message.from = reader.uint();
      break;
    case 4:
      message.term = reader.uint();
      break;
    case 5:
      message.logTerm = reader.uint();
      break;
    case 6:
      message.index = reader.uint();
      break;
    case 8:
      message.commit = reader.uint();
      break;
    case 9:
      message.snapshot = readSnapshot(reader.nested());
      break;
    case 10:
      message.reject = reader.bool();
      break;
    case 11:
      message.rejectHint = reader.uint();
      break;
    case 12:
      message.context = reader.bytes();
      break;
    case 13:
      message.vote = reader.uint();
      break;
    case RESPONSES_FIELD:
      throw new RaftCodecError('a message with responses does not travel');
    default:
      reader.skip();
  }
}

/** Throws for what has no business outside of its node. */
function checkTravels(message: NetworkMessage): void {
  const { type, from, to, responses } = message;
  const kind = kindOf(type);
  if (kind === undefined || kind === 'local') throw new RaftCodecError(`${type} does not travel`);
  if (from > MAX_NODE_ID || to > MAX_NODE_ID) throw new RaftCodecError('a local storage thread');
  if (responses.length > 0) throw new RaftCodecError('a message with responses does not travel');
}
