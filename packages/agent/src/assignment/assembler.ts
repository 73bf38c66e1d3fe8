import { ConclaveError, isId, limits } from '@conclave/kernel';
import type { FrameOpener, SecretBytes } from '@conclave/sealed';
import type { AssignmentChunk, SecretPart } from '@conclave/wire';

import {
  ASSIGNMENT_CHUNKS_MAX,
  HELD_BYTES_MAX,
  HELD_VERSIONS_MAX,
  TASK_COUNT_MAX,
} from '../limits.js';
import { versionKey } from './assigned-task.js';
import type { AssignedTask } from './assigned-task.js';
import { checkTask } from './check-task.js';
import { ValueParts } from './value-parts.js';

/** Where a view of the cluster stands; never goes back. */
export interface Position {
  readonly epoch: number;
  readonly index: number;
}

/** A whole, checked assignment. Whoever takes it owns the values. */
export interface Assignment {
  readonly sequence: number;
  readonly position: Position;
  /** Everything that the node has to do about, after this assignment. */
  readonly tasks: ReadonlyMap<string, AssignedTask>;
  /** New values by `id@version`. */
  readonly values: ReadonlyMap<string, SecretBytes>;
}

interface Draft {
  readonly head: AssignmentChunk;
  nextChunk: number;
  readonly tasks: Map<string, AssignedTask>;
  readonly changed: Set<string>;
  readonly values: Map<string, SecretBytes>;
  readonly heldNames: Set<string>;
  readonly withdrawn: Set<string>;
  bytes: number;
  /** Users of each version, once the first value has come: then no task may change any more. */
  users: Map<string, string[]> | undefined;
}

/**
 * Puts the chunks of one session together into assignments, and checks each as a whole before
 * anything of it is used: order, limits, positions, tasks, and that every version that a task needs
 * was sent or is held. After an error it refuses everything: the session is over.
 */
export class AssignmentAssembler {
  readonly #opener: FrameOpener;
  readonly #parts: ValueParts;
  readonly #isHeld: (key: string) => boolean;
  #tasks = new Map<string, AssignedTask>();
  #sequence = 0;
  #position: Position;
  #draft: Draft | undefined;
  #isBroken = false;

  constructor(options: {
    readonly opener: FrameOpener;
    /** The newest position that this agent has seen. */
    readonly position: Position;
    readonly isHeld: (key: string) => boolean;
  }) {
    this.#opener = options.opener;
    this.#parts = new ValueParts(options.opener);
    this.#position = options.position;
    this.#isHeld = options.isHeld;
  }

