/**
 * The only importer of libsodium. The ordinary wrappers leave keys and plaintext in WebAssembly
 * memory, so we call the raw exports on one scratch region of our own and wipe what was used:
 * the region, and the part of the WebAssembly stack that the call may have touched.
 */
import { assert, ConclaveError, InvariantViolation } from '@conclave/kernel';
import sodium from 'libsodium-wrappers';

import { SecretBytes } from './secret-bytes.js';

type RawFunction = (...words: number[]) => number;

const RAW_NAMES = [
  '_crypto_aead_xchacha20poly1305_ietf_decrypt',
  '_crypto_aead_xchacha20poly1305_ietf_encrypt',
  '_crypto_generichash',
  '_crypto_generichash_final',
  '_crypto_generichash_init',
  '_crypto_generichash_statebytes',
  '_crypto_generichash_update',
  '_crypto_kdf_derive_from_key',
  '_crypto_kem_xwing_dec',
  '_crypto_kem_xwing_enc_deterministic',
  '_crypto_kem_xwing_seed_keypair',
  '_crypto_scalarmult',
  '_crypto_scalarmult_base',
  '_crypto_secretstream_xchacha20poly1305_init_pull',
  '_crypto_secretstream_xchacha20poly1305_pull',
  '_crypto_secretstream_xchacha20poly1305_push',
  '_crypto_sign_detached',
  '_crypto_sign_seed_keypair',
  '_crypto_sign_verify_detached',
  '_free',
  '_malloc',
  '_sodium_pad',
  '_sodium_unpad',
] as const;

/** The raw exports of libsodium; every argument and result is a 32-bit word. */
export type RawSodium = Readonly<Record<(typeof RAW_NAMES)[number], RawFunction>> & {
  /** Replaced by the library when its memory grows: read it anew for every access. */
  readonly HEAPU8: Uint8Array;
};

/** Bytes of the scratch region at the start; it doubles on demand. */
const SCRATCH_BYTES_MIN = 64 * 1024;
/** Bytes of scratch that one call may need: the largest padded value with room for its parts. */
const SCRATCH_BYTES_MAX = 16 * 1024 * 1024;
/** Every piece of scratch starts at a multiple of this. */
const PIECE_ALIGNMENT = 16;
/** Stack bytes wiped after every call; ciphers, hashes and curves use less than 2 KiB. */
const STACK_BYTES = 8 * 1024;
/** Stack bytes wiped after a lattice operation, which uses about 23 KiB. */
const DEEP_STACK_BYTES = 48 * 1024;

interface Core {
  readonly raw: RawSodium;
  /** Address just above the stack: the heap begins there. */
  readonly stackTop: number;
  scratchStart: number;
  scratchBytes: number;
  isBusy: boolean;
}

// WebAssembly memory is one per process whatever we do, so its handle is module state.
let core: Core | undefined;

/** Pieces of the scratch region for one call; invalid as soon as the call ends. */
export class Scratch {
  readonly #raw: RawSodium;
  readonly #end: number;
  #next: number;

  constructor(raw: RawSodium, start: number, size: number) {
    this.#raw = raw;
    this.#next = start;
    this.#end = start + size;
  }

