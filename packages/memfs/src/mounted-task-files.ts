import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';

import { assert, ConclaveError, isConclaveError, isId, required } from '@conclave/kernel';
import type { Clock, Logger } from '@conclave/kernel';
import type { SecretBytes } from '@conclave/sealed';

import {
  checkFiles,
  currentGeneration,
  destroyGeneration,
  dropOtherLinks,
  generationName,
  generationNumbers,
  occupiedBytes,
  switchTo,
} from './generations.js';
import { HeldDirectory } from './held-directory.js';
import type { FileToWrite } from './held-directory.js';
import type { Leftover } from './leftovers.js';
import {
  PAGE_BYTES,
  RETIRED_AGE_MS_MAX,
  RETIRED_BYTES_MAX,
  RETIRED_GENERATIONS_MAX,
  SLACK_BYTES,
  TASK_FILES_BYTES_MAX,
} from './limits.js';
import type { Medium } from './medium.js';
import type { MemoryAreas } from './memory-areas.js';
import type { TaskFile, TaskFiles } from './task-files.js';

const VIEW = 'view';
const OLD = 'old';

interface Retired {
  readonly name: string;
  readonly bytes: number;
  readonly atMs: number;
}

interface Entry {
  generation: number;
  bytes: number;
  capacityBytes: number;
  /** Oldest first. */
  retired: Retired[];
}

/** The files of tasks in areas of their own below the run folder. One writer at a time per task. */
export class MountedTaskFiles implements TaskFiles {
  readonly #areas: MemoryAreas;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();

  constructor(options: {
    readonly areas: MemoryAreas;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#areas = options.areas;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  get medium(): Medium {
    return this.#areas.medium;
  }

  async create(taskId: string): Promise<void> {
    const folder = this.taskDir(taskId);
    assert(!this.#entries.has(taskId), 'the files of the task exist');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await this.#areas.create(this.#filesPath(taskId), SLACK_BYTES);
    const root = HeldDirectory.open(this.#filesPath(taskId));
    try {
      root.createChild(VIEW, 0o755).close();
      root.createChild(OLD, 0o700).close();
    } finally {
      root.close();
    }
    this.#entries.set(taskId, {
      generation: 0,
      bytes: 0,
      capacityBytes: SLACK_BYTES,
      retired: [],
    });
  }

  async write(
    taskId: string,
    files: readonly TaskFile[],
    options: { readonly emptiesReplaced: boolean } = { emptiesReplaced: false },
  ): Promise<number> {
    const entry = this.#entry(taskId);
    const set = files.map(({ target, ...rest }): FileToWrite => ({ name: target, ...rest }));
    checkFiles(set);
    const bytes = occupiedBytes(set);
    this.#inside(taskId, ({ old }) => this.#reclaim(entry, old));
    await this.#reserve(taskId, entry, bytes);
    const number = entry.generation + 1;
    this.#inside(taskId, ({ view, old }) => {
      try {
        switchTo(view, number, set);
      } catch (error) {
        throw writeError(error);
      }
      // At once: whatever fails from here on, this is the generation that the task sees.
      entry.generation = number;
      entry.bytes = bytes;
      dropOtherLinks(view, set);
      this.#retireOthers(entry, view, old);
      if (options.emptiesReplaced) destroyRetired(entry, old, () => true);
    });
    return number;
  }

  async remove(
    taskId: string,
    options: { readonly keepsOutput: boolean } = { keepsOutput: false },
  ): Promise<readonly Leftover[]> {
    const folder = this.taskDir(taskId);
    if (!existsSync(folder)) return [];
    const path = this.#filesPath(taskId);
    if (this.#hasLayout(path)) this.#inside(taskId, destroyAll);
    this.#entries.delete(taskId);
    const leftovers = existsSync(path) ? await this.#areas.remove(path) : [];
    if (!options.keepsOutput) {
      await this.#removeOutput(taskId);
      rmSync(folder, { recursive: true, force: true });
    }
    if (leftovers.length > 0) {
      const [first] = leftovers;
      this.#logger.warn('a copy of a mount outlived its task', {
        taskId,
        count: leftovers.length,
        pid: first?.pid,
      });
    }
    return leftovers;
  }

  async adopt(taskId: string): Promise<readonly string[] | undefined> {
    const path = this.#filesPath(taskId);
    if (!existsSync(path) || !this.#areas.isArea(path) || !this.#hasLayout(path)) return undefined;
    const entry: Entry = { generation: 0, bytes: 0, capacityBytes: 0, retired: [] };
    const targets = this.#inside(taskId, ({ view, old }) => {
      entry.generation = currentGeneration(view);
      if (entry.generation === 0) return undefined;
      for (const number of generationNumbers(view)) {
        // A write was cut off before or after its switch.
        if (number !== entry.generation) destroyGeneration(view, generationName(number));
      }
      for (const number of generationNumbers(old)) destroyGeneration(old, generationName(number));
      const name = generationName(entry.generation);
      entry.bytes = bytesOf(view, name);
      const current = view.child(name);
      try {
        return current.names();
      } finally {
        current.close();
      }
    });
    if (targets === undefined) return undefined;
    // Nothing is reserved: the next write does that, and a task that runs needs no room.
    this.#entries.set(taskId, entry);
    return targets;
  }

  read(taskId: string, target: string): SecretBytes {
    const { generation } = this.#entry(taskId);
    return this.#inside(taskId, ({ view }) => {
      const current = view.child(generationName(generation));
      try {
        return current.readFile(target, TASK_FILES_BYTES_MAX);
      } finally {
        current.close();
      }
    });
  }

  viewPath(taskId: string): string {
    return `${this.#filesPath(taskId)}/${VIEW}`;
  }

  isViewMount(taskId: string, line: { readonly root: string; readonly source: string }): boolean {
    // The root tells the view, which only the task's own namespace has, from copies of the mount
    // that any new namespace has for a moment.
    const isOwnMount = line.source.endsWith(`-${taskId}-files`) && line.root === `/${VIEW}`;
    return isOwnMount || line.root.includes(`/tasks/${taskId}/files/${VIEW}`);
  }

  async createOutput(taskId: string, sizeBytes: number): Promise<string> {
    const path = this.#outputPath(taskId);
    if (!this.#areas.isArea(path)) await this.#areas.create(path, sizeBytes);
    return path;
  }

  isSwapSafe(): boolean {
    return this.#areas.isSwapSafe();
  }

  taskDir(taskId: string): string {
    assert(isId(taskId), 'a task id has the form of an id');
    return `${this.#areas.tasksDir}/${taskId}`;
  }

  list(): string[] {
    return readdirSync(this.#areas.tasksDir).filter(isId).toSorted();
  }

  /** Empties old generations that are too old, too many or too large together. */
  #reclaim(entry: Entry, old: HeldDirectory): void {
    const oldestMs = this.#clock.monotonic() - RETIRED_AGE_MS_MAX;
    destroyRetired(entry, old, ({ atMs }) => {
      const isFull = entry.retired.length >= RETIRED_GENERATIONS_MAX;
      return isFull || retiredBytes(entry) > RETIRED_BYTES_MAX || atMs <= oldestMs;
    });
  }

  /**
   * Takes every generation but the shown one out of the task's sight; for readers that are inside
   * it stays alive. More than one when an earlier write failed on the way.
   */
  #retireOthers(entry: Entry, view: HeldDirectory, old: HeldDirectory): void {
    for (const number of generationNumbers(view)) {
      if (number === entry.generation) continue;
      const name = generationName(number);
      const bytes = bytesOf(view, name);
      view.rename(name, name, old);
      entry.retired.push({ name, bytes, atMs: this.#clock.monotonic() });
    }
  }

  /** Room for another generation beside the current and the replaced ones, and for its successor. */
  async #reserve(taskId: string, entry: Entry, bytes: number): Promise<void> {
    const held = entry.bytes + retiredBytes(entry);
    if (held + bytes > TASK_FILES_BYTES_MAX) {
      throw new ConclaveError(
        'CV_LIMIT_EXCEEDED',
        `the files of a task may take ${TASK_FILES_BYTES_MAX} bytes, replaced ones included`,
      );
    }
    const needed = held + bytes + SLACK_BYTES;
    if (needed <= entry.capacityBytes) return;
    // A limit takes no memory; a generous one spares most writes the mount tool.
    const capacity = 4 * needed;
    await this.#areas.resize(this.#filesPath(taskId), capacity);
    entry.capacityBytes = capacity;
  }

  #inside<T>(taskId: string, work: (held: Held) => T): T {
    const root = HeldDirectory.open(this.#filesPath(taskId));
    let view: HeldDirectory | undefined;
    let old: HeldDirectory | undefined;
    try {
      view = root.child(VIEW);
      old = root.child(OLD);
      return work({ root, view, old });
    } finally {
      old?.close();
      view?.close();
      root.close();
    }
  }

  #hasLayout(path: string): boolean {
    return existsSync(`${path}/${VIEW}`) && existsSync(`${path}/${OLD}`);
  }

  async #removeOutput(taskId: string): Promise<void> {
    const path = this.#outputPath(taskId);
    if (!existsSync(path)) return;
    for (const name of readdirSync(path)) rmSync(`${path}/${name}`, { recursive: true });
    await this.#areas.remove(path);
  }

  #entry(taskId: string): Entry {
    return required(this.#entries.get(taskId), 'the files of the task');
  }

  #filesPath(taskId: string): string {
    return `${this.taskDir(taskId)}/files`;
  }

  #outputPath(taskId: string): string {
    return `${this.taskDir(taskId)}/output`;
  }
}

