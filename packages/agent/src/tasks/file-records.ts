import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';

import { assert, isId } from '@conclave/kernel';

import type { Position } from '../assignment/assembler.js';
import { isPosition, isTaskRecord } from './record-shape.js';
import type { TaskRecord, TaskRecords } from './task-record.js';

const FORMAT = 2;

/**
 * Records as small files in a folder of the run folder, which is in memory. Those of another start
 * of the host, of another member that this host was, of another format, of another shape or damaged ones
 * count as absent: their tasks are wiped.
 */
export class FileRecords implements TaskRecords {
  readonly #folder: string;
  readonly #owner: string;

  constructor(options: {
    /** Made when missing; its parent exists. */
    readonly folder: string;
    /** Identifies this start of the host. */
    readonly bootId: string;
    /** The member that the records are of. */
    readonly clusterId: string;
    readonly nodeId: string;
  }) {
    this.#folder = options.folder;
    this.#owner = [options.bootId, options.clusterId, options.nodeId].join(' ');
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  load(): TaskRecord[] {
    const records: TaskRecord[] = [];
    for (const name of readdirSync(this.#folder).toSorted()) {
      const taskId = name.slice(0, -'.json'.length);
      if (!isId(taskId)) continue;
      const record = this.#read(name);
      if (isTaskRecord(record) && record.taskId === taskId) records.push(record);
      else this.remove(taskId);
    }
    return records;
  }

  save(record: TaskRecord): void {
    assert(isId(record.taskId), 'a task id has the form of an id');
    this.#write(`${record.taskId}.json`, record);
  }

  remove(taskId: string): void {
    rmSync(`${this.#folder}/${taskId}.json`, { force: true });
  }

  loadPosition(): Position | undefined {
    const position = this.#read('position');
    return isPosition(position) ? position : undefined;
  }

  savePosition(position: Position): void {
    this.#write('position', position);
  }

  /** Removes all of it, for a host that is no member any more. */
  destroy(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #write(name: string, content: object): void {
    const path = `${this.#folder}/${name}`;
    const text = JSON.stringify({ format: FORMAT, owner: this.#owner, content });
    writeFileSync(`${path}.next`, text, { mode: 0o600 });
    renameSync(`${path}.next`, path);
  }

  #read(name: string): unknown {
    const path = `${this.#folder}/${name}`;
    if (!existsSync(path)) return undefined;
    try {
      const file = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
      const isOurs = file['format'] === FORMAT && file['owner'] === this.#owner;
      return isOurs ? file['content'] : undefined;
    } catch {
      return undefined;
    }
  }
}
