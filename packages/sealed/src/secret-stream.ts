import { assert } from '@conclave/kernel';

import { KEY_BYTES } from './aead.js';
import { SecretBytes } from './secret-bytes.js';
import { sizeOf, withScratch } from './sodium.js';

/** Bytes of the header that starts a stream. */
export const STREAM_HEADER_BYTES = 24;
/** Bytes that a message of a stream is longer than its plaintext. */
export const STREAM_OVERHEAD_BYTES = 17;

/** The mark inside a message: an ordinary one, one that changes the key behind it, or the last. */
export const STREAM_TAG = { message: 0, rekey: 2, final: 3 } as const;

/** A number of {@link STREAM_TAG}. */
export type StreamTag = (typeof STREAM_TAG)[keyof typeof STREAM_TAG];

const STATE_BYTES = 52;
const TAG_BYTES = 1;

/**
 * The state of either end. The library's own start of a sending stream draws the header itself;
 * both ends start alike once the header is there, so the receiving start with a header from our
 * source of randomness serves for both.
 */
export function startStream(key: SecretBytes, header: Uint8Array): SecretBytes {
  assert(key.size === KEY_BYTES, 'a stream key has 32 bytes');
  assert(header.length === STREAM_HEADER_BYTES, 'a stream header has 24 bytes');
  const bytes = STATE_BYTES + STREAM_HEADER_BYTES + KEY_BYTES;
  return withScratch({ bytes, pieces: 3 }, (scratch, raw) => {
    const state = scratch.reserve(STATE_BYTES);
    const headerAt = scratch.put(header);
    const keyAt = scratch.put(key);
    const status = raw._crypto_secretstream_xchacha20poly1305_init_pull(state, headerAt, keyAt);
    assert(status === 0, 'stream did not start');
    return scratch.takeSecret(state, STATE_BYTES);
  });
}

/** One message to be sealed. */
export interface StreamMessage {
  readonly plaintext: Uint8Array | SecretBytes;
  readonly aad: Uint8Array;
  readonly tag: StreamTag;
}

/** Seals the next message and moves the state on. */
export function pushMessage(state: SecretBytes, message: StreamMessage): Uint8Array {
  const { plaintext, aad, tag } = message;
  const size = sizeOf(plaintext);
  const fullSize = size + STREAM_OVERHEAD_BYTES;
  const bytes = STATE_BYTES + size + aad.length + fullSize;
  return withScratch({ bytes, pieces: 4 }, (scratch, raw) => {
    const stateAt = scratch.put(state);
    const text = scratch.put(plaintext);
    const aadAt = scratch.put(aad);
    const sealed = scratch.reserve(fullSize);
    const status = raw._crypto_secretstream_xchacha20poly1305_push(
      stateAt,
      sealed,
      0,
      text,
      size,
      0,
      aadAt,
      aad.length,
      0,
      tag,
    );
    assert(status === 0, 'stream message was not sealed');
    state.use((view) => view.set(scratch.view(stateAt, STATE_BYTES)));
    return scratch.copy(sealed, fullSize);
  });
}

/** What {@link pullMessage} found. */
export interface OpenedMessage {
  readonly plaintext: SecretBytes;
  readonly tag: number;
}

/** Opens the next message and moves the state on; undefined, and no move, when it is not that. */
export function pullMessage(
  state: SecretBytes,
  aad: Uint8Array,
  sealed: Uint8Array,
): OpenedMessage | undefined {
  const size = sealed.length - STREAM_OVERHEAD_BYTES;
  if (size < 0) return undefined;
  const bytes = STATE_BYTES + size + aad.length + sealed.length + TAG_BYTES;
  return withScratch({ bytes, pieces: 5 }, (scratch, raw) => {
    const stateAt = scratch.put(state);
    const text = scratch.reserve(size);
    const tagAt = scratch.reserve(TAG_BYTES);
    const aadAt = scratch.put(aad);
    const sealedAt = scratch.put(sealed);
    const status = raw._crypto_secretstream_xchacha20poly1305_pull(
      stateAt,
      text,
      0,
      tagAt,
      sealedAt,
      sealed.length,
      0,
      aadAt,
      aad.length,
      0,
    );
    if (status !== 0) return undefined;
    state.use((view) => view.set(scratch.view(stateAt, STATE_BYTES)));
    const tag = scratch.view(tagAt, TAG_BYTES)[0] ?? 0;
    return { plaintext: SecretBytes.adopt(scratch.copy(text, size)), tag };
  });
}
