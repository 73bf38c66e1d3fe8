import type { Message } from '../message-types.js';
import type { Index, NodeId, Term } from '../numbers.js';
import { LOCAL_APPEND_THREAD } from '../numbers.js';
import type { Ready } from '../ready-types.js';
import type { Entry, Snapshot } from '../types.js';
import type { Coverage } from './coverage.js';
import { DELIVERED, READY, SENT, STEPPED } from './situation-marks.js';
import type { Subject } from './subject.js';

/** What is remembered of a member, to see what an event has changed. */
interface Past {
  /** What was durable when it started. */
  readonly term: Term;
  readonly vote: NodeId;
  readonly commit: Index;
  hasOpenReads: boolean;
  /** Before the change of configuration that is being applied. */
  committed: Index;
  transferee: NodeId;
  hadLearnersNext: boolean;
  readonly answers: Set<string>;
}

/** Names of all situations there are. */
export function situationNames(): readonly string[] {
  const listed = [...DELIVERED, ...SENT, ...READY, ...STEPPED].map(([mark]) => mark);
  return [...listed, ...Object.values(CHANGES)];
}

const CHANGES = {
  askedAgain: 'rule 2: asked again after a restart',
  keptVote: 'rule 5: vote kept over a change of role',
  votedAgain: 'rule 9: answer comes twice',
  newAttempt: 'rule 10: next attempt of a candidate',
  demoted: 'rule 42: demoted voter becomes a learner',
  committed: 'rule 43: change commits what waits',
  newMember: 'rule 44: new member counts as active',
  targetLeaves: 'rule 46: target of a transfer leaves',
  jointSnapshot: 'rule 47: snapshot of a joint configuration',
  appliedAgain: 'rule 48: change applied again after a restart',
  firstTerm: 'rule 49: start with the first snapshot',
  readsLost: 'rule 58: reads die with the leadership',
} as const;

/**
 * Notes situations that a rule is about and that no log line tells of, by the number of the rule.
 * Called with every event of every member, for samples of runs.
 */
export class Situations {
  readonly #coverage: Coverage;
  readonly #past = new Map<NodeId, Past>();

  /** @param coverage where to count */
  constructor(coverage: Coverage) {
    this.#coverage = coverage;
  }

  /** A member has started. */
  started({ id, core, disk }: Subject): void {
    const { term, vote, commit } = disk.hardState;
    this.#past.set(id, {
      term,
      vote,
      commit,
      hasOpenReads: false,
      committed: 0,
      transferee: 0,
      hadLearnersNext: false,
      answers: new Set(),
    });
    if (core.log.firstIndex() === 3) this.#coverage.count(CHANGES.firstTerm);
  }

  /** A message is about to be handled. */
  delivered(member: Subject, message: Message): void {
    const { type, from, term } = message;
    for (const [mark, types, isMet] of DELIVERED) {
      if (types.includes(type) && isMet(member, message)) this.#coverage.count(mark);
    }
    const past = this.#past.get(member.id);
    if (past === undefined) return;
    if (type === 'MsgVote' && past.vote !== 0 && term === past.term && member.core.term === term) {
      this.#coverage.count(CHANGES.askedAgain);
    }
    if (type !== 'MsgVoteResp' || member.core.term !== term) return;
    const answer = `${term} ${from}`;
    if (past.answers.has(answer)) this.#coverage.count(CHANGES.votedAgain);
    past.answers.add(answer);
  }

  /** A member has handled some input; what was seen before is still noted in it. */
  stepped(member: Subject): void {
    for (const [mark, isMet] of STEPPED) if (isMet(member)) this.#coverage.count(mark);
    const past = this.#past.get(member.id);
    if (past === undefined) return;
    const { core, seenRole, seenTerm } = member;
    const isOther = core.role !== seenRole;
    if (isOther && core.term === seenTerm && core.vote !== 0)
      this.#coverage.count(CHANGES.keptVote);
    const isAgain = core.role === 'StateCandidate' && !isOther && core.term > seenTerm;
    if (isAgain) this.#coverage.count(CHANGES.newAttempt);
    if (past.hasOpenReads && seenRole === 'StateLeader' && isOther) {
      this.#coverage.count(CHANGES.readsLost);
    }
    past.hasOpenReads = core.reads.hasOpen;
  }

  /** A member hands out work. */
  ready(member: Subject, ready: Ready): void {
    const append = ready.messages.find(({ to }) => to === LOCAL_APPEND_THREAD);
    for (const [mark, isMet] of READY) {
      if (isMet(member, ready, append)) this.#coverage.count(mark);
    }
  }

  /** A message leaves a member. */
  sent(member: Subject, message: Message): void {
    for (const [mark, types, isMet] of SENT) {
      if (types.includes(message.type) && isMet(member, message)) this.#coverage.count(mark);
    }
  }

  /** A member is about to apply an entry. */
  applying({ id, core }: Subject): void {
    const past = this.#past.get(id);
    if (past === undefined) return;
    past.committed = core.log.committed;
    past.transferee = core.leadTransferee;
    past.hadLearnersNext = core.tracker.config.learnersNext.size > 0;
  }

  /** A member has applied an entry. */
  applied({ id, core }: Subject, { type, index }: Entry): void {
    const past = this.#past.get(id);
    if (past === undefined || type === 'EntryNormal') return;
    const { config, progress } = core.tracker;
    if (index <= past.commit) this.#coverage.count(CHANGES.appliedAgain);
    if (past.hadLearnersNext && config.learnersNext.size === 0) {
      this.#coverage.count(CHANGES.demoted);
    }
    if (core.role !== 'StateLeader') return;
    if (core.log.committed > past.committed) this.#coverage.count(CHANGES.committed);
    if (past.transferee !== 0 && core.leadTransferee === 0) {
      this.#coverage.count(CHANGES.targetLeaves);
    }
    const isNew = [...progress.values()].some((one) => one.match === 0 && one.recentActive);
    if (isNew) this.#coverage.count(CHANGES.newMember);
  }

  /** A member has replaced its state by a snapshot. */
  restored(_member: Subject, { metadata }: Snapshot): void {
    if (metadata.confState.votersOutgoing.length > 0) this.#coverage.count(CHANGES.jointSnapshot);
  }
}