  /**
   * Takes the next chunk; the assignment when it was the last one.
   * @throws CV_PROTOCOL, CV_ARGUMENT_INVALID, CV_LIMIT_EXCEEDED, CV_ENVELOPE_FORGED: refused
   */
  add(chunk: AssignmentChunk): Assignment | undefined {
    if (this.#isBroken) throw refused('the session has failed before');
    try {
      const draft = this.#draftFor(chunk);
      this.#addTasks(draft, chunk);
      this.#addSecrets(draft, chunk);
      return chunk.last ? this.#finish(draft) : undefined;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Wipes what was not finished. */
  close(): void {
    this.#isBroken = true;
    this.#parts.wipe();
    for (const value of this.#draft?.values.values() ?? []) value.wipe();
    this.#draft = undefined;
    this.#opener.wipe();
  }

  #draftFor(chunk: AssignmentChunk): Draft {
    this.#draft ??= this.#startDraft(chunk);
    const { head, nextChunk } = this.#draft;
    const isSame =
      chunk.kind === head.kind &&
      chunk.appliesTo === head.appliesTo &&
      chunk.resultsIn === head.resultsIn &&
      chunk.index === head.index &&
      chunk.clusterEpoch === head.clusterEpoch;
    if (!isSame || chunk.chunk !== nextChunk) throw refused('chunks are out of order');
    if (nextChunk >= ASSIGNMENT_CHUNKS_MAX) throw tooMuch('it has too many chunks');
    const lists = [chunk.tasks, chunk.tasksRemoved, chunk.secrets, chunk.secretsRemoved];
    if (lists.some((list) => list.length > limits.ASSIGNMENT_ITEMS_MAX)) {
      throw tooMuch('a chunk has too many items');
    }
    this.#draft.nextChunk += 1;
    return this.#draft;
  }

  #startDraft(head: AssignmentChunk): Draft {
    const isComplete = head.kind === 'complete';
    if (!isComplete && head.kind !== 'incremental') throw refused('its kind is unknown');
    const base = isComplete ? 0 : this.#sequence;
    if (head.appliesTo !== base || (!isComplete && this.#sequence === 0)) {
      throw refused('it builds on another one');
    }
    if (head.resultsIn !== this.#sequence + 1) throw refused('its sequence is not the next one');
    const { epoch, index } = this.#position;
    const isBack = head.clusterEpoch < epoch || (head.clusterEpoch === epoch && head.index < index);
    if (isBack) throw refused('it goes back behind what this agent has seen');
    return {
      head,
      nextChunk: 0,
      tasks: new Map(isComplete ? [] : this.#tasks),
      changed: new Set(),
      values: new Map(),
      heldNames: new Set(),
      withdrawn: new Set(),
      bytes: 0,
      users: undefined,
    };
  }

  #addTasks(draft: Draft, chunk: AssignmentChunk): void {
    const isChanging = chunk.tasks.length + chunk.tasksRemoved.length > 0;
    if (isChanging && draft.users !== undefined) throw refused('tasks come after values');
    const once = (id: string): void => {
      if (draft.changed.has(id)) throw refused('it names a task twice');
      draft.changed.add(id);
    };
    for (const message of chunk.tasks) {
      once(message.id);
      draft.tasks.set(message.id, checkTask(message));
    }
    for (const id of chunk.tasksRemoved) {
      if (!isId(id)) throw refused('a task id is malformed');
      once(id);
      draft.tasks.delete(id);
    }
    if (draft.tasks.size > TASK_COUNT_MAX) throw tooMuch(`over ${TASK_COUNT_MAX} tasks`);
  }

  #addSecrets(draft: Draft, chunk: AssignmentChunk): void {
    for (const name of chunk.secretsRemoved) draft.withdrawn.add(versionKey(name));
    for (const part of chunk.secrets) {
      if (part.held) this.#addHeld(draft, part);
      else this.#addPart(draft, part);
      if (draft.values.size + draft.heldNames.size > HELD_VERSIONS_MAX) {
        throw tooMuch(`over ${HELD_VERSIONS_MAX} versions`);
      }
    }
  }

  #addHeld(draft: Draft, part: SecretPart): void {
    const key = versionKey(part);
    if (this.#parts.isOpen || !this.#isHeld(key)) throw refused('it takes a version for held');
    draft.heldNames.add(key);
  }

  #addPart(draft: Draft, part: SecretPart): void {
    const key = versionKey(part);
    if (draft.values.has(key)) throw refused('it sends a version twice');
    draft.users ??= usersOf(draft.tasks);
    const taskIds = draft.users.get(key);
    if (taskIds === undefined) throw refused('it sends a value that no task uses');
    const { index, clusterEpoch } = draft.head;
    const { secretId, version } = part;
    const value = this.#parts.add(part, { index, clusterEpoch, secretId, version, taskIds });
    if (value === undefined) return;
    draft.values.set(key, value);
    draft.bytes += value.size;
    if (draft.bytes > HELD_BYTES_MAX) throw tooMuch(`over ${HELD_BYTES_MAX} bytes of values`);
  }

  #finish(draft: Draft): Assignment {
    if (this.#parts.isOpen) throw refused('a value is cut off');
    for (const key of (draft.users ?? usersOf(draft.tasks)).keys()) {
      const isThere = draft.values.has(key) || this.#isHeld(key);
      if (!isThere) throw refused('a version that a task uses was not sent');
      if (draft.withdrawn.has(key)) throw refused('it withdraws a version that a task uses');
    }
    const { resultsIn, index, clusterEpoch } = draft.head;
    this.#draft = undefined;
    this.#tasks = draft.tasks;
    this.#sequence = resultsIn;
    this.#position = { epoch: clusterEpoch, index };
    return {
      sequence: resultsIn,
      position: this.#position,
      tasks: draft.tasks,
      values: draft.values,
    };
  }
}

function usersOf(tasks: ReadonlyMap<string, AssignedTask>): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const [taskId, task] of tasks) {
    if (task.kind === 'end') continue;
    // One secret at two targets of a task is one use.
    for (const key of new Set(task.files.map(versionKey))) {
      const known = users.get(key);
      if (known === undefined) users.set(key, [taskId]);
      else known.push(taskId);
    }
  }
  return users;
}

const refused = (reason: string): ConclaveError =>
  new ConclaveError('CV_PROTOCOL', `assignment refused: ${reason}`);

const tooMuch = (reason: string): ConclaveError =>
  new ConclaveError('CV_LIMIT_EXCEEDED', `assignment refused: ${reason}`);
