import { ConclaveError } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';
import type { Io } from './io.js';

/** Bytes of an answer to a question. */
const LINE_BYTES_MAX = 256;
const CONTROL_C = 0x03;
const CONTROL_D = 0x04;
const BACKSPACE = 0x08;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const CONTROL_U = 0x15;
const DELETE = 0x7f;
const LINE_ENDS: ReadonlySet<number> = new Set([CONTROL_D, LINE_FEED, CARRIAGE_RETURN]);

/** One line that a person types, echoed by the terminal; for answers, never for values. */
export async function readLine(io: Io, question: string): Promise<string> {
  await io.stderr.write(question);
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of io.stdin.chunks()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes('\n') || text.length > LINE_BYTES_MAX) break;
  }
  return text.split('\n', 1)[0] ?? '';
}

/** What is typed, in memory that is wiped. */
class Typed {
  readonly #bytes: Uint8Array;
  #size = 0;

  constructor(bytesMax: number) {
    this.#bytes = new Uint8Array(new ArrayBuffer(bytesMax));
  }

  add(byte: number): void {
    if (this.#size === this.#bytes.length) {
      throw new ConclaveError(
        'CV_SECRET_TOO_LARGE',
        `more than ${this.#bytes.length} bytes were typed`,
      );
    }
    this.#bytes[this.#size] = byte;
    this.#size += 1;
  }

  /** Takes one character away: a UTF-8 sequence ends where a byte is not a continuation. */
  erase(): void {
    while (this.#size > 0) {
      this.#size -= 1;
      const isContinuation = ((this.#bytes[this.#size] ?? 0) & 0xc0) === 0x80;
      this.#bytes[this.#size] = 0;
      if (!isContinuation) return;
    }
  }

  clear(): void {
    this.#bytes.fill(0);
    this.#size = 0;
  }

  /** Moves what was typed out and wipes it here. */
  async take(): Promise<SecretBytes> {
    const { SecretBytes } = await import('@conclave/sealed');
    const secret = SecretBytes.take(this.#bytes.subarray(0, this.#size));
    this.clear();
    return secret;
  }
}

/** Keys of a terminal that does not echo; what comes behind a line end is for the next line. */
export class HiddenInput {
  readonly #io: Io;
  readonly #bytesMax: number;
  #rest: Uint8Array = new Uint8Array(0);

  private constructor(io: Io, bytesMax: number) {
    this.#io = io;
    this.#bytesMax = bytesMax;
  }

  /**
   * Lends an input to `work`. Echo is off from before the first question until the end, so that
   * nothing that is typed quickly shows between two questions.
   */
  static async lend<T>(
    io: Io,
    bytesMax: number,
    work: (input: HiddenInput) => Promise<T>,
  ): Promise<T> {
    const input = new HiddenInput(io, bytesMax);
    io.stdin.setRaw(true);
    try {
      return await work(input);
    } finally {
      input.#rest.fill(0);
      io.stdin.setRaw(false);
    }
  }

  /**
   * One line without its line end. Backspace and Ctrl-U work; the end of input is a line end.
   * @throws CV_CANCELLED for Ctrl-C
   * @throws CV_SECRET_TOO_LARGE above the limit
   */
  async line(question: string): Promise<SecretBytes> {
    await this.#io.stderr.write(question);
    const typed = new Typed(this.#bytesMax);
    try {
      await this.#readKeys(typed);
      return await typed.take();
    } finally {
      typed.clear();
      await this.#io.stderr.write('\n');
    }
  }

  async #readKeys(typed: Typed): Promise<void> {
    if (this.#take(typed, this.#rest)) return;
    for await (const chunk of this.#io.stdin.chunks()) {
      if (this.#take(typed, chunk)) return;
    }
  }

  /** Reads the keys of a chunk and wipes it; true when the line has ended. */
  #take(typed: Typed, chunk: Uint8Array): boolean {
    try {
      for (const [offset, key] of chunk.entries()) {
        if (LINE_ENDS.has(key)) {
          this.#rest = Uint8Array.from(chunk.subarray(offset + 1));
          return true;
        }
        press(typed, key);
      }
      this.#rest = new Uint8Array(0);
      return false;
    } finally {
      chunk.fill(0);
    }
  }
}

function press(typed: Typed, key: number): void {
  if (key === CONTROL_C) {
    throw new ConclaveError('CV_CANCELLED', 'interrupted; nothing was done');
  }
  if (key === BACKSPACE || key === DELETE) typed.erase();
  else if (key === CONTROL_U) typed.clear();
  else typed.add(key);
}

/** One line that is not echoed, without its line end; see {@link HiddenInput.line}. */
export function readHidden(io: Io, question: string, bytesMax: number): Promise<SecretBytes> {
  return HiddenInput.lend(io, bytesMax, (input) => input.line(question));
}
