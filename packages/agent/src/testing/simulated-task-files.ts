import { assert, ConclaveError, required } from '@conclave/kernel';
import type { Leftover, Medium, TaskFile, TaskFiles } from '@conclave/memfs';
import type { SecretBytes } from '@conclave/sealed';

interface SimulatedFile {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly value: SecretBytes;
}

/** Files of tasks in the memory of a simulation; they outlive an agent that is only dropped. */
export class SimulatedTaskFiles implements TaskFiles {
  readonly medium: Medium = {
    kind: 'ramfs',
    isSwapSafe: true,
    isSwappable: false,
    device: '0:0',
    mountPoint: '/simulated',
    root: '/',
  };
  /** The next write fails so many times. */
  failingWrites = 0;
  /** The next creation fails so many times. */
  failingCreates = 0;
  readonly #tasks = new Map<string, { generation: number; files: Map<string, SimulatedFile> }>();

  create(taskId: string): Promise<void> {
    if (this.failingCreates > 0) {
      this.failingCreates -= 1;
      return Promise.reject(new ConclaveError('CV_MOUNT_DENIED', 'simulated: no mount'));
    }
    assert(!this.#tasks.has(taskId), 'the files of the task exist');
    this.#tasks.set(taskId, { generation: 0, files: new Map() });
    return Promise.resolve();
  }

  write(taskId: string, files: readonly TaskFile[]): Promise<number> {
    if (this.failingWrites > 0) {
      this.failingWrites -= 1;
      return Promise.reject(new ConclaveError('CV_LIMIT_EXCEEDED', 'simulated: no room'));
    }
    const task = required(this.#tasks.get(taskId), 'the files of the task');
    const next = new Map(
      files.map(({ target, value, ...rest }) => [target, { ...rest, value: value.copy() }]),
    );
    wipe(task.files);
    task.files = next;
    task.generation += 1;
    return Promise.resolve(task.generation);
  }

  remove(taskId: string): Promise<readonly Leftover[]> {
    wipe(this.#tasks.get(taskId)?.files ?? new Map<string, SimulatedFile>());
    this.#tasks.delete(taskId);
    return Promise.resolve([]);
  }

  adopt(taskId: string): Promise<readonly string[] | undefined> {
    const task = this.#tasks.get(taskId);
    const isWritten = task !== undefined && task.generation > 0;
    return Promise.resolve(isWritten ? [...task.files.keys()] : undefined);
  }

  read(taskId: string, target: string): SecretBytes {
    const file = this.#tasks.get(taskId)?.files.get(target);
    return required(file, 'a file of the task').value.copy();
  }

  /** Names, owners and modes of the files of a task; undefined: it has none. */
  inspect(taskId: string): ReadonlyMap<string, SimulatedFile> | undefined {
    return this.#tasks.get(taskId)?.files;
  }

  viewPath(taskId: string): string {
    return `/simulated/${taskId}/view`;
  }

  isViewMount(): boolean {
    return false;
  }

  createOutput(taskId: string): Promise<string> {
    return Promise.resolve(`/simulated/${taskId}/output`);
  }

  taskDir(taskId: string): string {
    return `/simulated/${taskId}`;
  }

  isSwapSafe(): boolean {
    return true;
  }

  list(): string[] {
    return [...this.#tasks.keys()].toSorted();
  }
}

function wipe(files: ReadonlyMap<string, SimulatedFile>): void {
  for (const { value } of files.values()) value.wipe();
}
