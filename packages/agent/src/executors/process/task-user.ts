import { ConclaveError, limits } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import type { TaskPlan, TaskUser } from '../executor.js';
import { readHostAccounts } from './host-accounts.js';
import type { HostAccounts } from './host-accounts.js';

const USER = /^(0|[1-9][0-9]{0,9})(?::(0|[1-9][0-9]{0,9}))?$/;
const ID_MAX = 0xffff_fffe;

/** Who the agent itself is. */
export interface AgentUser {
  readonly uid: number;
  readonly gid: number;
}

/** What {@link TaskUsers} needs. */
export interface TaskUsersOptions {
  readonly agent: AgentUser;
  readonly random: Random;
  /** Range of uids that nobody else on the host uses. */
  readonly uidMin?: number;
  readonly uidMax?: number;
  /** Users ("uid" or "uid:gid") that services may name although they are not theirs alone. */
  readonly allowedUsers?: readonly string[];
  /** Whom the host knows; asked for each named user. */
  readonly accounts?: () => HostAccounts;
}

type Task = Pick<TaskPlan, 'taskId' | 'serviceName' | 'user'>;

/**
 * Gives tasks their users; a uid of the range belongs to one task until it is released. A service
 * may name a user that is nobody else's: whoever becomes a user of the host, or the one of another
 * task, reads what that one may read.
 */
export class TaskUsers {
  readonly #agent: AgentUser;
  readonly #random: Random;
  readonly #uidMin: number;
  readonly #uidMax: number;
  readonly #allowed: ReadonlySet<string>;
  readonly #accounts: () => HostAccounts;
  readonly #taken = new Map<number, string>();
  readonly #named = new Map<string, { readonly uid: number; readonly serviceName: string }>();

  constructor(options: TaskUsersOptions) {
    this.#agent = options.agent;
    this.#random = options.random;
    this.#uidMin = options.uidMin ?? limits.TASK_UID_MIN;
    this.#uidMax = options.uidMax ?? limits.TASK_UID_MAX;
    this.#allowed = new Set(options.allowedUsers?.map((text) => textOf(parseUser(text))));
    this.#accounts = options.accounts ?? readHostAccounts;
  }

  /**
   * The user of a task: the one that its service names, else a free one of the range, else (without
   * the rights of root) the agent's own.
   * @throws CV_ARGUMENT_INVALID, CV_UNSUPPORTED for a user that this agent cannot or may not
   * become, CV_LIMIT_EXCEEDED when the range is used up
   */
  assign(task: Task): TaskUser {
    if (this.#agent.uid !== 0) return this.#own(task.user);
    if (task.user === '') return this.#free(task.taskId);
    const user = parseUser(task.user);
    this.#checkNamed(user, task.serviceName);
    this.adopt(task, user);
    return user;
  }

  /** Notes a user that a task has already. */
  adopt({ taskId, serviceName }: Task, user: TaskUser): void {
    if (user.isExclusive) this.#taken.set(user.uid, taskId);
    else this.#named.set(taskId, { uid: user.uid, serviceName });
  }

  /** Gives the user of a task to no other one: something of the task still runs. */
  withhold(taskId: string): void {
    for (const [uid, owner] of this.#taken) if (owner === taskId) this.#taken.set(uid, '');
  }

  release(taskId: string): void {
    this.#named.delete(taskId);
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

  #checkNamed(user: TaskUser, serviceName: string): void {
    const isOfTasks = (id: number): boolean => id >= this.#uidMin && id <= this.#uidMax;
    if (isOfTasks(user.uid) || isOfTasks(user.gid)) {
      throw refusal(user, 'belongs to the range of users that tasks are given');
    }
    if (this.#allowed.has(textOf(user))) return;
    const hint = 'The configuration of the host may allow it: allowedTaskUsers.';
    const { uids, gids } = this.#accounts();
    const isOfAgent = user.uid === this.#agent.uid || user.gid === this.#agent.gid;
    const isOfHost = user.uid === 0 || user.gid === 0 || uids.has(user.uid) || gids.has(user.gid);
    if (isOfAgent || isOfHost) throw refusal(user, 'is an account of the host', hint);
    for (const other of this.#named.values()) {
      if (other.uid !== user.uid || other.serviceName === serviceName) continue;
      throw refusal(user, 'is the user of another service on this node', hint);
    }
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

const textOf = ({ uid, gid }: TaskUser): string => `${uid}:${gid}`;

const refusal = (user: TaskUser, reason: string, hint?: string): ConclaveError =>
  new ConclaveError(
    'CV_UNSUPPORTED',
    `a task may not run as user ${textOf(user)}, which ${reason}${hint === undefined ? '' : `. ${hint}`}`,
    { hint: hint ?? 'Leave the user of the service out: each task has one of its own.' },
  );
