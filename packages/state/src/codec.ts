import { ConclaveError, isConclaveError } from '@conclave/kernel';
import { decodeCbor, encodeCbor } from './cbor.js';
import { command as commandParser } from './command-schemas.js';
import type { Command } from './commands.js';
import { isLackOfMemory } from './lack-of-memory.js';
import { ShapeError } from './schema.js';

/** A change that older managers cannot apply. */
const MAJOR = 1;
/** Fields that older managers may ignore. */
const MINOR = 0;

/**
 * The bytes of a log entry: one byte of format (major version in the upper half, minor in the
 * lower), then the command as canonical CBOR. Read back before anybody gets them: what is committed
 * has to be the same command on every manager.
 * @throws CV_PROTOCOL with the path of what is wrong, never the value
 */
export function encodeCommand(command: Command): Uint8Array {
  checked(command, false);
  const body = encodeCbor(command);
  const entry = new Uint8Array(body.length + 1);
  entry[0] = (MAJOR << 4) | MINOR;
  entry.set(body, 1);
  decodeCommand(entry);
  return entry;
}

/**
 * The command of a log entry, every field checked. Unknown fields are dropped when the entry has a
 * newer minor version than this one, and refused otherwise. The bytes may be reused afterwards.
 * @throws CV_PROTOCOL with the path of what is wrong, never the value
 */
export function decodeCommand(bytes: Uint8Array): Command {
  const format = bytes[0];
  if (format === undefined) throw new ConclaveError('CV_PROTOCOL', 'command: is empty');
  if (format >>> 4 !== MAJOR) {
    throw new ConclaveError('CV_PROTOCOL', `command: format ${format >>> 4} is unknown`);
  }
  try {
    // A plain view: the slices of a Node buffer would share its memory.
    const body = new Uint8Array(bytes.buffer, bytes.byteOffset + 1, bytes.byteLength - 1);
    return checked(decodeCbor(body), (format & 15) > MINOR);
  } catch (error) {
    if (isConclaveError(error) || isLackOfMemory(error)) throw error;
    // The decoder's own text may quote the bytes; a secret's name has no place in an error.
    throw new ConclaveError('CV_PROTOCOL', 'command is not canonical CBOR');
  }
}

/** True when this version ought to read the entry: a newer one may have written it otherwise. */
export function isOwnFormat(entry: Uint8Array): boolean {
  const format = entry[0];
  return format !== undefined && format >>> 4 === MAJOR && (format & 15) <= MINOR;
}

function checked(value: unknown, isLenient: boolean): Command {
  try {
    return commandParser(value, isLenient);
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new ConclaveError('CV_PROTOCOL', `command ${error.describe()}`);
  }
}
