import { randomInt } from 'node:crypto';
import { decodeConfChange, MemoryStorage, RawNode, StepError } from 'raft-ts';
import type { Entry, HardState, Message, Snapshot } from 'raft-ts';
import type { MsgStorageAppend, MsgStorageApply, ReadState } from 'raft-ts';

/** What is on disk, and what is written to it. */
export interface Batch {
  /** Of a batch to write: it replaces the stored snapshot and all stored entries. */
  readonly snapshot: Snapshot | undefined;
  /** They replace every stored entry from the first one's index on. */
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
}

/** What this member needs. Promises resolve when it has happened; a rejection is final. */
export interface AsyncParts {
  readonly id: number;
  /** The voters of a new cluster, the same on each of them; empty: it joins a cluster. */
  readonly voters: readonly number[];
  /** What is on disk when it starts. */
  readonly stored: Batch;
  /** Writes all of them in this order with one sync at the end. */
  write(batches: readonly Batch[]): Promise<void>;
  send(message: Message): void;
  apply(entry: Entry): Promise<void>;
  restore(snapshot: Snapshot): Promise<void>;
  /** The state machine may be read for this context now. */
  serveRead(requestCtx: Uint8Array): void;
}

export class AsyncMember {
  readonly node: RawNode;
  readonly #storage = new MemoryStorage();
  readonly #parts: AsyncParts;
  readonly #appends: MsgStorageAppend[] = [];
  readonly #applies: (MsgStorageApply | Snapshot)[] = [];
  #isWriting = false;
  #isApplying = false;
  #isScheduled = false;
  #applied = 0;
  /** What a snapshot covers must not reach the core or the state machine any more. */
  #floor = 0;
  #reads: ReadState[] = [];

  private constructor(parts: AsyncParts) {
    const { snapshot, hardState, entries } = parts.stored;
    if (snapshot !== undefined) this.#storage.applySnapshot(snapshot);
    if (hardState !== undefined) this.#storage.setHardState(hardState);
    this.#storage.append(entries);
    this.#parts = parts;
    this.#applied = snapshot?.metadata.index ?? 0;
    this.node = new RawNode({
      id: parts.id,
      storage: this.#storage,
      applied: this.#applied,
      asyncStorageWrites: true,
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

  static async start(parts: AsyncParts): Promise<AsyncMember> {
    if (parts.stored.snapshot !== undefined) await parts.restore(parts.stored.snapshot);
    return new AsyncMember(parts);
  }

  /** To be called at a fixed pace, for example every 100 ms; it never waits for the disk. */
  tick(): void {
    this.node.tick();
    this.#schedule();
  }

  /** Takes a message; `message.from` must be who sent it. */
  receive(message: Message): void {
    this.#step(message);
    // The core has switched to the snapshot, so that #floor must rise before anything else.
    if (message.type === 'MsgSnap') this.#handleReadys();
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

  #step(message: Message): void {
    try {
      this.node.step(message);
    } catch (error) {
      // Refused, and nothing has changed: it came too late, or somebody was removed.
      if (!(error instanceof StepError)) throw error;
    }
    this.#schedule();
  }

  /** All input of a turn of the event loop shares one Ready. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#handleReadys();
    });
  }

  // #region loop
  /** Distributes work and waits for nothing: what must wait is in the responses of the work. */
  #handleReadys(): void {
    while (this.node.hasReady()) {
      const { messages, readStates } = this.node.ready();
      for (const message of messages) {
        if (message.type === 'MsgStorageAppend') {
          this.#floor = Math.max(this.#floor, message.snapshot?.metadata.index ?? 0);
          this.#appends.push(message);
        } else if (message.type === 'MsgStorageApply') {
          this.#applies.push(message);
        } else {
          this.#parts.send(message);
        }
      }
      this.#reads.push(...readStates);
    }
    this.#serveReads();
    void this.#write();
    void this.#apply();
  }

  /** One write at a time, of all that has queued up: the slower the disk, the larger the batch. */
  async #write(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#appends.length > 0) {
      const works = this.#appends.splice(0);
      await this.#parts.write(works.map(batchOf));
      for (const work of works) {
        const { snapshot, entries, hardState } = batchOf(work);
        if (snapshot !== undefined) {
          this.#storage.applySnapshot(snapshot);
          this.#applies.push(snapshot);
        }
        if (hardState !== undefined) this.#storage.setHardState(hardState);
        this.#storage.append(entries);
        this.#release(work.responses);
      }
    }
    this.#isWriting = false;
  }

  /** One piece of work at a time, in order. */
  async #apply(): Promise<void> {
    if (this.#isApplying) return;
    this.#isApplying = true;
    for (let work = this.#applies.shift(); work !== undefined; work = this.#applies.shift()) {
      if ('metadata' in work) {
        await this.#parts.restore(work);
        this.#applied = work.metadata.index;
      } else {
        for (const entry of work.entries) await this.#applyEntry(entry);
        this.#release(work.responses);
      }
      this.#serveReads();
    }
    this.#isApplying = false;
  }

  async #applyEntry(entry: Entry): Promise<void> {
    if (entry.index <= this.#floor) return;
    if (entry.type !== 'EntryNormal') this.node.applyConfChange(decodeConfChange(entry));
    else if (entry.data.length > 0) await this.#parts.apply(entry);
    this.#applied = entry.index;
  }

  /** All of them, in this order. */
  #release(responses: readonly Message[]): void {
    for (const message of responses) {
      if (message.to === this.#parts.id) this.#step(message);
      else this.#parts.send(message);
    }
  }
  // #endregion

  #serveReads(): void {
    const isDue = ({ index }: ReadState): boolean => index <= this.#applied;
    for (const { requestCtx } of this.#reads.filter(isDue)) this.#parts.serveRead(requestCtx);
    this.#reads = this.#reads.filter((read) => !isDue(read));
  }
}

/** Zeros in all three fields: the hard state is unchanged. */
function batchOf({ term, vote, commit, entries, snapshot }: MsgStorageAppend): Batch {
  const hardState = term > 0 || vote > 0 || commit > 0 ? { term, vote, commit } : undefined;
  return { snapshot, entries, hardState };
}
