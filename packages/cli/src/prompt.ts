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

/** Reads keys until the line ends; false at the end of input. */
function readKeys(typed: Typed, chunk: Uint8Array): boolean {
  for (const key of chunk) {
    if (key === LINE_FEED || key === CARRIAGE_RETURN || key === CONTROL_D) return true;
    if (key === CONTROL_C) {
      throw new ConclaveError('CV_CANCELLED', 'interrupted; nothing was done');
    }
    if (key === BACKSPACE || key === DELETE) typed.erase();
    else if (key === CONTROL_U) typed.clear();
    else typed.add(key);
  }
  return false;
}

/**
 * One line that is not echoed, without its line end. Backspace and Ctrl-U work.
 * @throws CV_CANCELLED for Ctrl-C
 * @throws CV_SECRET_TOO_LARGE above `bytesMax`
 */
export async function readHidden(io: Io, question: string, bytesMax: number): Promise<SecretBytes> {
  await io.stderr.write(question);
  const typed = new Typed(bytesMax);
  io.stdin.setRaw(true);
  try {
    for await (const chunk of io.stdin.chunks()) {
      const isEnd = readKeys(typed, chunk);
      chunk.fill(0);
      if (isEnd) break;
    }
    return await typed.take();
  } finally {
    typed.clear();
    io.stdin.setRaw(false);
    await io.stderr.write('\n');
  }
}
