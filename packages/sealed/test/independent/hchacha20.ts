import { createCipheriv } from 'node:crypto';

const WORD_COUNT = 16;

/** HChaCha20 (draft-irtf-cfrg-xchacha, section 2.2), written for the tests. */
export function hchacha20(key: Uint8Array, input: Uint8Array): Uint8Array {
  const state = new Uint32Array(WORD_COUNT);
  state.set([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);
  state.set(words(key), 4);
  state.set(words(input.subarray(0, 16)), 12);
  for (let round = 0; round < 10; round += 1) {
    for (let column = 0; column < 4; column += 1) {
      quarterRound(state, [column, column + 4, column + 8, column + 12]);
    }
    for (let column = 0; column < 4; column += 1) {
      const diagonal = [1, 2, 3].map((row) => ((column + row) % 4) + 4 * row);
      quarterRound(state, [column, ...diagonal]);
    }
  }
  const output = new Uint8Array(32);
  const view = new DataView(output.buffer);
  [0, 1, 2, 3, 12, 13, 14, 15].forEach((word, offset) => {
    view.setUint32(offset * 4, state[word] ?? 0, true);
  });
  return output;
}

/** XChaCha20-Poly1305 out of HChaCha20 and OpenSSL's ChaCha20-Poly1305. */
export function xchachaSeal(parts: {
  key: Uint8Array;
  nonce: Uint8Array;
  aad: Uint8Array;
  plaintext: Uint8Array;
}): Uint8Array {
  const subkey = hchacha20(parts.key, parts.nonce);
  const nonce = Buffer.concat([Buffer.alloc(4), parts.nonce.subarray(16, 24)]);
  const cipher = createCipheriv('chacha20-poly1305', subkey, nonce, { authTagLength: 16 });
  cipher.setAAD(parts.aad, { plaintextLength: parts.plaintext.length });
  const body = Buffer.concat([cipher.update(parts.plaintext), cipher.final()]);
  return Uint8Array.from(Buffer.concat([body, cipher.getAuthTag()]));
}

function words(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, word) => view.getUint32(word * 4, true));
}

function quarterRound(state: Uint32Array, places: readonly number[]): void {
  const [a = 0, b = 0, c = 0, d = 0] = places;
  const mix = (sum: number, addend: number, target: number, bits: number): void => {
    state[sum] = (state[sum] ?? 0) + (state[addend] ?? 0);
    const mixed = (state[target] ?? 0) ^ (state[sum] ?? 0);
    state[target] = (mixed << bits) | (mixed >>> (32 - bits));
  };
  mix(a, b, d, 16);
  mix(c, d, b, 12);
  mix(a, b, d, 8);
  mix(c, d, b, 7);
}
