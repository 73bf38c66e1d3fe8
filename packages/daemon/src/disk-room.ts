import { statfsSync } from 'node:fs';
import { ConclaveError } from '@conclave/kernel';
import type { Clock } from '@conclave/kernel';

const MIB = 1024 * 1024;
/** Bytes kept for what the cluster itself has to write: membership, elections, snapshots. */
const RESERVE_BYTES = 64 * MIB;
/** On small disks the reserve is this share of it. */
const RESERVE_SHARE = 0.1;
/** Milliseconds for which one look at the disk counts. */
const LOOK_MS = 500;

/** What the disk of a folder has. */
export interface DiskSizes {
  /** For this user. */
  readonly freeBytes: number;
  readonly allBytes: number;
}

function lookAt(path: string): DiskSizes {
  const { bavail, blocks, bsize } = statfsSync(path);
  return { freeBytes: bavail * bsize, allBytes: blocks * bsize };
}

/** Refuses new writes of administrators while the disk of the log is nearly full. */
export class DiskRoom {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #look: (path: string) => DiskSizes;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #hasRoom = true;

  constructor(path: string, clock: Clock, look: (path: string) => DiskSizes = lookAt) {
    this.#path = path;
    this.#clock = clock;
    this.#look = look;
  }

  /** @throws CV_DISK_FULL while there is less room than the reserve */
  check(): void {
    const now = this.#clock.monotonic();
    if (now - this.#lookedAtMs >= LOOK_MS) {
      this.#lookedAtMs = now;
      const { freeBytes, allBytes } = this.#look(this.#path);
      this.#hasRoom = freeBytes > Math.min(RESERVE_BYTES, allBytes * RESERVE_SHARE);
    }
    if (this.#hasRoom) return;
    throw new ConclaveError(
      'CV_DISK_FULL',
      'the disk of the managers is nearly full: not written',
      {
        retryAfterMs: 5_000,
      },
    );
  }
}
