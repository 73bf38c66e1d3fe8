import type { Config, ConfState, Entry, Message, NodeId, Ready, Snapshot } from 'raft-ts';
import {
  decodeConfChange,
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  RawNode,
} from 'raft-ts';

export type MemberConfig = Omit<Config, 'id' | 'storage' | 'applied'>;

/** The stored log, together with the state machine's latest state as its snapshot. */
class MemberStorage extends MemoryStorage {
  readonly #latest: () => Snapshot;

  constructor(latest: () => Snapshot) {
    super();
    this.#latest = latest;
  }

  override initialState(): ReturnType<MemoryStorage['initialState']> {
    const { hardState } = super.initialState();
    return { hardState, confState: this.#latest().metadata.confState };
  }

  override snapshot(): Snapshot {
    return this.#latest();
  }
}

const isEmptyHardState = ({ term, vote, commit }: Message): boolean =>
  term === 0 && vote === 0 && commit === 0;

/** A node with its storage and a state machine that strings payloads together. */
export class Member {
  readonly id: NodeId;
  readonly storage: MemberStorage;
  readonly isAsync: boolean;
  readonly appendWork: Message[] = [];
  readonly applyWork: Message[] = [];
  node: RawNode;
  /** The state machine after each applied entry; the last one is the present state. */
  #states: Snapshot[];
  readonly #config: MemberConfig;

  constructor(id: NodeId, start: Snapshot, config: MemberConfig) {
    this.id = id;
    this.isAsync = config.asyncStorageWrites === true;
    this.#states = [start];
    this.#config = config;
    this.storage = new MemberStorage(() => this.state);
    if (start.metadata.index > 0) this.storage.applySnapshot(start);
    this.node = this.#boot();
  }

  get state(): Snapshot {
    return this.#states.at(-1) as Snapshot;
  }

  get applied(): number {
    return this.state.metadata.index;
  }

  #boot(): RawNode {
    const { id, storage, applied } = this;
    return new RawNode({ ...this.#config, id, storage, applied });
  }

  /** Loses what is not written. The state machine falls back to what the stored commit covers. */
  restart(appliedMax: number): void {
    this.appendWork.length = 0;
    this.applyWork.length = 0;
    const commit = this.storage.initialState().hardState?.commit ?? 0;
    const limit = Math.min(appliedMax, Math.max(commit, this.storage.firstIndex() - 1));
    const [oldest, ...later] = this.#states;
    const kept = later.filter(({ metadata }) => metadata.index <= limit);
    this.#states = [oldest as Snapshot, ...kept];
    this.node = this.#boot();
  }

  /** Takes a Ready and does its work, or queues it. @returns messages for the network */
  handle(ready: Ready): Message[] {
    const out: Message[] = [];
    for (const message of ready.messages) {
      if (message.to === LOCAL_APPEND_THREAD) this.appendWork.push(message);
      else if (message.to === LOCAL_APPLY_THREAD) this.applyWork.push(message);
      else out.push(message);
    }
    if (this.isAsync) return out;
    if (ready.hardState !== undefined) this.storage.setHardState(ready.hardState);
    this.#write(ready.snapshot, ready.entries);
    this.#apply(ready.committedEntries);
    this.node.advance();
    return out;
  }

  /** Does the oldest write. */
  append(work: Message): void {
    const { term, vote, commit } = work;
    if (!isEmptyHardState(work)) this.storage.setHardState({ term, vote, commit });
    this.#write(work.snapshot, work.entries);
  }

  /** Does the oldest application. */
  apply(work: Message): void {
    this.#apply(work.entries);
  }

  #write(snapshot: Snapshot | undefined, entries: readonly Entry[]): void {
    if (snapshot !== undefined) {
      this.storage.applySnapshot(snapshot);
      this.#states = [snapshot];
    }
    this.storage.append(entries);
  }

  #apply(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { data, metadata } = this.state;
      let { confState }: { confState: ConfState } = metadata;
      let next = data;
      if (entry.type === 'EntryNormal') next = concat(data, entry.data);
      else confState = this.node.applyConfChange(decodeConfChange(entry));
      const { index, term } = entry;
      this.#states.push({ data: next, metadata: { index, term, confState } });
    }
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
