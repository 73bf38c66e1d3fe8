import type { ConfChange, NodeId } from '../index.js';

/** Bytes in front of every payload that goes through the driver. */
export const PROPOSAL_ID_SIZE = 16;

const NODE_ID_SIZE = 7;
const LIFE_SIZE = 4;
const PREFIX_SIZE = NODE_ID_SIZE + LIFE_SIZE;
const SEQUENCE_MAX = 2 ** (8 * (PROPOSAL_ID_SIZE - PREFIX_SIZE)) - 1;

/**
 * Ids that recognize one's own entries when they come back as committed.
 *
 * The core does not tell at which index a proposal ended up. An id is the node id (7 bytes), a
 * random number of this life of the member (4 bytes) and a sequence number (5 bytes): unique among
 * members, and among the lives of one member as far as entries of an earlier life are still
 * unapplied. The same ids serve as contexts of reads.
 */
export class ProposalIds {
  readonly #prefix: Uint8Array;
  #sequence = 0;

  /**
   * @param id identity of this member
   * @param random uniform integer in [0, n)
   */
  constructor(id: NodeId, random: (n: number) => number) {
    this.#prefix = new Uint8Array(PREFIX_SIZE);
    putInteger(this.#prefix.subarray(0, NODE_ID_SIZE), id);
    for (let i = NODE_ID_SIZE; i < PREFIX_SIZE; i++) this.#prefix[i] = random(256);
  }

  /** The next sequence number, from 1. It ends after 2^40 - 1, years at any possible rate. */
  next(): number {
    if (this.#sequence >= SEQUENCE_MAX) throw new RangeError('proposal ids are used up');
    return ++this.#sequence;
  }

  /** The id for `sequence` followed by a copy of `payload`. */
  wrap(sequence: number, payload: Uint8Array): Uint8Array {
    const wrapped = new Uint8Array(PROPOSAL_ID_SIZE + payload.length);
    wrapped.set(this.#prefix);
    putInteger(wrapped.subarray(PREFIX_SIZE, PROPOSAL_ID_SIZE), sequence);
    wrapped.set(payload, PROPOSAL_ID_SIZE);
    return wrapped;
  }

  /** The change with the id for `sequence` in front of its context. */
  wrapContext(sequence: number, change: ConfChange): ConfChange {
    return { ...change, context: this.wrap(sequence, change.context ?? new Uint8Array(0)) };
  }

  /** The sequence number in bytes of `wrap`; undefined if they are not of this life. */
  sequenceOf(bytes: Uint8Array): number | undefined {
    if (bytes.length < PROPOSAL_ID_SIZE) return undefined;
    for (let i = 0; i < PREFIX_SIZE; i++) if (bytes[i] !== this.#prefix[i]) return undefined;
    let sequence = 0;
    for (let i = PREFIX_SIZE; i < PROPOSAL_ID_SIZE; i++) sequence = sequence * 256 + bytes[i]!;
    return sequence;
  }
}

/** The payload in bytes of `wrap` of any member, without a copy; undefined if they are none. */
export function unwrapPayload(bytes: Uint8Array): Uint8Array | undefined {
  return bytes.length < PROPOSAL_ID_SIZE ? undefined : bytes.subarray(PROPOSAL_ID_SIZE);
}

/** A context as `wrapContext` makes it, but nobody's, for changes that nobody waits for. */
export function anonymousContext(context: Uint8Array | undefined): Uint8Array {
  const wrapped = new Uint8Array(PROPOSAL_ID_SIZE + (context?.length ?? 0));
  if (context !== undefined) wrapped.set(context, PROPOSAL_ID_SIZE);
  return wrapped;
}

/**
 * The change as it was proposed; a change without a context came from the core itself.
 *
 * @returns undefined if the context is too short to be one of `wrapContext`
 */
export function unwrapContext(change: ConfChange): ConfChange | undefined {
  const { context, ...bare } = change;
  if (context === undefined || context.length === 0) return bare;
  const payload = unwrapPayload(context);
  if (payload === undefined) return undefined;
  return payload.length === 0 ? bare : { ...bare, context: payload };
}

/** Big-endian, into the whole of `target`. */
function putInteger(target: Uint8Array, value: number): void {
  let rest = value;
  for (let i = target.length - 1; i >= 0; i--) {
    target[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}
