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

import { OUTPUT_PART_BYTES_MAX, OUTPUT_PIECE_BYTES_MAX } from '../../limits.js';

const NEWLINE = 10;
/** Rounds of copying behind a task that goes on printing. */
const COPY_ROUNDS_MAX = 4;

/**
 * One stream of a task's output, in memory: a part that the task appends to and the part before it.
 * The agent cuts the first when it is full; what is printed in that very moment may be lost.
 * Offsets count from the first byte that this run of the agent knows of.
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

  /** Cuts the newest part when it is over its limit; only its end is kept. */
  rotate(): void {
    const size = sizeOf(this.#path);
    if (size <= this.#partBytesMax) return;
    const part = openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      this.#base += this.#keepEnd(part, size);
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
    // The end of the last line is no line of its own.
    let isLast = true;
    while (offset > this.start) {
      const from = Math.max(this.start, offset - OUTPUT_PIECE_BYTES_MAX);
      const bytes = this.read(from, offset - from).bytes;
      for (let index = bytes.length - 1; index >= 0; index -= 1) {
        if (bytes[index] === NEWLINE && !isLast) wanted -= 1;
        if (wanted === 0) return from + index + 1;
        isLast = false;
      }
      offset = from;
    }
    return this.start;
  }

  /** Up to `sizeMax` bytes from `offset`, or from the oldest byte when that one is gone. */
  read(offset: number, sizeMax: number): { readonly offset: number; readonly bytes: Uint8Array } {
    const from = Math.max(offset, this.start);
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
    const next = `${this.#previousPath}.next`;
    rmSync(next, { force: true });
    const previous = openSync(next, 'wx', 0o600);
    let seen = size - this.#partBytesMax;
    try {
      // What is printed meanwhile is taken along, so that little or nothing is lost.
      for (let round = 0; round < COPY_ROUNDS_MAX; round += 1) {
        const kept = readAt(part, seen, this.#partBytesMax);
        if (kept.length === 0) break;
        writeSync(previous, kept);
        kept.fill(0);
        seen += kept.length;
      }
    } finally {
      closeSync(previous);
    }
    renameSync(next, this.#previousPath);
    return seen;
  }

  get #previousPath(): string {
    return `${this.#path}.1`;
  }
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
    return fstatSync(descriptor).size;
  } finally {
    closeSync(descriptor);
  }
}
