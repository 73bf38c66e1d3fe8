import { randomInt } from 'node:crypto';
import { decodeConfChange, MemoryStorage, RawNode, StepError } from 'raft-ts';
import type { ConfState, Entry, HardState, Message, ReadState, Snapshot } from 'raft-ts';

/** What is on disk, and what is written to it: one batch, as a whole or not at all. */
export interface Batch {
  /** Of a batch to write: it replaces the stored snapshot and all stored entries. */
  readonly snapshot: Snapshot | undefined;
  /** They replace every stored entry from the first one's index on. */
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
}

/** What this member needs. Every call has had its effect when it returns. */
export interface SyncParts {
  readonly id: number;
  /** The voters of a new cluster, the same on each of them; empty: it joins a cluster. */
  readonly voters: readonly number[];
  /** What is on disk when it starts. */
  readonly stored: Batch;
  write(batch: Batch, options: { sync: boolean }): void;
  send(message: Message): void;
  apply(entry: Entry): void;
  restore(snapshot: Snapshot): void;
  /** The state machine may be read for this context now. */
  serveRead(requestCtx: Uint8Array): void;
  /** Replaces the stored snapshot, synced with all that was written before; entries stay. */
  saveSnapshot(snapshot: Snapshot): void;
  /** Entries up to an index need not be kept. */
  discard(index: number): void;
}

/** Entries kept before a snapshot, for members that lag a little. */
const KEEP = 1_000;

export class SyncMember {
  readonly node: RawNode;
  readonly #storage = new MemoryStorage();
  readonly #parts: SyncParts;
  #applied = 0;
  #confState: ConfState | undefined;
  #reads: ReadState[] = [];
  #isScheduled = false;

  // #region start
  constructor(parts: SyncParts) {
    const { snapshot, hardState, entries } = parts.stored;
    if (snapshot !== undefined) {
      this.#storage.applySnapshot(snapshot);
      parts.restore(snapshot);
      this.#applied = snapshot.metadata.index;
    }
    if (hardState !== undefined) this.#storage.setHardState(hardState);
    this.#storage.append(entries);
    this.#parts = parts;
    this.node = new RawNode({
      id: parts.id,
      storage: this.#storage,
      applied: this.#applied,
      electionTick: 10,
      heartbeatTick: 1,
      maxInflightMsgs: 256,
      maxInflightBytes: 4 * 1024 * 1024,
      maxSizePerMsg: 512 * 1024,
      maxCommittedSizePerReady: 1024 * 1024,
      maxUncommittedEntriesSize: 16 * 1024 * 1024,
      preVote: true,
      checkQuorum: true,
      stepDownOnRemoval: true,
      random: (n) => randomInt(n),
    });
    const isNew = hardState === undefined && snapshot === undefined;
    if (isNew && parts.voters.length > 0) this.node.bootstrap(parts.voters.map((id) => ({ id })));
    this.#schedule();
  }
  // #endregion

  /** To be called at a fixed pace, for example every 100 ms. */
  tick(): void {
    this.node.tick();
    this.#schedule();
  }

  /** Takes a message; `message.from` must be who sent it. */
  receive(message: Message): void {
    try {
      this.node.step(message);
    } catch (error) {
      // Refused, and nothing has changed: it came too late, or from somebody who was removed.
      if (!(error instanceof StepError)) throw error;
    }
    this.#schedule();
  }

  /** @throws ProposalDroppedError if the command certainly went nowhere */
  propose(command: Uint8Array): void {
    this.node.propose(command);
    this.#schedule();
  }

  /** `serveRead` follows for the same context, or never. */
  read(requestCtx: Uint8Array): void {
    this.node.readIndex(requestCtx);
    this.#schedule();
  }

  // #region compact
  /** Takes a snapshot of the state machine as it is now, and gives up the log before it. */
  compact(state: Uint8Array): void {
    const snapshot = this.#storage.createSnapshot(this.#applied, this.#confState, state);
    if (snapshot === 'outOfDate') return;
    this.#parts.saveSnapshot(snapshot);
    if (this.#applied <= KEEP) return;
    this.#storage.compact(this.#applied - KEEP);
    this.#parts.discard(this.#applied - KEEP);
  }
  // #endregion

  // #region loop
  /** All input of a turn of the event loop shares one Ready: one write, one message per member. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      while (this.node.hasReady()) this.#handleReady();
    });
  }

  #handleReady(): void {
    const { snapshot, entries, hardState, ...ready } = this.node.ready();
    // 1. Write. A snapshot is synced in any case.
    const sync = ready.mustSync || snapshot !== undefined;
    this.#parts.write({ snapshot, entries, hardState }, { sync });
    if (snapshot !== undefined) this.#storage.applySnapshot(snapshot);
    if (hardState !== undefined) this.#storage.setHardState(hardState);
    this.#storage.append(entries);
    // 2. Send, only now. The host calls `node.reportSnapshot` for each MsgSnap, later.
    for (const message of ready.messages) this.#parts.send(message);
    // 3. Apply: the snapshot first.
    if (snapshot !== undefined) {
      this.#parts.restore(snapshot);
      this.#applied = snapshot.metadata.index;
      this.#confState = snapshot.metadata.confState;
    }
    for (const entry of ready.committedEntries) this.#apply(entry);
    // 4. Serve the reads that the state machine is new enough for.
    this.#reads.push(...ready.readStates);
    const isDue = ({ index }: ReadState): boolean => index <= this.#applied;
    for (const { requestCtx } of this.#reads.filter(isDue)) this.#parts.serveRead(requestCtx);
    this.#reads = this.#reads.filter((read) => !isDue(read));
    // 5. All of it is done.
    this.node.advance();
  }

  #apply(entry: Entry): void {
    if (entry.type !== 'EntryNormal') {
      this.#confState = this.node.applyConfChange(decodeConfChange(entry));
    } else if (entry.data.length > 0) {
      this.#parts.apply(entry);
    }
    this.#applied = entry.index;
  }
  // #endregion
}
