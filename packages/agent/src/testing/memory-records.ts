import type { Position } from '../assignment/assembler.js';
import type { TaskRecord, TaskRecords } from '../tasks/task-record.js';

/** Records in the memory of a simulation, as text, so that nothing is shared by accident. */
export class MemoryRecords implements TaskRecords {
  readonly #records = new Map<string, string>();
  #position: Position | undefined;

  /** Everything that is kept, as text: for tests that look for what must not be there. */
  text(): string {
    return [...this.#records.values()].join('\n');
  }

  load(): TaskRecord[] {
    return [...this.#records.values()].map((text) => JSON.parse(text) as TaskRecord);
  }

  save(record: TaskRecord): void {
    this.#records.set(record.taskId, JSON.stringify(record));
  }

  remove(taskId: string): void {
    this.#records.delete(taskId);
  }

  loadPosition(): Position | undefined {
    return this.#position;
  }

  savePosition(position: Position): void {
    this.#position = position;
  }
}
