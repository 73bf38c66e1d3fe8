import { equalBytes } from '@conclave/kernel';
import { hash } from '@conclave/sealed';
import type { Entry } from 'raft-ts';

/** What the commands and the tables of a manager come to at one index. */
export interface StateMark {
  /** Index of the last command; 0: there was none. */
  readonly index: number;
  /** Hash of every command up to there, each with its index and term. */
  readonly chain: Uint8Array;
  /** Checksum of every row. */
  readonly digest: string;
}

/** Marks that are kept: managers that apply some seconds apart still find a common index. */
const MARKS_MAX = 8_192;
/** They go in one piece, so that most commands move nothing. */
const MARKS_DROPPED: number = MARKS_MAX / 2;

/** Before the first command. */
export const FIRST_MARK: StateMark = { index: 0, chain: new Uint8Array(32), digest: '' };

/** The hash of the commands up to and including `entry`, from that of those before it. */
function chainOf(previous: Uint8Array, { index, term, data }: Entry): Uint8Array {
  const place = new Uint8Array(16);
  const view = new DataView(place.buffer);
  view.setBigUint64(0, BigInt(index));
  view.setBigUint64(8, BigInt(term));
  return hash(previous, place, data);
}

/**
 * The marks of the last commands. Two managers that applied the same have the same mark at the same
 * index, whatever they were restored from.
 */
export class StateMarks {
  /** In the order of their indexes; never empty. */
  #marks: StateMark[] = [FIRST_MARK];

  /** Of the last command that was applied. */
  get newest(): StateMark {
    return this.#marks.at(-1) ?? FIRST_MARK;
  }

  /** Takes note of a command that was applied; `digest` is that of the tables now. */
  add(entry: Entry, digest: string): void {
    const chain = chainOf(this.newest.chain, entry);
    this.#marks.push({ index: entry.index, chain, digest });
    if (this.#marks.length > MARKS_MAX) this.#marks.splice(0, MARKS_DROPPED);
  }

  /** The tables were replaced by others, of which only this is known. */
  restart(mark: StateMark): void {
    this.#marks = [mark];
  }

  /** The mark of the last command up to `index`; undefined when that is too long ago. */
  at(index: number): StateMark | undefined {
    return this.#marks.findLast((mark) => mark.index <= index);
  }

  /**
   * True when a manager with this mark has applied something else, false when it has not; undefined
   * when this manager is not that far yet, or was there too long ago.
   */
  isOther(theirs: StateMark): boolean | undefined {
    if (theirs.index === 0 || theirs.index > this.newest.index) return undefined;
    const own = this.at(theirs.index);
    if (own === undefined) return undefined;
    const isSame = own.index === theirs.index && own.digest === theirs.digest;
    return !(isSame && equalBytes(own.chain, theirs.chain));
  }
}
