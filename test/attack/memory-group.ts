import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What is left in memory when processes are pushed out to swap. */
export const SQUEEZED_PART = 0.4;

/** A control group of memory, of either version. */
interface Version {
  readonly root: string;
  readonly limit: string;
  /** The line of `memory.stat` about memory that belongs to no file. */
  readonly anonymous: string;
  readonly none: string;
}

const ONE: Version = {
  root: '/sys/fs/cgroup/memory',
  limit: 'memory.limit_in_bytes',
  anonymous: 'rss',
  none: '-1',
};
const TWO: Version = {
  root: '/sys/fs/cgroup',
  limit: 'memory.high',
  anonymous: 'anon',
  none: 'max',
};

/** Processes whose memory can be pushed out to swap. */
export class MemoryGroup {
  readonly #version: Version;
  readonly #folder: string;

  private constructor(version: Version, folder: string) {
    this.#version = version;
    this.#folder = folder;
  }

  static async create(name: string): Promise<MemoryGroup> {
    const version = existsSync(join(ONE.root, ONE.limit)) ? ONE : TWO;
    if (version === TWO) {
      await writeFile(join(TWO.root, 'cgroup.subtree_control'), '+memory');
    }
    const folder = join(version.root, name);
    await mkdir(folder, { recursive: true });
    return new MemoryGroup(version, folder);
  }

  /** In front of a command: it and all that it starts belong to this group. */
  get prefix(): readonly string[] {
    const enter = `echo $$ > ${join(this.#folder, 'cgroup.procs')} && exec "$@"`;
    return ['sh', '-c', enter, 'sh'];
  }

  /** Pushes out what is beyond `part` of the memory of its processes; answers how many bytes. */
  async squeeze(part: number): Promise<number> {
    const { anonymous, limit, none } = this.#version;
    const inUse = async (): Promise<number> => {
      const statistics = await readFile(join(this.#folder, 'memory.stat'), 'utf8');
      return Number(new RegExp(`^${anonymous} (\\d+)$`, 'm').exec(statistics)?.[1]);
    };
    const before = await inUse();
    await writeFile(join(this.#folder, limit), String(Math.floor(before * part)));
    const after = await inUse();
    await writeFile(join(this.#folder, limit), none);
    return before - after;
  }

  /** Once all of its processes have ended. */
  async close(): Promise<void> {
    await rmdir(this.#folder).catch(() => undefined);
  }
}
