import type {
  Config,
  ConfState,
  Entry,
  Message,
  NodeId,
  Ready,
  Snapshot,
  TraceEvent,
} from '../../src/index.js';
import {
  decodeConfChange,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  RawNode,
} from '../../src/index.js';
import { bytes, text } from './bytes.js';

/** A storage whose snapshot is taken when the core asks for one. */
class MemberStorage extends MemoryStorage {
  take: () => Snapshot = () => super.snapshot();

  override snapshot(): Snapshot {
    return this.take();
  }
}

export type MemberOptions = Partial<Omit<Config, 'id' | 'storage'>> & {
  readonly random: Config['random'];
};

/** The state machine after one entry. */
interface Point {
  readonly index: number;
  readonly term: number;
  readonly count: number;
  readonly confState: ConfState;
}

/** A node with a storage in memory and a state machine that remembers all payloads. */
export class Member {
  readonly id: NodeId;
  readonly storage = new MemberStorage();
  readonly options: MemberOptions;
  node: RawNode;
  /** Payloads in the order of their application. */
  applied: string[] = [];
  appliedIndex: number;
  appliedTerm: number;
  confState: ConfState;
  readonly reads: { readonly index: number; readonly ctx: string }[] = [];
  readonly appendWork: Message[] = [];
  readonly applyWork: Message[] = [];
  onApply: (entry: Entry) => void = () => undefined;
  #history: Point[] = [];

  constructor(id: NodeId, start: Snapshot, options: MemberOptions) {
    this.id = id;
    this.options = options;
    if (start.metadata.index > 0) this.storage.applySnapshot(start);
    this.storage.take = () => this.snapshot();
    this.appliedIndex = start.metadata.index;
    this.appliedTerm = start.metadata.term;
    this.confState = start.metadata.confState;
    this.#remember();
    this.node = this.#start();
  }

  #start(): RawNode {
    return new RawNode({
      id: this.id,
      storage: this.storage,
      electionTick: 10,
      heartbeatTick: 1,
      maxInflightMsgs: 16,
      ...this.options,
      applied: this.appliedIndex,
    });
  }

  get isAsync(): boolean {
    return this.options.asyncStorageWrites === true;
  }

  snapshot(): Snapshot {
    const { appliedIndex: index, appliedTerm: term, confState } = this;
    return { data: bytes(JSON.stringify(this.applied)), metadata: { index, term, confState } };
  }

  /** Drops log entries that are applied, and known to be committed after a crash as well. */
  compact(): void {
    const commit = this.storage.initialState().hardState?.commit ?? 0;
    const index = Math.min(this.appliedIndex, commit);
    if (index >= this.storage.firstIndex()) this.storage.compact(index);
  }

  #remember(): void {
    const { appliedIndex: index, appliedTerm: term, confState } = this;
    this.#history.push({ index, term, count: this.applied.length, confState });
  }

  /**
   * Loses what is not written yet. State machine and configuration are stored together, and come
   * back as of an index that the stored commit index covers.
   */
  restart(appliedMax = Number.POSITIVE_INFINITY): void {
    this.appendWork.length = 0;
    this.applyWork.length = 0;
    const commit = this.storage.initialState().hardState?.commit ?? this.appliedIndex;
    const limit = Math.min(appliedMax, commit);
    const [oldest] = this.#history;
    const point = this.#history.findLast(({ index }) => index <= limit) ?? (oldest as Point);
    this.#history = this.#history.filter(({ index }) => index <= point.index);
    this.applied = this.applied.slice(0, point.count);
    this.appliedIndex = point.index;
    this.appliedTerm = point.term;
    this.confState = point.confState;
    this.storage.createSnapshot(point.index, point.confState, this.snapshot().data);
    this.node = this.#start();
  }

  /** Does what a Ready asks for. @returns messages to the network and to itself */
  handleReady(): readonly Message[] {
    const ready = this.node.ready();
    for (const { index, requestCtx } of ready.readStates) {
      this.reads.push({ index, ctx: text(requestCtx) });
    }
    const out: Message[] = [];
    if (!this.isAsync) this.#write(ready);
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) this.appendWork.push(message);
      else if (message.to === LOCAL_APPLY_THREAD) this.applyWork.push(message);
      else out.push(message);
    }
    if (!this.isAsync) {
      this.#apply(ready.committedEntries);
      this.node.advance();
    }
    return out;
  }

  #write({
    hardState,
    snapshot,
    entries,
  }: Pick<Ready, 'hardState' | 'snapshot' | 'entries'>): void {
    if (hardState !== undefined) this.storage.setHardState(hardState);
    if (snapshot !== undefined) {
      this.storage.applySnapshot(snapshot);
      const { index, term, confState } = snapshot.metadata;
      this.applied = JSON.parse(text(snapshot.data)) as string[];
      this.appliedIndex = index;
      this.appliedTerm = term;
      this.confState = confState;
      this.#history = [];
      this.#remember();
    }
    this.storage.append(entries);
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      // Handed out before a snapshot that was written meanwhile, and contained in it.
      if (this.isAsync && entry.index <= this.appliedIndex) continue;
      if (entry.index !== this.appliedIndex + 1) {
        throw new Error(`member ${this.id} applies ${entry.index} after ${this.appliedIndex}`);
      }
      if (entry.type !== 'EntryNormal') {
        this.confState = this.node.applyConfChange(decodeConfChange(entry));
      } else if (entry.data.length > 0) {
        this.applied.push(text(entry.data));
      }
      this.appliedIndex = entry.index;
      this.appliedTerm = entry.term;
      this.#remember();
      this.onApply(entry);
    }
  }

  /** Finishes the oldest write. @returns the messages it released */
  finishAppend(): readonly Message[] {
    const work = this.appendWork.shift();
    if (work === undefined) return [];
    const { term, vote, commit, snapshot, entries } = work;
    const hardState = term > 0 || vote > 0 || commit > 0 ? { term, vote, commit } : undefined;
    this.#write({ hardState, snapshot, entries });
    return work.responses;
  }

  /** Finishes the oldest application. @returns the messages it released */
  finishApply(): readonly Message[] {
    const work = this.applyWork.shift();
    if (work === undefined) return [];
    this.#apply(work.entries);
    return work.responses;
  }
}

export type Trace = (event: TraceEvent) => void;
