/** BLAKE2b (RFC 7693) with key, salt and personalisation, written for the tests. */
const MASK = (1n << 64n) - 1n;
const BLOCK_BYTES = 128;
const START = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
];
const ORDER = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const MIXES = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

export interface Blake2Options {
  readonly size?: number;
  readonly key?: Uint8Array;
  /** 16 bytes. */
  readonly salt?: Uint8Array;
  /** 16 bytes. */
  readonly personal?: Uint8Array;
}

export function blake2b(input: Uint8Array, options: Blake2Options = {}): Uint8Array {
  const { size = 32, key = new Uint8Array(0) } = options;
  const parameters = new Uint8Array(64);
  parameters.set([size, key.length, 1, 1]);
  parameters.set(options.salt ?? [], 32);
  parameters.set(options.personal ?? [], 48);
  const state = START.map((word, offset) => word ^ readWord(parameters, offset));
  const keyBlock = new Uint8Array(key.length > 0 ? BLOCK_BYTES : 0);
  keyBlock.set(key);
  const message = Buffer.concat([keyBlock, input]);
  const blockCount = Math.max(1, Math.ceil(message.length / BLOCK_BYTES));
  for (let block = 0; block < blockCount; block += 1) {
    const bytes = new Uint8Array(BLOCK_BYTES);
    bytes.set(message.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES));
    const isLast = block === blockCount - 1;
    const count = isLast ? message.length : (block + 1) * BLOCK_BYTES;
    compress(state, bytes, { count, isLast });
  }
  const output = Buffer.alloc(64);
  state.forEach((word, offset) => output.writeBigUInt64LE(word, offset * 8));
  return Uint8Array.from(output.subarray(0, size));
}

function compress(
  state: bigint[],
  block: Uint8Array,
  { count, isLast }: { count: number; isLast: boolean },
): void {
  const work = [...state, ...START];
  work[12] = at(work, 12) ^ BigInt(count);
  if (isLast) work[14] = at(work, 14) ^ MASK;
  for (let round = 0; round < 12; round += 1) {
    const order = ORDER[round % 10] ?? [];
    MIXES.forEach((places, mix) => {
      const x = readWord(block, order[mix * 2] ?? 0);
      const y = readWord(block, order[mix * 2 + 1] ?? 0);
      mixWords(work, places, [x, y]);
    });
  }
  for (let offset = 0; offset < 8; offset += 1) {
    state[offset] = at(state, offset) ^ at(work, offset) ^ at(work, offset + 8);
  }
}

function mixWords(work: bigint[], places: readonly number[], input: readonly bigint[]): void {
  const [a = 0, b = 0, c = 0, d = 0] = places;
  const half = (word: bigint, first: bigint, second: bigint): void => {
    work[a] = (at(work, a) + at(work, b) + word) & MASK;
    work[d] = rotate(at(work, d) ^ at(work, a), first);
    work[c] = (at(work, c) + at(work, d)) & MASK;
    work[b] = rotate(at(work, b) ^ at(work, c), second);
  };
  half(input[0] ?? 0n, 32n, 24n);
  half(input[1] ?? 0n, 16n, 63n);
}

function rotate(word: bigint, bits: bigint): bigint {
  return ((word >> bits) | (word << (64n - bits))) & MASK;
}

function at(words: readonly bigint[], offset: number): bigint {
  return words[offset] ?? 0n;
}

function readWord(bytes: Uint8Array, word: number): bigint {
  return Buffer.from(bytes).readBigUInt64LE(word * 8);
}
