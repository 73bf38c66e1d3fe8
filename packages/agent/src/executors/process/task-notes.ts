import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

import { COMPLAINT_BYTES_MAX } from '../../limits.js';
import type { TaskUser } from '../executor.js';
import { parseStat } from './process-table.js';
import type { ProcessIdentity } from './process-table.js';

/** What the executor itself notes when it starts a task. */
export interface SupervisorNote {
  readonly supervisor: ProcessIdentity;
  readonly user: TaskUser;
}

const FILES = ['failed', 'started', 'exit', 'supervisor.json', 'complaint'] as const;

/** The notes about a running task in its folder: ours, and those that its supervisor leaves. */
export class TaskNotes {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get folder(): string {
    return this.#folder;
  }

  /** Where complaints of the tools go that prepare the task. */
  get complaintPath(): string {
    return `${this.#folder}/complaint`;
  }

  clear(): void {
    for (const name of FILES) rmSync(`${this.#folder}/${name}`, { force: true });
  }

  writeSupervisor(note: SupervisorNote): void {
    const path = `${this.#folder}/supervisor.json`;
    writeFileSync(`${path}.tmp`, JSON.stringify(note), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  }

  readSupervisor(): SupervisorNote | undefined {
    const text = this.#read('supervisor.json');
    if (text === undefined) return undefined;
    try {
      const note = JSON.parse(text) as SupervisorNote;
      const numbers = [note.supervisor.pid, note.supervisor.startTime, note.user.uid];
      return numbers.every((number) => Number.isSafeInteger(number)) ? note : undefined;
    } catch {
      return undefined;
    }
  }

  /** The main process, once it was started. */
  readStarted(): ProcessIdentity | undefined {
    const text = this.#read('started');
    const stat = text === undefined ? undefined : parseStat(text);
    return stat === undefined ? undefined : { pid: stat.pid, startTime: stat.startTime };
  }

  /** The status of the main process, once it has ended. */
  readExit(): number | undefined {
    const text = this.#read('exit')?.trim();
    return text !== undefined && /^[0-9]{1,3}$/.test(text) ? Number(text) : undefined;
  }

  /** The step that failed, with what the tool said; undefined: none. */
  readFailure(): string | undefined {
    const step = this.#read('failed')?.trim();
    if (step === undefined) return undefined;
    const complaint = this.readComplaint();
    return complaint === '' ? step : `${step}: ${complaint}`;
  }

  readComplaint(): string {
    const text = this.#read('complaint') ?? '';
    return text.slice(0, COMPLAINT_BYTES_MAX).trim().replaceAll(/\s+/g, ' ');
  }

  #read(name: string): string | undefined {
    const path = `${this.#folder}/${name}`;
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  }
}
