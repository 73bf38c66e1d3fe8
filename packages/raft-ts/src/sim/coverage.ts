import type { Message, MessageType } from '../message-types.js';
import type { Term } from '../numbers.js';
import type { StateType } from '../types.js';

const ROLES: readonly StateType[] = [
  'StateFollower',
  'StatePreCandidate',
  'StateCandidate',
  'StateLeader',
];
const TYPES: readonly MessageType[] = [
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
];
const RELATIONS = ['earlier', 'same', 'later'] as const;

/**
 * What happened in one or many runs: how often each kind of fault and each noted situation, and
 * which combinations of role, message type and term a member has met.
 */
export class Coverage {
  readonly #counts = new Map<string, number>();
  readonly #typeNumbers = new Map(TYPES.map((type, i) => [type as string, i]));
  readonly #matrix = new Uint32Array(ROLES.length * TYPES.length * RELATIONS.length);

  /** Notes that something happened. */
  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  /** Notes that a message is about to be handled. */
  delivered(role: StateType, term: Term, message: Message): void {
    const type = this.#typeNumbers.get(message.type);
    if (type === undefined) return;
    const relation = message.term < term ? 0 : message.term === term ? 1 : 2;
    const at = (ROLES.indexOf(role) * TYPES.length + type) * RELATIONS.length + relation;
    this.#matrix[at] = (this.#matrix[at] as number) + 1;
  }

  /** Adds what another one has seen. */
  add(other: Coverage): void {
    for (const [what, count] of other.#counts) {
      this.#counts.set(what, (this.#counts.get(what) ?? 0) + count);
    }
    for (let i = 0; i < this.#matrix.length; i++) {
      this.#matrix[i] = (this.#matrix[i] as number) + (other.#matrix[i] as number);
    }
  }

  /** Everything that was counted, by name. */
  counts(): ReadonlyMap<string, number> {
    return new Map([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** How many cells of (role, message type, term relation) were met, and which were not. */
  cells(): { readonly hit: number; readonly missed: readonly string[] } {
    const missed: string[] = [];
    this.#matrix.forEach((count, at) => {
      if (count > 0) return;
      const relation = RELATIONS[at % RELATIONS.length];
      const rest = Math.floor(at / RELATIONS.length);
      const role = ROLES[Math.floor(rest / TYPES.length)];
      missed.push(`${role} ${TYPES[rest % TYPES.length]} ${relation}`);
    });
    return { hit: this.#matrix.length - missed.length, missed };
  }
}
