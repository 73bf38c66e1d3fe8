import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';

import { assert } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const CREATE_FILE =
  constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const OPEN_TO_EMPTY = constants.O_WRONLY | constants.O_NOFOLLOW;
const OPEN_TO_READ = constants.O_RDONLY | constants.O_NOFOLLOW;
const WRITABLE_MODE = 0o600;

/** A file to create. */
export interface FileToWrite {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits, 0..0o777. */
  readonly mode: number;
  readonly value: SecretBytes;
}

/**
 * A directory held by its descriptor. Every name is resolved from there, one element deep and
 * without following links, so that nobody who renames a parent can lead a write elsewhere.
 * While it is open its file system cannot be unmounted.
 */
export class HeldDirectory {
  readonly #descriptor: number;
  #isClosed = false;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Opens the directory at `path`; the last element may not be a link. */
  static open(path: string): HeldDirectory {
    return new HeldDirectory(openSync(path, OPEN_DIRECTORY));
  }

  /** Opens a directory in this one. */
  child(name: string): HeldDirectory {
    return HeldDirectory.open(this.#path(name));
  }

  /** Creates a directory with exactly `mode`, or none; fails when the name is there. */
  createChild(name: string, mode: number): HeldDirectory {
    mkdirSync(this.#path(name), { mode: 0o700 });
    let child: HeldDirectory | undefined;
    try {
      child = this.child(name);
      fchmodSync(child.#descriptor, mode);
      return child;
    } catch (error) {
      child?.close();
      this.removeChild(name);
      throw error;
    }
  }

  /** Creates a file with this content, owner and mode; what it could not finish it removes. */
  writeFile(file: FileToWrite): void {
    const descriptor = openSync(this.#path(file.name), CREATE_FILE, WRITABLE_MODE);
    try {
      file.value.use((view) => writeWhole(descriptor, view));
      const { uid, gid } = fstatSync(descriptor);
      if (uid !== file.uid || gid !== file.gid) fchownSync(descriptor, file.uid, file.gid);
      fchmodSync(descriptor, file.mode);
    } catch (error) {
      ftruncateSync(descriptor, 0);
      unlinkSync(this.#path(file.name));
      throw error;
    } finally {
      closeSync(descriptor);
    }
  }

  /** Content of a plain file of at most `sizeMax` bytes; the caller wipes it. */
  readFile(name: string, sizeMax: number): SecretBytes {
    const descriptor = openSync(this.#path(name), OPEN_TO_READ);
    try {
      const stat = fstatSync(descriptor);
      assert(stat.isFile() && stat.size <= sizeMax, 'not a file of ours');
      const value = SecretBytes.allocate(stat.size);
      value.use((view) => {
        let offset = 0;
        while (offset < view.length) {
          const count = readSync(descriptor, view, offset, view.length - offset, offset);
          assert(count > 0, 'the file became shorter');
          offset += count;
        }
      });
      return value;
    } finally {
      closeSync(descriptor);
    }
  }

  /** Makes the content of a plain file vanish for whoever has it open, then unlinks it. */
  destroyFile(name: string): void {
    const path = this.#path(name);
    if (lstatSync(path).isFile()) {
      // An owner without rights of root cannot open a file of mode 0400 for writing.
      chmodSync(path, WRITABLE_MODE);
      const descriptor = openSync(path, OPEN_TO_EMPTY);
      try {
        ftruncateSync(descriptor, 0);
      } finally {
        closeSync(descriptor);
      }
    }
    unlinkSync(path);
  }

  /** Names in this directory, sorted. */
  names(): string[] {
    return readdirSync(`/proc/self/fd/${this.#descriptor}/`).toSorted();
  }

  /** Bytes of all plain files in this directory, in whole pages of `pageBytes`. */
  occupiedBytes(pageBytes: number): number {
    let bytes = 0;
    for (const name of this.names()) {
      const stat = lstatSync(this.#path(name));
      if (stat.isFile()) bytes += Math.ceil(stat.size / pageBytes) * pageBytes;
    }
    return bytes;
  }

  createLink(name: string, target: string): void {
    symlinkSync(target, this.#path(name));
  }

  /** Where the link points; undefined when there is no such link. */
  linkTarget(name: string): string | undefined {
    try {
      return readlinkSync(this.#path(name));
    } catch {
      return undefined;
    }
  }

  /** Renames within this directory, or into `target`; replaces what is there. */
  rename(from: string, to: string, target: HeldDirectory = this): void {
    renameSync(this.#path(from), target.#path(to));
  }

  unlink(name: string): void {
    unlinkSync(this.#path(name));
  }

  removeChild(name: string): void {
    rmdirSync(this.#path(name));
  }

  /** May be called again. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#descriptor);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #path(name: string): string {
    assert(!this.#isClosed, 'the directory is closed');
    const isOneElement = name !== '' && name !== '.' && name !== '..' && !name.includes('/');
    assert(isOneElement, 'a name in a directory is one element');
    return `/proc/self/fd/${this.#descriptor}/${name}`;
  }
}

function writeWhole(descriptor: number, bytes: Uint8Array): void {
  let offset = 0;
  while (offset < bytes.length) {
    offset += writeSync(descriptor, bytes, offset, bytes.length - offset);
  }
}
