import { open, readFile, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Entry, HardState, Index, Snapshot } from 'raft-ts';
import { decodeEntry, decodeSnapshot, encodeEntry, encodeSnapshot } from 'raft-ts/codec';
import type { LoadedLog, LogBatch, LogStore } from 'raft-ts/node';

type Line = { reset: boolean; snapshot?: string; entries: string[]; hardState?: HardState };

/** A log store in one file: a line for each batch, which counts as a whole or not at all. */
export class LogFile implements LogStore {
  readonly #path: string;
  #file: FileHandle | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<LoadedLog> {
    this.#file = await open(this.#path, 'a');
    await syncFolder(this.#path);
    const { log, size } = await read(this.#path);
    await this.#file.truncate(size); // A torn line was never acknowledged.
    return log;
  }

  write(batch: LogBatch): Promise<void> {
    return this.#inTurn(() => append(this.#file!, batch));
  }

  /** Puts a file with what is left in the place of the old one. */
  compact(index: Index): Promise<void> {
    return this.#inTurn(async () => {
      const { hardState, snapshot, entries } = (await read(this.#path)).log;
      const fresh = await open(`${this.#path}.new`, 'w');
      const rest = { ...(hardState && { hardState }), ...(snapshot && { ownSnapshot: snapshot }) };
      await append(fresh, { ...rest, entries: entries.filter((entry) => entry.index > index) });
      await rename(`${this.#path}.new`, this.#path);
      await syncFolder(this.#path);
      await this.#file?.close();
      this.#file = fresh;
    });
  }

  close(): Promise<void> {
    return this.#inTurn(async () => this.#file?.close());
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

async function append(file: FileHandle, batch: LogBatch): Promise<void> {
  const { hardState, ownSnapshot: newest = batch.snapshot } = batch;
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const snapshot = newest && text(encodeSnapshot(newest));
  const entries = batch.entries.map((entry) => text(encodeEntry(entry)));
  const json = JSON.stringify({ reset: !!batch.snapshot, snapshot, entries, hardState });
  await file.appendFile(`${crc32(json)} ${json}\n`);
  await file.datasync(); // Always, so that only the last line can be torn.
}

async function read(path: string): Promise<{ log: LoadedLog; size: number }> {
  const text = await readFile(path, 'latin1');
  let [hardState, snapshot]: [HardState?, Snapshot?] = [];
  let [entries, size]: [Entry[], number] = [[], 0];
  for (let end; (end = text.indexOf('\n', size)) >= 0; size = end + 1) {
    const json = text.slice(text.indexOf(' ', size) + 1, end);
    if (!text.startsWith(`${crc32(json)} `, size)) {
      if (end === text.length - 1) break;
      throw new Error(`the log is damaged at byte ${size}`);
    }
    const line = JSON.parse(json) as Line;
    if (line.reset) entries = [];
    for (const entry of line.entries.map((one) => decodeEntry(Buffer.from(one, 'base64')))) {
      while ((entries.at(-1)?.index ?? 0) >= entry.index) entries.pop();
      entries.push(entry);
    }
    hardState = line.hardState ?? hardState;
    if (line.snapshot) snapshot = decodeSnapshot(Buffer.from(line.snapshot, 'base64'));
  }
  return { log: { hardState, snapshot, entries }, size };
}

/** Makes the names in the folder of a file durable. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(dirname(path));
  await folder.sync();
  await folder.close();
}
