import { open, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { NeedleSearch } from './needle-search.js';
import { memoryPieces } from './process-memory.js';

const CHUNK_BYTES = 1 << 20;

/** Where a marker was found. */
export interface Leak {
  readonly marker: string;
  readonly form: string;
  readonly place: string;
  readonly offset: number;
}

/** A planted value and the name it is reported under; the value itself is never reported. */
export interface Marker {
  readonly name: string;
  readonly bytes: Uint8Array;
}

interface Needle {
  readonly marker: string;
  readonly form: string;
  readonly bytes: Buffer;
}

/** The forms a value may hide in: as it is, as base64 at each alignment, as hex, as UTF-16. */
function needlesOf(marker: Marker): Needle[] {
  const raw = Buffer.from(marker.bytes);
  const forms: [string, Buffer][] = [
    ['raw', raw],
    ['hex', Buffer.from(raw.toString('hex'))],
    ['HEX', Buffer.from(raw.toString('hex').toUpperCase())],
    ['utf16', Buffer.from(raw.toString('latin1'), 'utf16le')],
  ];
  for (let shift = 0; shift < 3; shift += 1) {
    const text = Buffer.concat([Buffer.alloc(shift), raw]).toString('base64');
    // Leave out the letters that neighbouring bytes would change.
    const inner = text.slice(shift === 0 ? 0 : shift + 1, -4);
    if (inner.length >= 8) forms.push([`base64+${shift}`, Buffer.from(inner)]);
  }
  return forms.map(([form, bytes]) => ({ marker: marker.name, form, bytes }));
}

/** Counts and places of what was searched. */
export interface ScanReport {
  readonly leaks: readonly Leak[];
  readonly files: number;
  readonly bytes: number;
}

/** Searches files, folders and the command lines and environments of processes for markers. */
export class LeakScanner {
  readonly #needles: readonly Needle[];
  readonly #finder: NeedleSearch;
  readonly #overlap: number;
  readonly #leaks: Leak[] = [];
  #files = 0;
  #bytes = 0;

  constructor(markers: readonly Marker[]) {
    this.#needles = markers.flatMap(needlesOf);
    this.#finder = new NeedleSearch(this.#needles.map(({ bytes }) => bytes));
    this.#overlap = Math.max(0, ...this.#needles.map((needle) => needle.bytes.length - 1));
  }

  /** What was found so far. */
  report(): ScanReport {
    return { leaks: this.#leaks, files: this.#files, bytes: this.#bytes };
  }

  /** Every file below `folder`; `skip` names subtrees where values are meant to be. */
  async folder(folder: string, skip: (path: string) => boolean = () => false): Promise<void> {
    let entries;
    try {
      entries = await readdir(folder, { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (skip(path)) continue;
      this.#search(Buffer.from(entry.name), `${folder} (a file name)`, 0);
      if (entry.isDirectory()) await this.folder(path, skip);
      else if (entry.isSymbolicLink()) this.#search(Buffer.from(await readlink(path)), path, 0);
      else if (entry.isFile()) await this.file(path);
    }
  }

  /** One file, in bounded pieces. */
  async file(path: string): Promise<void> {
    let handle;
    try {
      handle = await open(path, 'r');
    } catch {
      return;
    }
    this.#files += 1;
    try {
      const buffer = Buffer.alloc(CHUNK_BYTES + this.#overlap);
      let kept = 0;
      for (let position = 0; ;) {
        const { bytesRead } = await handle.read(buffer, kept, CHUNK_BYTES, position);
        if (bytesRead === 0) break;
        const whole = buffer.subarray(0, kept + bytesRead);
        this.#search(whole, path, position - kept);
        this.#bytes += bytesRead;
        position += bytesRead;
        kept = Math.min(this.#overlap, whole.length);
        whole.copy(buffer, 0, whole.length - kept);
      }
    } finally {
      await handle.close();
    }
  }

  /** Command line and environment of one process. */
  async process(pid: number): Promise<void> {
    for (const name of ['cmdline', 'environ']) {
      try {
        const content = await readFile(`/proc/${pid}/${name}`);
        this.#files += 1;
        this.#search(content, `/proc/${pid}/${name}`, 0);
      } catch {
        // Ended meanwhile.
      }
    }
  }

  /** What a process has in its writable memory; needs the right to trace it. */
  async memory(pid: number): Promise<void> {
    this.#files += 1;
    const around = { overlap: this.#overlap, isWritable: true };
    for await (const { address, bytes } of memoryPieces(pid, around)) {
      this.#bytes += bytes.length;
      this.#search(bytes, `/proc/${pid}/mem`, address);
    }
  }

  /** Text that was captured, such as the output of a command. */
  text(content: string | Uint8Array, place: string): void {
    this.#search(Buffer.from(content as string), place, 0);
  }

  #search(content: Buffer, place: string, base: number): void {
    for (const found of this.#finder.find(content)) {
      const needle = this.#needles[found.needle];
      if (needle === undefined) continue;
      const offset = base + found.offset;
      const isKnown = this.#leaks.some(
        (leak) => leak.place === place && leak.offset === offset && leak.form === needle.form,
      );
      if (!isKnown) this.#leaks.push({ marker: needle.marker, form: needle.form, place, offset });
    }
  }
}
