import { assert } from '@conclave/kernel';

import type { SecretBytes } from './secret-bytes.js';
import { sizeOf, withScratch } from './sodium.js';

/** Bytes of a symmetric key. */
export const KEY_BYTES = 32;
/** Bytes of an XChaCha20-Poly1305 nonce: large enough to be random each time. */
export const NONCE_BYTES = 24;
/** Bytes of the authentication tag. */
export const TAG_BYTES = 16;

const SIZE_BYTES = 4;

/** Arguments of {@link aeadSeal}. */
export interface AeadSealRequest {
  readonly key: SecretBytes;
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array | SecretBytes;
  /** The plaintext is padded to this many bytes first; greater than its own size. */
  readonly paddedSize?: number;
  /** Receives ciphertext and tag, from `offset` to its end. */
  readonly output: Uint8Array;
  readonly offset: number;
}

/** XChaCha20-Poly1305 into the output buffer; one copy in, one copy out. */
export function aeadSeal(request: AeadSealRequest): void {
  const { key, nonce, aad, plaintext, paddedSize, output, offset } = request;
  const size = sizeOf(plaintext);
  const fullSize = paddedSize ?? size;
  const need = { bytes: fullSize + TAG_BYTES + aad.length + NONCE_BYTES + KEY_BYTES, pieces: 6 };
  assert(key.size === KEY_BYTES, 'a sealing key has 32 bytes');
  withScratch({ ...need, bytes: need.bytes + SIZE_BYTES }, (scratch, raw) => {
    const text = scratch.reserve(fullSize + TAG_BYTES);
    scratch.write(text, plaintext);
    if (paddedSize !== undefined) {
      const written = scratch.reserve(SIZE_BYTES);
      raw._sodium_pad(written, text, size, paddedSize, paddedSize);
      assert(scratch.word(written) === paddedSize, 'padding does not fit');
    }
    const aadAt = scratch.put(aad);
    const nonceAt = scratch.put(nonce);
    const keyAt = scratch.put(key);
    const status = raw._crypto_aead_xchacha20poly1305_ietf_encrypt(
      text,
      0,
      text,
      fullSize,
      0,
      aadAt,
      aad.length,
      0,
      0,
      nonceAt,
      keyAt,
    );
    assert(status === 0, 'sealing failed');
    output.set(scratch.view(text, fullSize + TAG_BYTES), offset);
  });
}

/** Arguments of {@link aeadOpen}. */
export interface AeadOpenRequest {
  readonly key: SecretBytes;
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array;
  /** True when the plaintext was padded; then its own size comes out. */
  readonly isPadded: boolean;
}

/** The plaintext in memory of its own, or undefined when anything does not match. */
export function aeadOpen(request: AeadOpenRequest): Uint8Array | undefined {
  const { key, nonce, aad, sealed, isPadded } = request;
  const fullSize = sealed.length - TAG_BYTES;
  if (fullSize < 0) return undefined;
  assert(key.size === KEY_BYTES, 'a sealing key has 32 bytes');
  const bytes = sealed.length + aad.length + NONCE_BYTES + KEY_BYTES + SIZE_BYTES;
  return withScratch({ bytes, pieces: 6 }, (scratch, raw) => {
    const text = scratch.put(sealed);
    const aadAt = scratch.put(aad);
    const nonceAt = scratch.put(nonce);
    const keyAt = scratch.put(key);
    const status = raw._crypto_aead_xchacha20poly1305_ietf_decrypt(
      text,
      0,
      0,
      text,
      sealed.length,
      0,
      aadAt,
      aad.length,
      0,
      nonceAt,
      keyAt,
    );
    if (status !== 0) return undefined;
    if (!isPadded) return scratch.copy(text, fullSize);
    const written = scratch.reserve(SIZE_BYTES);
    if (raw._sodium_unpad(written, text, fullSize, fullSize) !== 0) return undefined;
    return scratch.copy(text, scratch.word(written));
  });
}
