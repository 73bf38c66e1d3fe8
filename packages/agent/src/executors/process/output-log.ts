import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';

import {
  OUTPUT_PART_BYTES_MAX,
  OUTPUT_PIECE_BYTES_MAX,
  OUTPUT_SIZE_BYTES_MAX,
} from '../../limits.js';

const NEWLINE = 10;
/** Rounds of copying behind a task that goes on printing. */
const COPY_ROUNDS_MAX = 4;

/**
 * One stream of a task's output, in memory: a part that the task appends to and the part before it.
 * The agent cuts the first when it is full; what is printed in that very moment may be lost.
 * The file of the first belongs to the task, which may give it any size and fill its file system:
 * then what was printed is dropped. Offsets count from the first byte that this run of the agent
 * knows of.
 */
export class OutputLog {
  readonly #path: string;
  readonly #partBytesMax: number;
  /** Offset of the first byte of the newest part. */
  #base: number;

  constructor(path: string, partBytesMax: number = OUTPUT_PART_BYTES_MAX) {
    this.#path = path;
    this.#partBytesMax = partBytesMax;
    this.#base = sizeOf(this.#previousPath);
  }

  /** A descriptor for the task to append to; the caller closes its own. */
  openForTask(): number {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
    return openSync(this.#path, flags | constants.O_NOFOLLOW, 0o600);
  }

  /** Offset after the last byte. */
  get end(): number {
    return this.#base + sizeOf(this.#path);
  }

  /** Offset of the oldest byte that is kept. */
  get start(): number {
    return this.#base - sizeOf(this.#previousPath);
  }

  /**
   * Cuts the newest part when it is over its limit; only its end is kept, and nothing where there
   * is no room for it.
   * @throws what the system said when the part itself could not be cut; to be tried again
   */
  rotate(): void {
    const size = sizeOf(this.#path);
    if (size <= this.#partBytesMax) return;
    const part = openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      this.#base += size < OUTPUT_SIZE_BYTES_MAX ? this.#keepEnd(part, size) : this.#drop(size);
      ftruncateSync(part, 0);
    } finally {
      closeSync(part);
    }
  }

  /** Offset of the first byte of the last `lines` lines; 0 lines: of everything. */
  tail(lines: number): number {
    if (lines === 0) return this.start;
    let wanted = lines;
    let offset = this.end;
    // A file without lines, but of any size the task likes, must not be searched to its begin.
    const oldest = Math.max(this.start, offset - 2 * this.#partBytesMax);
    // The end of the last line is no line of its own.
    let isLast = true;
    while (offset > oldest) {
      const from = Math.max(oldest, offset - OUTPUT_PIECE_BYTES_MAX);
      const bytes = this.read(from, offset - from).bytes;
      for (let index = bytes.length - 1; index >= 0; index -= 1) {
        if (bytes[index] === NEWLINE && !isLast) wanted -= 1;
        if (wanted === 0) return from + index + 1;
        isLast = false;
      }
      offset = from;
    }
    return oldest;
  }

  /**
   * Up to `sizeMax` bytes from `offset`, or from the oldest byte when that one is gone, or from the
   * end when the task took away what it had printed.
   */
  read(offset: number, sizeMax: number): { readonly offset: number; readonly bytes: Uint8Array } {
    const from = Math.min(Math.max(offset, this.start), this.end);
    const isPrevious = from < this.#base;
    const path = isPrevious ? this.#previousPath : this.#path;
    if (!existsSync(path)) return { offset: from, bytes: new Uint8Array(0) };
    const position = from - (isPrevious ? this.start : this.#base);
    const part = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return { offset: from, bytes: readAt(part, position, sizeMax) };
    } finally {
      closeSync(part);
    }
  }

  /** Copies the end of the part to where it is kept; returns the bytes that were looked at. */
  #keepEnd(part: number, size: number): number {
    try {
      const seen = this.#copyEnd(part, size);
      renameSync(this.#nextPath, this.#previousPath);
      return seen;
    } catch {
      // No room, because the part has taken it all: cutting the part comes first.
      return this.#drop(size);
    }
  }

  #copyEnd(part: number, size: number): number {
    rmSync(this.#nextPath, { force: true });
    const previous = openSync(this.#nextPath, 'wx', 0o600);
    let seen = size - this.#partBytesMax;
    try {
      // What is printed meanwhile is taken along, so that little or nothing is lost.
      for (let round = 0; round < COPY_ROUNDS_MAX; round += 1) {
        const kept = readAt(part, seen, this.#partBytesMax);
        if (kept.length === 0) break;
        writeWhole(previous, kept);
        kept.fill(0);
        seen += kept.length;
      }
      return seen;
    } finally {
      closeSync(previous);
    }
  }

  /** Gives up what was kept before the newest part; returns `size`. */
  #drop(size: number): number {
    rmSync(this.#nextPath, { force: true });
    rmSync(this.#previousPath, { force: true });
    return size;
  }

  get #previousPath(): string {
    return `${this.#path}.1`;
  }

  get #nextPath(): string {
    return `${this.#previousPath}.next`;
  }
}

function writeWhole(descriptor: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(descriptor, bytes, written);
}

function readAt(descriptor: number, position: number, sizeMax: number): Uint8Array {
  const size = Math.min(sizeMax, Math.max(0, fstatSync(descriptor).size - position));
  const bytes = new Uint8Array(new ArrayBuffer(size));
  const count = readSync(descriptor, bytes, 0, size, position);
  return bytes.subarray(0, count);
}

function sizeOf(path: string): number {
  if (!existsSync(path)) return 0;
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return Math.min(fstatSync(descriptor).size, OUTPUT_SIZE_BYTES_MAX);
  } finally {
    closeSync(descriptor);
  }
}
