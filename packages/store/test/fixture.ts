import { randomFillSync, randomInt } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Random } from '@conclave/kernel';
import { openSealed, SecretBytes } from '@conclave/sealed';
import type { Entry, Snapshot } from 'raft-ts';
import { LevelStore } from '../src/index.js';

export const RANDOM: Random = {
  bytes: (count) => randomFillSync(new Uint8Array(new ArrayBuffer(count))),
  below: (limit) => randomInt(limit),
};

/** A key of its own for each open, all with the same bytes. */
const keyOf = (fill: number): SecretBytes => SecretBytes.take(new Uint8Array(32).fill(fill));

export class Fixture {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Fixture> {
    await openSealed();
    return new Fixture(await mkdtemp(join(tmpdir(), 'conclave-store-')));
  }

  path(name = 'raft'): string {
    return join(this.folder, name);
  }

  open(options: { name?: string; nodeId?: string; fill?: number } = {}): Promise<LevelStore> {
    return LevelStore.open({
      directory: this.path(options.name),
      clusterId: 'cluster',
      nodeId: options.nodeId ?? 'node',
      epoch: 1,
      key: keyOf(options.fill ?? 7),
      random: RANDOM,
    });
  }

  async copy(from: string, to: string): Promise<void> {
    await rm(this.path(to), { recursive: true, force: true });
    await cp(this.path(from), this.path(to), { recursive: true });
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

export const entry = (index: number, term = 1, text = `entry ${index}`): Entry => ({
  index,
  term,
  type: 'EntryNormal',
  data: Uint8Array.from(Buffer.from(text)),
});

export const snapshotAt = (index: number, term = 1): Snapshot => ({
  data: Uint8Array.of(1, 2, 3),
  metadata: {
    index,
    term,
    confState: {
      voters: [1],
      votersOutgoing: [],
      learners: [],
      learnersNext: [],
      autoLeave: false,
    },
  },
});
