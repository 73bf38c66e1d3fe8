import type { Message } from './message-types.js';
import type { Index, NodeId } from './numbers.js';

/** Reads a leader keeps until they are confirmed; beyond that new ones are dropped. */
const OPEN_READS_MAX = 100_000;

const CONTEXT_LENGTH = 8;
const TWO_32 = 0x1_0000_0000;

/** A read that waits for its confirmation. */
export interface OpenRead {
  readonly request: Message;
  /** Commit index when the request arrived. */
  readonly index: Index;
}

/**
 * Reads of one leadership, in the order of their arrival. The n-th one has position n. Heartbeats
 * carry the position of the last read; whoever answers confirms all up to it. Positions are made
 * here and never come twice, so that a delayed answer cannot confirm a later read.
 */
export class ReadOnly {
  #open: OpenRead[] = [];
  #confirmed = 0;
  readonly #acked = new Map<NodeId, number>();

  /** The position an answer has to name, at least, to confirm all open reads. */
  get position(): number {
    return this.#confirmed + this.#open.length;
  }

  /** Whether no more reads can be kept. */
  get isFull(): boolean {
    return this.#open.length >= OPEN_READS_MAX;
  }

  /** Whether reads wait for their confirmation. */
  get hasOpen(): boolean {
    return this.#open.length > 0;
  }

  /** What one node confirmed. */
  readonly ackedBy = (id: NodeId): number | undefined => this.#acked.get(id);

  /** Adds a read at its commit index. */
  add(request: Message, index: Index): void {
    this.#open.push({ request, index });
  }

  /** Notes that a node confirmed all reads up to a position. */
  ack(id: NodeId, position: number): void {
    if (position > this.position) return;
    this.#acked.set(id, Math.max(position, this.#acked.get(id) ?? 0));
  }

  /** Removes and returns the reads up to a position. */
  confirmTo(position: number): readonly OpenRead[] {
    const count = Math.min(position, this.position) - this.#confirmed;
    if (count <= 0) return [];
    this.#confirmed += count;
    return this.#open.splice(0, count);
  }
}

/** The context of a heartbeat for a position. */
export function encodePosition(position: number): Uint8Array {
  const bytes = new Uint8Array(CONTEXT_LENGTH);
  let rest = position;
  for (let i = 0; rest > 0; i++) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** The position in the context of a heartbeat answer; 0 if there is none. */
export function decodePosition(context: Uint8Array): number {
  if (context.length !== CONTEXT_LENGTH) return 0;
  let low = 0;
  let high = 0;
  for (let i = 3; i >= 0; i--) {
    low = low * 256 + (context[i] as number);
    high = high * 256 + (context[i + 4] as number);
  }
  const position = high * TWO_32 + low;
  return Number.isSafeInteger(position) ? position : 0;
}
