import type { Prng } from '../prng.js';

/** What a disk writes as a whole. */
export const SECTOR_SIZE = 512;

/** One file: what programs see, what is on the medium, and what is on the way between. */
class SimFile {
  current: Uint8Array = new Uint8Array(0);
  #synced: Uint8Array = new Uint8Array(0);
  /** By sector: its contents since the last sync, oldest first. */
  readonly #pending = new Map<number, Uint8Array[]>();
  length = 0;

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    this.#reserve(end);
    this.current.set(bytes, offset);
    this.length = Math.max(this.length, end);
    const last = Math.ceil(end / SECTOR_SIZE);
    for (let sector = Math.floor(offset / SECTOR_SIZE); sector < last; sector++) {
      const contents = this.#pending.get(sector);
      const content = this.current.slice(sector * SECTOR_SIZE, (sector + 1) * SECTOR_SIZE);
      if (contents === undefined) this.#pending.set(sector, [content]);
      else contents.push(content);
    }
  }

  sync(): void {
    for (const [sector, contents] of this.#pending) {
      this.#synced.set(contents.at(-1) as Uint8Array, sector * SECTOR_SIZE);
    }
    this.#pending.clear();
  }

  /** Some sectors arrive, in some version; none of the others is tried again. */
  settle(prng: Prng): void {
    for (const [sector, contents] of this.#pending) {
      const content = contents[prng.below(contents.length + 1)];
      if (content !== undefined) this.#synced.set(content, sector * SECTOR_SIZE);
    }
    this.#pending.clear();
  }

  losePower(prng: Prng): void {
    this.settle(prng);
    this.current = this.#synced.slice();
  }

  /** Changes one bit of what is on the medium. */
  rot(at: number, bit: number): void {
    this.#synced[at] = (this.#synced[at] as number) ^ (1 << bit);
    this.current[at] = (this.current[at] as number) ^ (1 << bit);
  }

  #reserve(size: number): void {
    if (size <= this.current.length) return;
    const capacity = Math.ceil((size * 2) / SECTOR_SIZE) * SECTOR_SIZE;
    this.current = grown(this.current, capacity);
    this.#synced = grown(this.#synced, capacity);
  }
}

function grown(bytes: Uint8Array, capacity: number): Uint8Array {
  const larger = new Uint8Array(capacity);
  larger.set(bytes);
  return larger;
}

/**
 * The files of one member: writes wait in a cache until they are synced, renames until the directory
 * is. At a loss of power each sector that was written since is kept, lost or set to an older content,
 * independently; a directory that was not synced may be the old one.
 */
export class SimFiles {
  readonly #prng: Prng;
  #names = new Map<string, SimFile>();
  #syncedNames = new Map<string, SimFile>();

  /** @param prng decides what survives */
  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** The content; zeroes where nothing was written. Empty if there is no such file. */
  read(name: string): Uint8Array {
    const file = this.#names.get(name);
    return file === undefined ? new Uint8Array(0) : file.current.subarray(0, file.length);
  }

  /** Creates an empty file, in place of one that has the name. */
  create(name: string): void {
    this.#names.set(name, new SimFile());
  }

  /** Writes into the cache. The file must exist. */
  write(name: string, offset: number, bytes: Uint8Array): void {
    this.#file(name).write(offset, bytes);
  }

  /** Makes the content of a file durable, not its name. */
  sync(name: string): void {
    this.#file(name).sync();
  }

  /** A sync that fails: part of it may have arrived, and what has not counts as clean. */
  failSync(name: string): void {
    this.#file(name).settle(this.#prng);
  }

  /** Gives a file another name, in place of the one that has it. */
  rename(from: string, to: string): void {
    this.#names.set(to, this.#file(from));
    this.#names.delete(from);
  }

  /** Makes names durable. */
  syncDirectory(): void {
    this.#syncedNames = new Map(this.#names);
  }

  /** The process dies, with or without the machine. */
  crash(): void {
    // A process takes nothing with it that it has written.
    if (this.#prng.chance(0.5)) return;
    const isUndone = this.#prng.chance(0.5);
    const files = new Set([...this.#names.values(), ...this.#syncedNames.values()]);
    if (isUndone) this.#names = new Map(this.#syncedNames);
    else this.#syncedNames = new Map(this.#names);
    for (const file of files) file.losePower(this.#prng);
  }

  /** Changes one bit in the beginning of a file on the medium. */
  rot(name: string, size: number): void {
    this.#file(name).rot(this.#prng.below(size), this.#prng.below(8));
  }

  #file(name: string): SimFile {
    const file = this.#names.get(name);
    if (file === undefined) throw new Error(`there is no file ${name}`);
    return file;
  }
}
