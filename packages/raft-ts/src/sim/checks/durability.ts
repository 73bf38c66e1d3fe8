import type { Message } from '../../message-types.js';
import type { Index, NodeId, Term } from '../../numbers.js';
import { SimFailure } from '../failure.js';
import type { DiskWrite } from '../disk.js';
import type { Subject } from '../subject.js';
import { IDS_MAX } from '../network.js';
import type { Elections } from './elections.js';

/**
 * Invariants 5 and 6: no message leaves before what it promises is durable, and after a restart
 * everything that was promised is still there.
 */
export class Durability {
  readonly #members: readonly (Subject | undefined)[];
  readonly #elections: Elections;
  readonly #isStrict: boolean;
  /** By member: the highest term it named in a promise, and the highest index in that term. */
  readonly #terms = new Float64Array(IDS_MAX);
  readonly #ackTerms = new Float64Array(IDS_MAX);
  readonly #ackIndexes = new Float64Array(IDS_MAX);

  /**
   * @param members by id
   * @param elections who leads which term
   * @param isStrict whether messages are held against what is durable
   */
  constructor(members: readonly (Subject | undefined)[], elections: Elections, isStrict: boolean) {
    this.#members = members;
    this.#elections = elections;
    this.#isStrict = isStrict;
  }

  /** A message leaves its sender. */
  sent(member: Subject, message: Message): void {
    switch (message.type) {
      case 'MsgVote':
        this.#checkTerm(member, message);
        this.#checkClaim(member, message);
        break;
      case 'MsgVoteResp':
        this.#checkTerm(member, message);
        if (!message.reject) this.#checkVote(member, message);
        break;
      case 'MsgApp':
      case 'MsgSnap':
        this.#checkTerm(member, message);
        break;
      case 'MsgAppResp':
        this.#checkTerm(member, message);
        // Index 0 is the answer to somebody of an earlier term: it promises nothing.
        if (!message.reject && message.index > 0) this.#checkAcknowledgment(member, message);
        break;
      default:
    }
  }

  #checkTerm({ id, disk }: Subject, { type, term }: Message): void {
    if (term > (this.#terms[id] as number)) this.#terms[id] = term;
    if (disk.hardState.term >= term || !this.#isStrict) return;
    fail(`${id} sends ${type} of term ${term}, durable is ${disk.hardState.term}`);
  }

  /** A vote request claims a vote for itself, and a log. */
  #checkClaim({ id, disk }: Subject, { term, logTerm, index }: Message): void {
    if (!this.#isStrict || disk.hardState.term !== term) return;
    if (disk.hardState.vote !== id) fail(`${id} asks for votes before its own one is durable`);
    if (disk.term(index) === logTerm || index < disk.storage.firstIndex()) return;
    // Somebody else was elected, and has replaced the log within the same write.
    if (this.#elections.leaderOf(term) !== undefined) return;
    fail(`${id} claims ${logTerm}/${index} in a vote request, which is not durable`);
  }

  #checkVote({ id, disk }: Subject, { to, term }: Message): void {
    const { hardState } = disk;
    if (this.#isStrict && hardState.term === term && hardState.vote !== to) {
      fail(`${id} tells ${to} of a vote in term ${term}, durable is one for ${hardState.vote}`);
    }
    this.#elections.voted(id, to, term);
  }

  #checkAcknowledgment(member: Subject, { to, term, index }: Message): void {
    const { id, disk } = member;
    // A leader of a later term may have replaced the entries within the same write, which comes to
    // the same as an instant later.
    if (!this.#isStrict || disk.hardState.term > term) return;
    this.#note(id, term, index);
    const durable = disk.term(index);
    if (durable === undefined && index >= disk.storage.firstIndex()) {
      fail(`${id} acknowledges ${index} in term ${term}, which is not durable`);
    }
    // The leader of the term may be gone; if not, the logs agree up to the index.
    const leader = this.#members[to];
    if (leader?.isUp !== true || leader.core.role !== 'StateLeader') return;
    if (leader.core.term !== term || durable === undefined) return;
    const theirs = leader.core.log.term(index);
    if (theirs !== 'compacted' && theirs !== durable) {
      fail(`${id} acknowledges ${durable}/${index}, its leader ${to} has ${theirs} there`);
    }
  }

  #note(id: NodeId, term: Term, index: Index): void {
    if (term > (this.#ackTerms[id] as number)) {
      this.#ackTerms[id] = term;
      this.#ackIndexes[id] = index;
    } else if (term === this.#ackTerms[id] && index > (this.#ackIndexes[id] as number)) {
      this.#ackIndexes[id] = index;
    }
  }

  /**
   * What counts as stored is not written again: the core would read what is being replaced.
   */
  wrote({ id, core }: Subject, { snapshot, entries }: DiskWrite): void {
    const [first] = entries;
    const { unstable } = core.log;
    if (first === undefined || snapshot !== undefined || core.log.hasUnstableSnapshot()) return;
    if (first.index >= unstable.offset) return;
    const text = `${id} writes ${first.term}/${first.index}, all before ${unstable.offset} was stored`;
    throw new SimFailure('8 stored log', text);
  }

  /** A member has read its disk. */
  started({ id, disk }: Subject): void {
    if (!this.#isStrict) return;
    const { term } = disk.hardState;
    const promised = this.#terms[id] as number;
    if (term < promised) withdrawn(`${id} comes back in term ${term} after ${promised}`);
    const last = disk.storage.lastIndex();
    // Leaders of later terms may have replaced what was acknowledged before.
    const acknowledgedIn = this.#ackTerms[id] as number;
    if (term > acknowledgedIn || (disk.term(last) ?? 0) > acknowledgedIn) return;
    const index = this.#ackIndexes[id] as number;
    if (last < index) withdrawn(`${id} comes back with a log up to ${last} after ${index}`);
  }
}

function fail(text: string): never {
  throw new SimFailure('6 durable before sent', text);
}

function withdrawn(text: string): never {
  throw new SimFailure('5 nothing withdrawn', text);
}