interface Held {
  readonly root: HeldDirectory;
  readonly view: HeldDirectory;
  readonly old: HeldDirectory;
}

function destroyAll({ root, view, old }: Held): void {
  for (const directory of [view, old]) {
    for (const number of generationNumbers(directory)) {
      destroyGeneration(directory, generationName(number));
    }
    for (const link of directory.names()) directory.unlink(link);
  }
  root.removeChild(VIEW);
  root.removeChild(OLD);
}

/** Empties the oldest generations of `old` as long as `isDue` says so of the oldest. */
function destroyRetired(
  entry: Entry,
  old: HeldDirectory,
  isDue: (oldest: Retired) => boolean,
): void {
  for (;;) {
    const [oldest] = entry.retired;
    if (oldest === undefined || !isDue(oldest)) return;
    destroyGeneration(old, oldest.name);
    entry.retired.shift();
  }
}

function bytesOf(parent: HeldDirectory, name: string): number {
  const directory = parent.child(name);
  try {
    return directory.occupiedBytes(PAGE_BYTES);
  } finally {
    directory.close();
  }
}

function retiredBytes(entry: Entry): number {
  let bytes = 0;
  for (const generation of entry.retired) bytes += generation.bytes;
  return bytes;
}

function writeError(error: unknown): unknown {
  if (isConclaveError(error)) return error;
  const code = (error as { code?: unknown }).code;
  if (code === 'ENOSPC') {
    return new ConclaveError('CV_LIMIT_EXCEEDED', 'the memory file system of the task is full');
  }
  if (code === 'EPERM') {
    return new ConclaveError(
      'CV_MOUNT_DENIED',
      'this agent may not give a file to another user or group',
      { hint: 'Run the agent as root, or leave uid and gid of the binding out.' },
    );
  }
  return error;
}
