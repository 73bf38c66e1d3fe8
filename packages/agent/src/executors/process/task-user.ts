import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { TASK_UID_MAX, TASK_UID_MIN } from '../../limits.js';
import type { TaskUser } from '../executor.js';

const USER = /^(0|[1-9][0-9]{0,9})(?::(0|[1-9][0-9]{0,9}))?$/;
const ID_MAX = 0xffff_fffe;

/** Who the agent itself is. */
export interface AgentUser {
  readonly uid: number;
  readonly gid: number;
}

/** Gives tasks their users; a uid of the range belongs to one task until it is released. */
export class TaskUsers {
  readonly #agent: AgentUser;
  readonly #random: Random;
  readonly #uidMin: number;
  readonly #uidMax: number;
  readonly #taken = new Map<number, string>();

  constructor(options: {
    readonly agent: AgentUser;
    readonly random: Random;
    /** Range of uids that nobody else on the host uses. */
    readonly uidMin?: number;
    readonly uidMax?: number;
  }) {
    this.#agent = options.agent;
    this.#random = options.random;
    this.#uidMin = options.uidMin ?? TASK_UID_MIN;
    this.#uidMax = options.uidMax ?? TASK_UID_MAX;
  }

  /**
   * The user of a task: the one that its service names, else a free one of the range, else (without
   * the rights of root) the agent's own.
   * @throws CV_ARGUMENT_INVALID, CV_UNSUPPORTED for a user that this agent cannot become,
   * CV_LIMIT_EXCEEDED when the range is used up
   */
  assign(taskId: string, wanted: string): TaskUser {
    if (this.#agent.uid !== 0) return this.#own(wanted);
    return wanted === '' ? this.#free(taskId) : parseUser(wanted);
  }

  /** Notes a user that an adopted task has already. */
  adopt(taskId: string, user: TaskUser): void {
    if (user.isExclusive) this.#taken.set(user.uid, taskId);
  }

  /** Gives the user of a task to no other one: something of the task still runs. */
  withhold(taskId: string): void {
    for (const [uid, owner] of this.#taken) if (owner === taskId) this.#taken.set(uid, '');
  }

  release(taskId: string): void {
    for (const [uid, owner] of this.#taken) if (owner === taskId) this.#taken.delete(uid);
  }

  #own(wanted: string): TaskUser {
    const { uid, gid } = this.#agent;
    const own: TaskUser = { uid, gid, isExclusive: false };
    if (wanted === '') return own;
    const user = parseUser(wanted);
    const isSame = user.uid === uid && (user.gid === gid || !wanted.includes(':'));
    if (isSame) return own;
    throw new ConclaveError(
      'CV_UNSUPPORTED',
      `an agent that runs as uid ${uid} cannot run a task as another user`,
      { hint: 'Run the agent as root, or leave the user of the service out.' },
    );
  }

  #free(taskId: string): TaskUser {
    const count = this.#uidMax - this.#uidMin + 1;
    const first = this.#random.below(count);
    for (let step = 0; step < count; step += 1) {
      const uid = this.#uidMin + ((first + step) % count);
      if (this.#taken.has(uid)) continue;
      this.#taken.set(uid, taskId);
      return { uid, gid: uid, isExclusive: true };
    }
    throw new ConclaveError('CV_LIMIT_EXCEEDED', `all ${count} users for tasks are in use`);
  }
}

/**
 * Reads "uid[:gid]"; without a gid it is the uid.
 * @throws CV_ARGUMENT_INVALID
 */
export function parseUser(text: string): TaskUser {
  const [, uidText, gidText] = USER.exec(text) ?? [];
  const uid = Number(uidText);
  const gid = Number(gidText ?? uidText);
  if (uidText === undefined || uid > ID_MAX || gid > ID_MAX) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'user must be "uid" or "uid:gid" in numbers');
  }
  return { uid, gid, isExclusive: false };
}
