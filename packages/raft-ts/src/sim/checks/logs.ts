import type { Index, NodeId, Term } from '../../numbers.js';
import type { Entry } from '../../types.js';
import { SimFailure } from '../failure.js';
import type { Subject } from '../subject.js';

interface KnownEntry {
  readonly entry: Entry;
  readonly previousTerm: Term;
}

/** Invariants 2 and 3: log matching; what is committed stays, is the same everywhere, and lasts. */
export class Logs {
  /** All entries that ever existed, by index; few terms per index. */
  readonly #known: (KnownEntry[] | undefined)[] = [];
  /** By index: the committed term, and the term of the member that saw it committed first. */
  readonly #terms: Term[];
  readonly #seenIn: Term[];
  /** The last index that is committed. */
  commit: Index;

  /** @param start index of the snapshot that everybody starts with; its term is 1 */
  constructor(start: Index) {
    this.commit = start;
    this.#terms = Array.from<Term>({ length: start + 1 }).fill(1);
    this.#seenIn = Array.from<Term>({ length: start + 1 }).fill(1);
  }

  /** Entries were put into a log. */
  appended(member: Subject, entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    let previousTerm = member.core.log.termOrZero(first.index - 1);
    for (const entry of entries) {
      this.#checkEntry(entry, previousTerm, member.id);
      previousTerm = entry.term;
    }
  }

  #checkEntry(entry: Entry, previousTerm: Term, id: NodeId): void {
    const { index, term } = entry;
    if (term < previousTerm) {
      throw new SimFailure('2 log matching', `term ${term} follows ${previousTerm} at ${index}`);
    }
    const known = (this.#known[index] ??= []);
    for (const other of known) {
      if (other.entry.term !== term) continue;
      if (other.previousTerm === previousTerm && isSame(other.entry, entry)) return;
      const text = `member ${id} has another entry ${term}/${index}, or another one before it`;
      throw new SimFailure('2 log matching', text);
    }
    known.push({ entry, previousTerm });
  }

  /** The commit index of a member has grown. */
  committed(member: Subject, before: Index): void {
    const { core } = member;
    const { log } = core;
    for (let index = before + 1; index <= log.committed; index++) {
      const term = log.term(index);
      // A snapshot covers entries that are not there any more.
      if (typeof term === 'string') continue;
      if (index > this.commit) {
        this.commit = index;
        this.#terms[index] = term;
        this.#seenIn[index] = core.term;
      } else if (this.#terms[index] !== term) {
        const text = `member ${member.id} commits ${term}/${index}, others ${this.#terms[index]}`;
        throw new SimFailure('3 state machine safety', text);
      }
    }
  }

  /** A member leads: everything committed in earlier terms is in its log. */
  elected({ id, core }: Subject): void {
    let index = this.commit;
    while (index > 0 && (this.#seenIn[index] as Term) >= core.term) index--;
    const term = core.log.term(index);
    if (term === 'compacted' || term === this.#terms[index]) return;
    const text =
      `${id} leads term ${core.term} without the committed entry ` +
      `${this.#terms[index]}/${index}: ${term}`;
    throw new SimFailure('3 leader completeness', text);
  }

  /** Term of a committed entry. */
  termOf(index: Index): Term | undefined {
    return this.#terms[index];
  }
}

function isSame(one: Entry, other: Entry): boolean {
  if (one === other) return true;
  const { length } = one.data;
  if (one.type !== other.type || length !== other.data.length) return false;
  for (let i = 0; i < length; i++) if (one.data[i] !== other.data[i]) return false;
  return true;
}
