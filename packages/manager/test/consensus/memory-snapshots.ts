import { ConclaveError } from '@conclave/kernel';
import type { SnapshotName, SnapshotStore } from '@conclave/store';

/** Contents of snapshots in memory, chunk by chunk as on a disk: half a snapshot may be there. */
export class MemorySnapshots implements SnapshotStore {
  readonly chunks = new Map<string, Uint8Array[]>();
  readonly whole = new Set<string>();
  /** Runs before the content is closed. */
  beforeEnd: (name: SnapshotName) => Promise<void> = () => Promise.resolve();
  beforeRemoval: () => Promise<void> = () => Promise.resolve();

  async write(
    name: SnapshotName,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const stored: Uint8Array[] = [];
    this.chunks.set(name.id, stored);
    for await (const chunk of chunks) stored.push(Uint8Array.from(chunk));
    await this.beforeEnd(name);
    this.whole.add(name.id);
  }

  async *read(name: SnapshotName): AsyncGenerator<Uint8Array> {
    for (let number = 0; ; number += 1) {
      await Promise.resolve();
      const stored = this.chunks.get(name.id);
      if (stored === undefined || !this.whole.has(name.id)) {
        throw new ConclaveError('CV_SNAPSHOT_DAMAGED', `chunk ${number} is missing`);
      }
      const chunk = stored[number];
      if (chunk === undefined) return;
      yield chunk;
    }
  }

  async keepOnly(ids: readonly string[]): Promise<void> {
    await this.beforeRemoval();
    for (const id of this.chunks.keys()) {
      if (ids.includes(id)) continue;
      this.chunks.delete(id);
      this.whole.delete(id);
    }
  }
}
