/** Bytes that decide how far the search may jump. */
const BLOCK_BYTES = 2;
const BLOCKS = 1 << 16;

/** Where a needle stands. */
export interface Found {
  /** Its place in the list that the search was made with. */
  readonly needle: number;
  readonly offset: number;
}

/**
 * Finds many needles in one pass: the last two bytes of a window as long as the shortest needle say
 * how far the window may jump without missing any of them.
 * @source Wu and Manber, A fast algorithm for multi-pattern searching, 1994
 */
export class NeedleSearch {
  readonly #needles: readonly Buffer[];
  /** Bytes of the shortest needle. */
  readonly #window: number;
  readonly #jumps: Uint8Array;
  /** Needles by the two bytes at the end of their first window. */
  readonly #ending = new Map<number, number[]>();

  /** @param needles each of at least two bytes */
  constructor(needles: readonly Buffer[]) {
    this.#needles = needles;
    this.#window = Math.min(255, ...needles.map((needle) => needle.length));
    if (this.#window < BLOCK_BYTES) throw new Error('a needle has fewer than two bytes');
    this.#jumps = new Uint8Array(BLOCKS).fill(this.#window - BLOCK_BYTES + 1);
    for (const [number, needle] of needles.entries()) this.#note(needle, number);
  }

  /** The first place of each needle that occurs. */
  find(content: Uint8Array): Found[] {
    const jumps = this.#jumps;
    const found = new Map<number, number>();
    for (let end = this.#window - 1; end < content.length;) {
      const block = ((content[end - 1] ?? 0) << 8) | (content[end] ?? 0);
      const jump = jumps[block] ?? 1;
      if (jump === 0) this.#compare(content, { block, offset: end - this.#window + 1, found });
      end += jump === 0 ? 1 : jump;
    }
    return [...found].map(([needle, offset]) => ({ needle, offset }));
  }

  #note(needle: Buffer, number: number): void {
    const last = this.#window - BLOCK_BYTES;
    for (let at = 0; at <= last; at += 1) {
      const block = needle.readUInt16BE(at);
      this.#jumps[block] = Math.min(this.#jumps[block] ?? 0, last - at);
    }
    const ending = needle.readUInt16BE(last);
    this.#ending.set(ending, [...(this.#ending.get(ending) ?? []), number]);
  }

  #compare(
    content: Uint8Array,
    at: { readonly block: number; readonly offset: number; readonly found: Map<number, number> },
  ): void {
    for (const number of this.#ending.get(at.block) ?? []) {
      const needle = this.#needles[number];
      if (needle === undefined || at.found.has(number)) continue;
      const part = content.subarray(at.offset, at.offset + needle.length);
      if (needle.equals(part)) at.found.set(number, at.offset);
    }
  }
}
