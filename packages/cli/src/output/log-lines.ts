import type { LogChunk } from '@conclave/client';
import type { Io } from '../io.js';
import { harmless } from './text.js';

/** Bytes of a line that is kept until its end comes; longer ones are cut into several. */
const LINE_BYTES_MAX = 64 * 1024;
/** Notices that are remembered. */
const NOTICES_MAX = 1_000;
const LINE_FEED = 0x0a;

interface Open {
  readonly isError: boolean;
  pieces: Uint8Array[];
  size: number;
}

/**
 * Writes the output of tasks as whole lines with the task in front, so that lines of several tasks
 * do not run into each other. On a terminal control characters are made visible.
 */
export class LogLines {
  readonly #io: Io;
  readonly #nameOf: (taskId: string) => string;
  readonly #noted = new Set<string>();
  readonly #open = new Map<string, Open>();

  constructor(io: Io, nameOf: (taskId: string) => string) {
    this.#io = io;
    this.#nameOf = nameOf;
  }

  async add(chunk: LogChunk): Promise<void> {
    await this.#note(chunk.notice);
    const key = `${chunk.stream} ${chunk.taskId}`;
    const open = this.#open.get(key) ?? { isError: chunk.stream === 'stderr', pieces: [], size: 0 };
    this.#open.set(key, open);
    let rest: Uint8Array = chunk.output;
    while (rest.length > 0) {
      const at = rest.indexOf(LINE_FEED);
      const end = at === -1 ? rest.length : at;
      const piece = rest.subarray(0, Math.min(end, LINE_BYTES_MAX - open.size));
      open.pieces.push(piece.slice());
      open.size += piece.length;
      const isWhole = piece.length === end && at !== -1;
      rest = rest.subarray(piece.length + (isWhole ? 1 : 0));
      if (isWhole || open.size >= LINE_BYTES_MAX) await this.#flush(chunk.taskId, open);
    }
  }

  /** Says it once, however many tasks it is about. */
  async #note(notice: string): Promise<void> {
    if (notice === '' || this.#noted.has(notice)) return;
    if (this.#noted.size < NOTICES_MAX) this.#noted.add(notice);
    await this.#io.stderr.write(`note: ${harmless(notice)}\n`);
  }

  /** Writes what is left without a line end. */
  async end(): Promise<void> {
    for (const [key, open] of this.#open) {
      if (open.size > 0) await this.#flush(key.split(' ')[1] ?? '', open);
    }
  }

  async #flush(taskId: string, open: Open): Promise<void> {
    const stream = open.isError ? this.#io.stderr : this.#io.stdout;
    const text = new TextDecoder().decode(Buffer.concat(open.pieces));
    open.pieces = [];
    open.size = 0;
    const shown = stream.isTerminal ? harmless(text) : text;
    await stream.write(`${this.#nameOf(taskId)} | ${shown}\n`);
  }
}
