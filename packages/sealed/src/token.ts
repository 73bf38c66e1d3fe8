import { assert, ConclaveError } from '@conclave/kernel';

import { encodeFields } from './fields.js';
import { hash } from './hash.js';
import { equalConstantTime, SecretBytes } from './secret-bytes.js';
import { sign, SIGNING_SEED_BYTES, verify } from './signing.js';
import { letterCount, readLetters, writeLetters } from './token-text.js';

/** The role that a token admits to. */
export type TokenRole = 'worker' | 'manager';

/** Bytes of the pin: SHA-256 of the public key info of the root certificate. */
export const TOKEN_PIN_BYTES = 32;
/** Bytes of the id of a token. */
export const TOKEN_ID_BYTES = 8;

const CHECK_BYTES = 4;
const JOIN_LABEL = 'CV-JOIN-1';
const DASH = 0x2d;
const encoder = new TextEncoder();
const PREFIXES: Readonly<Record<TokenRole, Uint8Array>> = {
  worker: encoder.encode('cvj1-w-'),
  manager: encoder.encode('cvj1-m-'),
};
const PREFIX_SIZE = 7;
const PIN_OFFSET = PREFIX_SIZE;
const ID_OFFSET = PIN_OFFSET + letterCount(TOKEN_PIN_BYTES) + 1;
const SEED_OFFSET = ID_OFFSET + letterCount(TOKEN_ID_BYTES) + 1;
const CHECK_OFFSET = SEED_OFFSET + letterCount(SIGNING_SEED_BYTES) + 1;

/** Characters of a token's text. */
export const TOKEN_TEXT_LENGTH: number = CHECK_OFFSET + letterCount(CHECK_BYTES);

/** What the text of a token says. */
export interface ParsedToken {
  readonly role: TokenRole;
  readonly pin: Uint8Array;
  readonly id: Uint8Array;
  /** Ed25519 seed, whose public half the cluster keeps; the caller wipes it. */
  readonly seed: SecretBytes;
}

/** The text `cvj1-<w|m>-<pin>-<id>-<seed>-<check>`, ASCII; the seed is lent, not wiped. */
export function encodeToken({ role, pin, id, seed }: ParsedToken): SecretBytes {
  assert(pin.length === TOKEN_PIN_BYTES, 'a pin has 32 bytes');
  assert(id.length === TOKEN_ID_BYTES, 'a token id has 8 bytes');
  assert(seed.size === SIGNING_SEED_BYTES, 'the seed of a token has 32 bytes');
  const text = new Uint8Array(new ArrayBuffer(TOKEN_TEXT_LENGTH));
  text.fill(DASH);
  text.set(PREFIXES[role]);
  writeLetters(text, PIN_OFFSET, pin);
  writeLetters(text, ID_OFFSET, id);
  seed.use((view) => writeLetters(text, SEED_OFFSET, view));
  writeLetters(text, CHECK_OFFSET, checkOf(text));
  return SecretBytes.adopt(text);
}

/**
 * Reads the text of a token. Prefer bytes: a string cannot be wiped. Bytes are left as they are.
 * @throws CV_TOKEN_INVALID for anything that `encodeToken` did not write
 */
export function parseToken(text: string | Uint8Array): ParsedToken {
  if (typeof text !== 'string') return parseBytes(text);
  if (text.length !== TOKEN_TEXT_LENGTH) throw invalidToken();
  const bytes = new Uint8Array(new ArrayBuffer(TOKEN_TEXT_LENGTH));
  encoder.encodeInto(text, bytes);
  try {
    return parseBytes(bytes);
  } finally {
    bytes.fill(0);
  }
}

/** Signs a join request with the seed of the token. */
export function signJoin(seed: SecretBytes, message: Uint8Array): Uint8Array {
  return sign(seed, joinMessage(message));
}

/** True when the join request was signed with the token of this public key. */
export function verifyJoin(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(publicKey, joinMessage(message), signature);
}

function parseBytes(text: Uint8Array): ParsedToken {
  const role = roleOf(text);
  const isFramed =
    text.length === TOKEN_TEXT_LENGTH &&
    text[ID_OFFSET - 1] === DASH &&
    text[SEED_OFFSET - 1] === DASH &&
    text[CHECK_OFFSET - 1] === DASH;
  if (role === undefined || !isFramed) throw invalidToken();
  const pin = new Uint8Array(TOKEN_PIN_BYTES);
  const id = new Uint8Array(TOKEN_ID_BYTES);
  const check = new Uint8Array(CHECK_BYTES);
  const seed = SecretBytes.allocate(SIGNING_SEED_BYTES);
  const isRead =
    readLetters(pin, text.subarray(PIN_OFFSET, ID_OFFSET - 1)) &&
    readLetters(id, text.subarray(ID_OFFSET, SEED_OFFSET - 1)) &&
    readLetters(check, text.subarray(CHECK_OFFSET)) &&
    seed.use((view) => readLetters(view, text.subarray(SEED_OFFSET, CHECK_OFFSET - 1))) &&
    equalConstantTime(check, checkOf(text));
  if (isRead) return { role, pin, id, seed };
  seed.wipe();
  throw invalidToken();
}

function roleOf(text: Uint8Array): TokenRole | undefined {
  const prefix = text.subarray(0, PREFIX_SIZE);
  if (equalConstantTime(prefix, PREFIXES.worker)) return 'worker';
  return equalConstantTime(prefix, PREFIXES.manager) ? 'manager' : undefined;
}

/** Catches typing and copying mistakes; it proves nothing. */
function checkOf(text: Uint8Array): Uint8Array {
  return hash(text.subarray(0, CHECK_OFFSET)).subarray(0, CHECK_BYTES);
}

function joinMessage(message: Uint8Array): Uint8Array {
  return encodeFields([JOIN_LABEL, message]);
}

function invalidToken(): ConclaveError {
  return new ConclaveError('CV_TOKEN_INVALID', 'join token is not well-formed', {
    hint: 'Copy the whole token, from `cvj1-` to the end.',
  });
}
