import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { equalBytes } from '@conclave/kernel';
import { keyedHash } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import { damaged } from './errors.js';

const COUNTER_BYTES = 8;
const RECORD_BYTES = COUNTER_BYTES + 32;

/**
 * The write counter of the last batch that was acknowledged, in a file of its own.
 *
 * The database drops a damaged end of its own log without a word, and the rest looks like an older
 * but sound store. With the witness the two cases differ: a batch that was torn before it was
 * acknowledged leaves the witness at or behind the head, damage leaves it ahead. It is written
 * after the batch, without a sync and without anybody waiting: after a loss of power or a crash it
 * may be behind, never ahead.
 */
export class Witness {
  readonly #file: FileHandle;
  readonly #key: SecretBytes;
  readonly #record = Buffer.alloc(RECORD_BYTES);
  /** The newest counter that is to be noted; written when the write before it has ended. */
  #wanted = 0;
  #written = 0;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  private constructor(file: FileHandle, key: SecretBytes) {
    this.#file = file;
    this.#key = key;
  }

  /** Opens or creates the file, mode 0600. */
  static async open(path: string, key: SecretBytes): Promise<Witness> {
    const file = await open(path, 'a+', 0o600);
    await file.close();
    return new Witness(await open(path, 'r+'), key);
  }

  /**
   * The counter that was noted last, 0 when none was.
   * @throws CV_LOG_DAMAGED when the note does not check
   */
  async read(): Promise<number> {
    const { bytesRead } = await this.#file.read(this.#record, 0, RECORD_BYTES, 0);
    if (bytesRead === 0) return 0;
    const counter = this.#record.subarray(0, COUNTER_BYTES);
    const mark = this.#record.subarray(COUNTER_BYTES, bytesRead);
    if (bytesRead !== RECORD_BYTES || !equalBytes(keyedHash(this.#key, counter), mark)) {
      throw damaged('its witness does not check');
    }
    return Number(counter.readBigUInt64BE(0));
  }

  /**
   * Notes that the batch `writeCounter` was acknowledged, soon: notes that queue up become one.
   * @throws what an earlier note failed with
   */
  note(writeCounter: number): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#wanted = writeCounter;
    this.#running ??= this.#run();
  }

  /** Closes the file after the last note. */
  async close(): Promise<void> {
    await this.#running;
    await this.#file.close();
  }

  async #run(): Promise<void> {
    try {
      while (this.#written < this.#wanted) {
        const counter = this.#wanted;
        this.#record.writeBigUInt64BE(BigInt(counter), 0);
        const mark = keyedHash(this.#key, this.#record.subarray(0, COUNTER_BYTES));
        this.#record.set(mark, COUNTER_BYTES);
        await this.#file.write(this.#record, 0, RECORD_BYTES, 0);
        this.#written = counter;
      }
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#running = undefined;
    }
  }
}
