import type {
  Bytes,
  Compacted,
  ConfState,
  Entry,
  Index,
  InitialState,
  MemoryStorage,
  Snapshot,
  Storage,
  Term,
  Unavailable,
} from '../index.js';

/**
 * The stored log as the core sees it: the memory, but no snapshot that would be refused.
 *
 * A member refuses a snapshot whose configuration does not contain it. Until one is stored that
 * contains everybody, the core is asked to wait, which saves the transfer of a state for nothing.
 */
export class CoreStorage implements Storage {
  readonly memory: MemoryStorage;
  /** The configuration in effect. */
  confState: ConfState;

  /**
   * @param memory the stored part of the log
   * @param confState the configuration at the start
   */
  constructor(memory: MemoryStorage, confState: ConfState) {
    this.memory = memory;
    this.confState = confState;
  }

  /** Whether the log alone cannot bring up a member that the stored snapshot does not contain. */
  needsSnapshot(): boolean {
    if (this.memory.firstIndex() === 1) return false;
    const known = membersOf(this.memory.snapshot().metadata.confState);
    return [...membersOf(this.confState)].some((member) => !known.has(member));
  }

  initialState(): InitialState {
    return this.memory.initialState();
  }

  firstIndex(): Index {
    return this.memory.firstIndex();
  }

  lastIndex(): Index {
    return this.memory.lastIndex();
  }

  term(index: Index): Term | Compacted | Unavailable {
    return this.memory.term(index);
  }

  entries(lo: Index, hi: Index, maxSize: Bytes): readonly Entry[] | Compacted | Unavailable {
    return this.memory.entries(lo, hi, maxSize);
  }

  snapshot(): Snapshot | 'temporarilyUnavailable' {
    return this.needsSnapshot() ? 'temporarilyUnavailable' : this.memory.snapshot();
  }
}

function membersOf({ voters, votersOutgoing, learners }: ConfState): ReadonlySet<number> {
  return new Set([...voters, ...votersOutgoing, ...learners]);
}
