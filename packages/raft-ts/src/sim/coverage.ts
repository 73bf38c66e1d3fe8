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
type Relation = (typeof RELATIONS)[number];

/** Forwarded without a term. */
const TERMLESS: readonly MessageType[] = ['MsgProp', 'MsgReadIndex'];
/** Only for somebody who has had this term, and who has told so only when it was durable. */
const ANSWERS: readonly MessageType[] = [
  'MsgVoteResp',
  'MsgHeartbeatResp',
  'MsgTransferLeader',
  'MsgTimeoutNow',
];
/** Sent by the leader of the term, who is the only one. */
const OF_LEADER: readonly MessageType[] = [
  'MsgApp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgTimeoutNow',
  'MsgReadIndexResp',
];
/** Only for somebody who leads the term, has led it, or follows its leader. */
const NOT_FOR_CANDIDATE: readonly MessageType[] = [
  'MsgHeartbeatResp',
  'MsgTransferLeader',
  'MsgTimeoutNow',
];

function isImpossible(role: StateType, type: MessageType, relation: Relation): boolean {
  if (TERMLESS.includes(type)) return relation !== 'earlier';
  // A snapshot goes to somebody who has followed its leader, or who is new and does not campaign.
  const isAfterAnswer = type === 'MsgSnap' && role !== 'StateFollower';
  if (relation === 'later') return isAfterAnswer || ANSWERS.includes(type);
  if (relation === 'earlier') return false;
  if (role === 'StateLeader') return OF_LEADER.includes(type);
  return role === 'StateCandidate' && (isAfterAnswer || NOT_FOR_CANDIDATE.includes(type));
}

/** Combinations of role, message type and relation of the message's term to the member's. */
export interface Cells {
  /** Those that were met, of those that can be. */
  readonly hit: number;
  readonly missed: readonly string[];
  /** Those that were met although they are taken for impossible. */
  readonly impossible: readonly string[];
}

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

  /** Which cells of (role, message type, term relation) were met. */
  cells(): Cells {
    const missed: string[] = [];
    const impossible: string[] = [];
    let hit = 0;
    this.#matrix.forEach((count, at) => {
      const relation = RELATIONS[at % RELATIONS.length] as Relation;
      const rest = Math.floor(at / RELATIONS.length);
      const type = TYPES[rest % TYPES.length] as MessageType;
      const role = ROLES[Math.floor(rest / TYPES.length)] as StateType;
      const name = `${role} ${type} ${relation}`;
      if (isImpossible(role, type, relation)) {
        if (count > 0) impossible.push(name);
      } else if (count > 0) hit++;
      else missed.push(name);
    });
    return { hit, missed, impossible };
  }
}
