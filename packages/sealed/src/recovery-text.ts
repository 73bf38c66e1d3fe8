import { assert, ConclaveError } from '@conclave/kernel';

import { RECIPIENT_SEED_BYTES } from './encapsulation.js';
import { encodeFields } from './fields.js';
import { hash } from './hash.js';
import { equalConstantTime, SecretBytes } from './secret-bytes.js';
import { letterCount, readLetters, writeLetters } from './token-text.js';

/** Bytes of the id that a recovery key, its shares and its public key have in common. */
export const RECOVERY_ID_BYTES = 8;

const CHECK_BYTES = 4;
const PLACE_BYTES = 3;
const DASH = 0x2d;
const encoder = new TextEncoder();
const KEY_PREFIX = encoder.encode('cvrk1-');
const SHARE_PREFIX = encoder.encode('cvrs1-');
const PREFIX_SIZE = 6;
const ID_LETTERS = letterCount(RECOVERY_ID_BYTES);
const PLACE_LETTERS = letterCount(PLACE_BYTES);
const SECRET_LETTERS = letterCount(RECIPIENT_SEED_BYTES);
const CHECK_LETTERS = letterCount(CHECK_BYTES);
const PLACE_OFFSET = PREFIX_SIZE + ID_LETTERS + 1;

/** Bytes of the longest text, without white space. */
export const RECOVERY_TEXT_BYTES_MAX: number =
  PLACE_OFFSET + PLACE_LETTERS + 1 + SECRET_LETTERS + 1 + CHECK_LETTERS;

/** Where a share stands among the others. */
export interface SharePlace {
  /** Shares that make the key. */
  readonly threshold: number;
  /** Shares that were made. */
  readonly count: number;
  /** 1..count. */
  readonly index: number;
}

/** What the text of a recovery key or of a share says; the owner wipes the secret. */
export interface RecoveryText {
  /** {@link recoveryId} of the public key it belongs to. */
  readonly id: Uint8Array;
  /** The whole key, or the bytes of the share. */
  readonly secret: SecretBytes;
  /** Undefined: it is the whole key. */
  readonly place: SharePlace | undefined;
}

/** The id of a recovery key, from its public half. */
export function recoveryId(publicKey: Uint8Array): Uint8Array {
  return hash(encodeFields(['CV-RECOVERY-1', publicKey])).slice(0, RECOVERY_ID_BYTES);
}

/**
 * `cvrk1-<id>-<key>-<check>` for a key, `cvrs1-<id>-<place>-<share>-<check>` for a share, in
 * lower-case base32. The bytes are secret: the owner wipes them.
 */
export function encodeRecoveryText({ id, secret, place }: RecoveryText): Uint8Array {
  assert(id.length === RECOVERY_ID_BYTES, 'the id of a recovery key has 8 bytes');
  assert(secret.size === RECIPIENT_SEED_BYTES, 'a recovery key has 32 bytes');
  const secretOffset = secretOffsetOf(place !== undefined);
  const size = secretOffset + SECRET_LETTERS + 1 + CHECK_LETTERS;
  const text = new Uint8Array(new ArrayBuffer(size));
  text.fill(DASH);
  text.set(place === undefined ? KEY_PREFIX : SHARE_PREFIX);
  writeLetters(text, PREFIX_SIZE, id);
  if (place !== undefined) {
    const { threshold, count, index } = place;
    writeLetters(text, PLACE_OFFSET, Uint8Array.of(threshold, count, index));
  }
  secret.use((bytes) => writeLetters(text, secretOffset, bytes));
  writeLetters(text, size - CHECK_LETTERS, checkOf(text));
  return text;
}

/**
 * Reads such a text as a person has it: white space and capital letters do not matter. The given
 * bytes are left as they are.
 * @throws CV_RECOVERY_KEY_INVALID for anything that {@link encodeRecoveryText} did not write
 */
export function parseRecoveryText(typed: Uint8Array): RecoveryText {
  const plain = plainOf(typed);
  try {
    return parse(plain);
  } finally {
    plain.fill(0);
  }
}

function parse(text: Uint8Array): RecoveryText {
  const prefix = text.subarray(0, PREFIX_SIZE);
  const isShare = equalConstantTime(prefix, SHARE_PREFIX);
  const secretOffset = secretOffsetOf(isShare);
  const checkOffset = secretOffset + SECRET_LETTERS + 1;
  const isFramed =
    (isShare || equalConstantTime(prefix, KEY_PREFIX)) &&
    text.length === checkOffset + CHECK_LETTERS &&
    text[PLACE_OFFSET - 1] === DASH &&
    text[secretOffset - 1] === DASH &&
    text[checkOffset - 1] === DASH;
  if (!isFramed) throw invalidText();
  const id = new Uint8Array(RECOVERY_ID_BYTES);
  const place = new Uint8Array(PLACE_BYTES);
  const check = new Uint8Array(CHECK_BYTES);
  const secret = SecretBytes.allocate(RECIPIENT_SEED_BYTES);
  const isRead =
    readLetters(id, text.subarray(PREFIX_SIZE, PLACE_OFFSET - 1)) &&
    (!isShare || readLetters(place, text.subarray(PLACE_OFFSET, secretOffset - 1))) &&
    secret.use((view) => readLetters(view, text.subarray(secretOffset, checkOffset - 1))) &&
    readLetters(check, text.subarray(checkOffset)) &&
    equalConstantTime(check, checkOf(text));
  const [threshold = 0, count = 0, index = 0] = place;
  const isPlaced = 2 <= threshold && threshold <= count && 1 <= index && index <= count;
  if (isRead && (!isShare || isPlaced)) {
    return { id, secret, place: isShare ? { threshold, count, index } : undefined };
  }
  secret.wipe();
  throw invalidText();
}

function secretOffsetOf(isShare: boolean): number {
  return isShare ? PLACE_OFFSET + PLACE_LETTERS + 1 : PLACE_OFFSET;
}

/** Without white space, in small letters. */
function plainOf(typed: Uint8Array): Uint8Array {
  const plain = new Uint8Array(new ArrayBuffer(typed.length));
  let size = 0;
  for (const byte of typed) {
    if (byte <= 0x20) continue;
    plain[size] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    size += 1;
  }
  return plain.subarray(0, size);
}

/** Catches typing and copying mistakes; it proves nothing. */
function checkOf(text: Uint8Array): Uint8Array {
  return hash(text.subarray(0, text.length - CHECK_LETTERS)).subarray(0, CHECK_BYTES);
}

function invalidText(): ConclaveError {
  return new ConclaveError('CV_RECOVERY_KEY_INVALID', 'this is not the text of a recovery key');
}