  /** Address of `size` fresh bytes. Their content is zero. */
  reserve(size: number): number {
    const address = this.#next;
    this.#next += alignUp(size);
    assert(this.#next <= this.#end, 'scratch region is too small for this call');
    return address;
  }

  /** Address of a copy of `bytes`. */
  put(bytes: Uint8Array | SecretBytes): number {
    const address = this.reserve(sizeOf(bytes));
    this.write(address, bytes);
    return address;
  }

  /** Copies `bytes` to `address`. */
  write(address: number, bytes: Uint8Array | SecretBytes): void {
    if (bytes instanceof SecretBytes) bytes.use((view) => this.#raw.HEAPU8.set(view, address));
    else this.#raw.HEAPU8.set(bytes, address);
  }

  /** A view of scratch bytes: read it at once, never keep it. */
  view(address: number, size: number): Uint8Array {
    return this.#raw.HEAPU8.subarray(address, address + size);
  }

  /** A copy of scratch bytes in memory of its own. */
  copy(address: number, size: number): Uint8Array {
    const bytes = new Uint8Array(new ArrayBuffer(size));
    bytes.set(this.view(address, size));
    return bytes;
  }

  /** Secret scratch bytes moved into memory of their own. */
  takeSecret(address: number, size: number): SecretBytes {
    return SecretBytes.take(this.view(address, size));
  }

  /** A little-endian 32-bit word, as libsodium writes its sizes. */
  word(address: number): number {
    return new DataView(this.#raw.HEAPU8.buffer).getUint32(address, true);
  }
}

/** Bytes of either kind of buffer. */
export function sizeOf(bytes: Uint8Array | SecretBytes): number {
  return bytes instanceof SecretBytes ? bytes.size : bytes.length;
}

/** What a call needs of the scratch region. */
export interface ScratchNeed {
  /** Total bytes of all pieces. */
  readonly bytes: number;
  /** Number of pieces, for their alignment. */
  readonly pieces: number;
  /** True when the call runs a lattice operation, which uses far more stack. */
  readonly isDeep?: boolean;
}

/**
 * Runs `work` on the scratch region and wipes afterwards, also when `work` throws.
 * Not reentrant: `work` is a leaf that calls raw functions only.
 * @throws CV_LIMIT_EXCEEDED when more scratch is needed than the fixed bound
 */
export function withScratch<T>(
  need: ScratchNeed,
  work: (scratch: Scratch, raw: RawSodium) => T,
): T {
  const open = requireCore();
  assert(!open.isBusy, 'nested use of the scratch region');
  const size = need.bytes + need.pieces * PIECE_ALIGNMENT;
  if (size > open.scratchBytes) growScratch(open, size);
  open.isBusy = true;
  try {
    return work(new Scratch(open.raw, open.scratchStart, size), open.raw);
  } finally {
    open.isBusy = false;
    wipeAfter(open, size, need.isDeep === true ? DEEP_STACK_BYTES : STACK_BYTES);
  }
}

/**
 * Loads libsodium and checks that the raw exports and the memory layout are those we rely on.
 * Call it once at the start of the process; further calls do nothing.
 */
export async function openSealed(): Promise<void> {
  await sodium.ready;
  if (core !== undefined) return;
  const raw = (sodium as unknown as { readonly libsodium: RawSodium }).libsodium;
  for (const name of RAW_NAMES) {
    assert(typeof raw[name] === 'function', `libsodium has no ${name}`);
  }
  assert(raw.HEAPU8.byteLength > 0, 'libsodium has no HEAPU8');
  const scratchStart = raw._malloc(SCRATCH_BYTES_MIN);
  assert(scratchStart > DEEP_STACK_BYTES, 'libsodium memory has an unknown layout');
  const opened: Core = {
    raw,
    stackTop: scratchStart,
    scratchStart,
    scratchBytes: SCRATCH_BYTES_MIN,
    isBusy: false,
  };
  raw.HEAPU8.fill(0, scratchStart, scratchStart + SCRATCH_BYTES_MIN);
  checkStack(opened);
  core = opened;
}

function requireCore(): Core {
  if (core === undefined) throw new InvariantViolation('openSealed() was not awaited');
  return core;
}

function alignUp(size: number): number {
  return (size + PIECE_ALIGNMENT - 1) & ~(PIECE_ALIGNMENT - 1);
}

function wipeAfter(open: Core, scratchBytes: number, stackBytes: number): void {
  const heap = open.raw.HEAPU8;
  heap.fill(0, open.scratchStart, open.scratchStart + scratchBytes);
  heap.fill(0, open.stackTop - stackBytes, open.stackTop);
}

function growScratch(open: Core, size: number): void {
  if (size > SCRATCH_BYTES_MAX) {
    throw new ConclaveError(
      'CV_LIMIT_EXCEEDED',
      `sealing is limited to ${SCRATCH_BYTES_MAX} bytes at once`,
    );
  }
  let grownBytes = open.scratchBytes;
  while (grownBytes < size) grownBytes *= 2;
  const start = open.raw._malloc(grownBytes);
  if (start === 0) throw new ConclaveError('CV_LIMIT_EXCEEDED', 'no memory for sealing');
  open.raw._free(open.scratchStart);
  open.raw.HEAPU8.fill(0, start, start + grownBytes);
  open.scratchStart = start;
  open.scratchBytes = grownBytes;
}

/**
 * The stack pointer is not exported. Everything a lattice operation changes outside the scratch
 * region must lie in the window that we wipe; otherwise another build of libsodium slipped in.
 */
function checkStack(open: Core): void {
  const { raw, stackTop } = open;
  const before = raw.HEAPU8.slice();
  const secretKey = open.scratchStart;
  const publicKey = secretKey + 4096;
  const ciphertext = publicKey + 4096;
  const shared = ciphertext + 4096;
  raw._crypto_kem_xwing_seed_keypair(publicKey, secretKey, secretKey);
  raw._crypto_kem_xwing_enc_deterministic(ciphertext, shared, publicKey, secretKey);
  raw._crypto_kem_xwing_dec(shared, ciphertext, secretKey);
  const isSame = (start: number, end: number): boolean =>
    Buffer.compare(before.subarray(start, end), raw.HEAPU8.subarray(start, end)) === 0;
  const lowest = stackTop - DEEP_STACK_BYTES;
  assert(!isSame(lowest, stackTop), 'libsodium left no trace on its stack');
  const isInside = isSame(0, lowest) && isSame(secretKey + SCRATCH_BYTES_MIN, raw.HEAPU8.length);
  assert(isInside, 'the stack of libsodium is not where expected');
  wipeAfter(open, SCRATCH_BYTES_MIN, DEEP_STACK_BYTES);
}
