import { MemoryStorage } from '../memory-storage.js';
import type { Message } from '../message-types.js';
import type { Bytes, Index, Term } from '../numbers.js';
import type { Compacted, InitialState, Storage, Unavailable } from '../storage.js';
import type { Entry, HardState, Snapshot } from '../types.js';
import type { Prng } from './prng.js';

/** Work for a disk, and what may be sent when it is done. */
export interface DiskWrite {
  readonly hardState: HardState | undefined;
  readonly snapshot: Snapshot | undefined;
  readonly entries: readonly Entry[];
  readonly mustSync: boolean;
  readonly responses: readonly Message[];
  /** Asynchronous storage: the message that asks for it. */
  readonly message: Message | undefined;
}

/** What was on its way to a disk and is there after a crash. */
export interface CrashOutcome {
  readonly survivors: readonly DiskWrite[];
  /** Whether that is all there is: no part of a write, and no commit index was lost. */
  readonly isExact: boolean;
}

const FIRST_STATE: HardState = { term: 0, vote: 0, commit: 0 };

/** A member's log as the core sees it. A snapshot may be made on demand, or not be there. */
export class SimStorage implements Storage {
  readonly memory: MemoryStorage = new MemoryStorage();
  /** Asked before a snapshot is handed out; false: there is none now. */
  onSnapshotWanted: (() => boolean) | undefined = undefined;

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
    if (this.onSnapshotWanted?.() === false) return 'temporarilyUnavailable';
    return this.memory.snapshot();
  }
}

/**
 * A model of the log on a disk. Work is done in order; `commit` makes the oldest piece durable. A
 * crash keeps a prefix of the work that was handed out, the last piece of it perhaps in part: this
 * is what a log with checksums gives back after a torn write.
 */
export class SimDisk {
  /** What is durable. */
  readonly storage: SimStorage = new SimStorage();
  hardState: HardState = FIRST_STATE;
  /** A commit index that was written without a sync; a crash may lose it. */
  #unsynced: HardState | undefined = undefined;
  readonly #queue: DiskWrite[] = [];

  /** The snapshot a cluster starts with. */
  format(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.storage.memory.applySnapshot(snapshot);
    this.hardState = { term, vote: 0, commit: index };
  }

  /** How many pieces of work wait. */
  get length(): number {
    return this.#queue.length;
  }

  /** Term of the durable entry at an index; undefined if there is none, or it is compacted. */
  term(index: Index): Term | undefined {
    const term = this.storage.term(index);
    return typeof term === 'number' ? term : undefined;
  }

  /** Takes work. */
  enqueue(write: DiskWrite): void {
    this.#queue.push(write);
  }

  /** Makes the oldest piece of work durable and returns it. */
  commit(): DiskWrite {
    const write = this.#queue.shift() as DiskWrite;
    if (write.mustSync || write.hardState === undefined) {
      this.#sync(write);
    } else {
      this.#unsynced = write.hardState;
    }
    return write;
  }

  #sync({ hardState, snapshot, entries }: DiskWrite): void {
    const state = hardState ?? this.#unsynced;
    if (state !== undefined) this.hardState = state;
    this.#unsynced = undefined;
    if (snapshot !== undefined) this.storage.memory.applySnapshot(snapshot);
    this.storage.memory.append(entries);
  }

  /**
   * Forgets what is not durable, except what happened to reach the disk.
   *
   * @param prng decides what that is
   * @param isTorn whether that may be a part of a write, and whether a commit index may be lost
   */
  crash(prng: Prng, isTorn: boolean): CrashOutcome {
    const count = this.#queue.length === 0 ? 0 : prng.below(this.#queue.length + 1);
    const survivors: DiskWrite[] = [];
    for (let i = 0; i < count; i++) survivors.push(this.commit());
    const torn = this.#queue[0];
    let isExact = true;
    // Entries come before the hard state that counts on them; a snapshot counts only as a whole.
    if (isTorn && torn !== undefined && torn.snapshot === undefined) {
      const kept = prng.below(torn.entries.length + 1);
      this.storage.memory.append(torn.entries.slice(0, kept));
      isExact = kept === 0;
    }
    if (this.#unsynced !== undefined) {
      if (!isTorn || prng.chance(0.5)) this.hardState = this.#unsynced;
      else isExact = false;
    }
    this.#unsynced = undefined;
    this.#queue.length = 0;
    return { survivors, isExact };
  }

  /** Keeps a snapshot of the own state; the commit index is stored with it. */
  saveSnapshot(snapshot: Snapshot): boolean {
    const { index, confState } = snapshot.metadata;
    if (this.storage.memory.createSnapshot(index, confState, snapshot.data) === 'outOfDate')
      return false;
    if (this.hardState.commit < index) this.hardState = { ...this.hardState, commit: index };
    return true;
  }

  /** Prepares for a member that starts, and returns the snapshot it starts from. */
  load(): Snapshot {
    const { memory } = this.storage;
    const snapshot = memory.snapshot();
    const { index } = snapshot.metadata;
    // Whoever stores a snapshot knows that everything in it is committed.
    if (this.hardState.commit < index) this.hardState = { ...this.hardState, commit: index };
    memory.setHardState(this.hardState);
    return snapshot;
  }
}
