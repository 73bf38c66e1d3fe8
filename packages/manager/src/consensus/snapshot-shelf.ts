import { ConclaveError } from '@conclave/kernel';
import type { Logger } from '@conclave/kernel';
import type { SnapshotName, SnapshotStore } from '@conclave/store';

/** Snapshots that the log has referred to and that stay: the current one and the one before. */
const STORED_KEPT = 2;

/** What keeping the contents of snapshots takes. */
export interface SnapshotShelfOptions {
  readonly snapshots: SnapshotStore;
  readonly logger: Logger;
}

/**
 * The contents of snapshots, each kept for as long as anybody may ask for it: while it is written
 * or sent, from its last byte until the log refers to it, and while the log does. The log is what
 * survives a crash: content that it names must be there, whatever was going on.
 */
export class SnapshotShelf {
  readonly #options: SnapshotShelfOptions;
  /** Being written or sent, and how often. */
  readonly #inUse = new Map<string, number>();
  readonly #writing = new Set<string>();
  /** Whole, and the log does not refer to them yet; by id their index. */
  readonly #fresh = new Map<string, number>();
  /** Ids that the log referred to, the newest last. */
  #stored: readonly string[] = [];
  #cleaning: Promise<void> = Promise.resolve();

  constructor(options: SnapshotShelfOptions) {
    this.#options = options;
  }

  /**
   * Stores the content of a snapshot; durable when it resolves.
   * @throws CV_QUEUE_FULL while the same snapshot is on its way already
   */
  async write(
    name: SnapshotName,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    if (this.#writing.has(name.id)) {
      throw new ConclaveError('CV_QUEUE_FULL', 'this snapshot is being received already');
    }
    if (this.#fresh.has(name.id) || this.#stored.includes(name.id)) {
      // Sent once more: what the log may refer to is not written over.
      for await (const _chunk of chunks);
      return;
    }
    this.#writing.add(name.id);
    this.#use(name.id);
    let isWhole = false;
    try {
      // A removal under way has chosen what goes: it may be what is left of an earlier attempt.
      await this.#cleaning;
      await this.#options.snapshots.write(name, chunks);
      isWhole = true;
    } finally {
      this.#writing.delete(name.id);
      if (isWhole) this.#fresh.set(name.id, name.index);
      this.#release(name.id);
      // Half a snapshot is of no use to anybody, and it may be what filled the disk.
      if (!isWhole) this.#clean();
    }
  }

  /** The content of a snapshot; it stays readable until `release`. */
  open(name: SnapshotName): {
    readonly chunks: AsyncIterable<Uint8Array>;
    readonly release: () => void;
  } {
    this.#use(name.id);
    return {
      chunks: this.#options.snapshots.read(name),
      release: () => this.#release(name.id),
    };
  }

  /** The log refers to this snapshot from now on; what nobody needs any more goes. */
  stored(name: SnapshotName): void {
    this.#stored = [...this.#stored.filter((id) => id !== name.id), name.id].slice(-STORED_KEPT);
    for (const [id, index] of this.#fresh) if (index <= name.index) this.#fresh.delete(id);
    this.#clean();
  }

  /** Resolves when nothing is being removed. */
  async idle(): Promise<void> {
    await this.#cleaning;
  }

  #clean(): void {
    const remove = async (): Promise<void> => {
      try {
        await this.#options.snapshots.keepOnly([
          ...this.#stored,
          ...this.#fresh.keys(),
          ...this.#inUse.keys(),
        ]);
      } catch (error) {
        // It takes room and does no other harm; the next one is another chance.
        this.#options.logger.warn('snapshot.not-removed', { error });
      }
    };
    this.#cleaning = this.#cleaning.then(remove);
  }

  #use(id: string): void {
    this.#inUse.set(id, (this.#inUse.get(id) ?? 0) + 1);
  }

  #release(id: string): void {
    const left = (this.#inUse.get(id) ?? 1) - 1;
    if (left === 0) this.#inUse.delete(id);
    else this.#inUse.set(id, left);
  }
}
