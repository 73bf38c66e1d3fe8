import { randomFillSync, randomInt } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Random } from '@conclave/kernel';
import { openSealed, SecretBytes } from '@conclave/sealed';
import type { Entry, Snapshot } from 'raft-ts';
import { LevelStore } from '../src/index.js';
import type { EpochFile } from '../src/index.js';

export const RANDOM: Random = {
  bytes: (count) => randomFillSync(new Uint8Array(new ArrayBuffer(count))),
  below: (limit) => randomInt(limit),
};

/** A key of its own for each open, all with the same bytes. */
const keyOf = (fill: number): SecretBytes => SecretBytes.take(new Uint8Array(32).fill(fill));

/** The file of the storage keys, beside the log: what holds the store is copied with its keys. */
const epochFileAt = (path: string): EpochFile => ({
  read: () =>
    readFile(path).catch((error: unknown) => {
      if ((error as { code?: string }).code === 'ENOENT') return undefined;
      throw error;
    }),
  write: (content) => writeFile(path, content, { mode: 0o600 }),
});

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

  open(
    options: { name?: string; nodeId?: string; fill?: number; witnessFill?: number } = {},
  ): Promise<LevelStore> {
    return LevelStore.open({
      directory: this.path(options.name),
      clusterId: 'cluster',
      nodeId: options.nodeId ?? 'node',
      key: keyOf(options.fill ?? 7),
      witnessKey: keyOf(options.witnessFill ?? options.fill ?? 7),
      epochFile: epochFileAt(join(this.path(options.name), 'epochs')),
      random: RANDOM,
    });
  }

  /** Replaces a file of a store, or removes it. */
  async put(name: string, file: string, content: Uint8Array | undefined): Promise<void> {
    const path = join(this.path(name), file);
    if (content === undefined) await rm(path);
    else await writeFile(path, content);
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
