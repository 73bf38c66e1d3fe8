import { assert } from '@conclave/kernel';

import { encodeFields } from './fields.js';
import type { Field } from './fields.js';
import { SecretBytes } from './secret-bytes.js';
import { sizeOf, withScratch } from './sodium.js';

/** Bytes of every digest in this package: BLAKE2b-256. */
export const HASH_BYTES = 32;

const CONTEXT_BYTES = 8;
const SUBKEY_ID = 1;
/** Largest piece that a running hash copies into scratch at once. */
const UPDATE_BYTES_MAX = 64 * 1024;
const encoder = new TextEncoder();

/**
 * BLAKE2b-256 of the parts put together, without marks between them; where parts vary in length
 * use {@link hashFields}.
 */
export function hash(...parts: readonly Uint8Array[]): Uint8Array {
  return digest(undefined, parts);
}

/** BLAKE2b-256 of the fields, each with its length in front. */
export function hashFields(...fields: readonly Field[]): Uint8Array {
  return digest(undefined, [encodeFields(fields)]);
}

/** BLAKE2b-256 keyed with `key` (16..64 bytes) of the parts put together. */
export function keyedHash(
  key: SecretBytes,
  ...parts: readonly (Uint8Array | SecretBytes)[]
): Uint8Array {
  return digest(key, parts);
}

/** Keyed hash whose result is itself a secret key. */
export function deriveByHash(key: SecretBytes, ...parts: readonly Uint8Array[]): SecretBytes {
  return SecretBytes.adopt(digest(key, parts));
}

/** A subkey of 32 bytes for the 8-character `context`; different contexts are independent. */
export function deriveSubkey(key: SecretBytes, context: string): SecretBytes {
  const contextBytes = encoder.encode(context);
  assert(contextBytes.length === CONTEXT_BYTES, 'a subkey context has 8 characters');
  const bytes = HASH_BYTES + CONTEXT_BYTES + key.size;
  return withScratch({ bytes, pieces: 3 }, (scratch, raw) => {
    const subkey = scratch.reserve(HASH_BYTES);
    const contextAt = scratch.put(contextBytes);
    const keyAt = scratch.put(key);
    const status = raw._crypto_kdf_derive_from_key(
      subkey,
      HASH_BYTES,
      SUBKEY_ID,
      0,
      contextAt,
      keyAt,
    );
    assert(status === 0, 'subkey derivation failed');
    return scratch.takeSecret(subkey, HASH_BYTES);
  });
}

/** A BLAKE2b-256 that is fed piece by piece, for public bytes of any length. */
export class RunningHash {
  readonly #state: Uint8Array;
  #isFinished = false;

  constructor() {
    this.#state = withScratch({ bytes: 1024, pieces: 1 }, (scratch, raw) => {
      const size = raw._crypto_generichash_statebytes();
      const state = scratch.reserve(size);
      raw._crypto_generichash_init(state, 0, 0, HASH_BYTES);
      return scratch.copy(state, size);
    });
  }

  /** Adds `bytes`. */
  update(bytes: Uint8Array): this {
    assert(!this.#isFinished, 'the hash is finished');
    for (let offset = 0; offset < bytes.length; offset += UPDATE_BYTES_MAX) {
      this.#add(bytes.subarray(offset, offset + UPDATE_BYTES_MAX));
    }
    return this;
  }

  /** The digest of everything added; once. */
  digest(): Uint8Array {
    assert(!this.#isFinished, 'the hash is finished');
    this.#isFinished = true;
    const bytes = this.#state.length + HASH_BYTES;
    return withScratch({ bytes, pieces: 2 }, (scratch, raw) => {
      const state = scratch.put(this.#state);
      const output = scratch.reserve(HASH_BYTES);
      raw._crypto_generichash_final(state, output, HASH_BYTES);
      return scratch.copy(output, HASH_BYTES);
    });
  }

  #add(piece: Uint8Array): void {
    const bytes = this.#state.length + piece.length;
    withScratch({ bytes, pieces: 2 }, (scratch, raw) => {
      const state = scratch.put(this.#state);
      raw._crypto_generichash_update(state, scratch.put(piece), piece.length, 0);
      this.#state.set(scratch.view(state, this.#state.length));
    });
  }
}

function digest(
  key: SecretBytes | undefined,
  parts: readonly (Uint8Array | SecretBytes)[],
): Uint8Array {
  let size = 0;
  for (const part of parts) size += sizeOf(part);
  const keyBytes = key?.size ?? 0;
  return withScratch({ bytes: HASH_BYTES + size + keyBytes, pieces: 3 }, (scratch, raw) => {
    const output = scratch.reserve(HASH_BYTES);
    const input = scratch.reserve(size);
    let offset = input;
    for (const part of parts) {
      scratch.write(offset, part);
      offset += sizeOf(part);
    }
    const keyAt = key === undefined ? 0 : scratch.put(key);
    const status = raw._crypto_generichash(output, HASH_BYTES, input, size, 0, keyAt, keyBytes);
    assert(status === 0, 'hashing failed');
    return scratch.copy(output, HASH_BYTES);
  });
}
