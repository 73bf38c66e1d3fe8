import { kindOf } from '../checks.js';
import type { Message, MessageType } from '../message-types.js';
import type { Ready } from '../ready-types.js';
import type { Subject } from './subject.js';

/** A situation when a message of one of these types comes or goes. */
type MessageMark = readonly [
  mark: string,
  types: readonly MessageType[],
  isMet: (member: Subject, message: Message) => boolean,
];
type StepMark = readonly [mark: string, isMet: (member: Subject) => boolean];
type ReadyMark = readonly [
  mark: string,
  isMet: (member: Subject, ready: Ready, append: Message | undefined) => boolean,
];

const last = ({ index, entries }: Message): number => index + entries.length;
const progressOf = ({ core }: Subject, { from }: Message) => core.tracker.progress.get(from);
const isLeader = ({ core }: Subject): boolean => core.role === 'StateLeader';
const isSameTerm = ({ core }: Subject, { term }: Message): boolean => core.term === term;

/** Situations before a message is handled. */
export const DELIVERED: readonly MessageMark[] = [
  [
    'rule 3: same candidate asks again',
    ['MsgVote'],
    (member, message) => isSameTerm(member, message) && member.core.vote === message.from,
  ],
  [
    'rule 4: asked while the leader is known',
    ['MsgVote'],
    (member, message) =>
      isSameTerm(member, message) && member.core.lead !== 0 && member.core.vote === 0,
  ],
  [
    'rule 11: late pre-vote answer',
    ['MsgPreVoteResp'],
    ({ core }) => core.role === 'StateCandidate' || core.role === 'StateLeader',
  ],
  [
    'rule 13: pre-vote granted for a later term',
    ['MsgPreVoteResp'],
    ({ core }, { reject, term }) =>
      core.role === 'StatePreCandidate' && !reject && term > core.term,
  ],
  [
    'rule 14: pre-candidate is asked',
    ['MsgVote', 'MsgPreVote', 'MsgProp', 'MsgReadIndex'],
    ({ core }) => core.role === 'StatePreCandidate',
  ],
  [
    'rule 15: candidate hears the leader of its term',
    ['MsgApp', 'MsgHeartbeat', 'MsgSnap'],
    (member, message) => isSameTerm(member, message) && member.core.role === 'StateCandidate',
  ],
  ['rule 16: learner is asked for a vote', ['MsgVote'], ({ core }) => core.isLearner],
  [
    'rule 21: commit index beyond the message',
    ['MsgApp'],
    (_, message) => message.commit > last(message),
  ],
  [
    'rule 24: append below the commit index',
    ['MsgApp'],
    (member, message) => isSameTerm(member, message) && message.index < member.core.log.committed,
  ],
  [
    'rule 25: log is longer than the message',
    ['MsgApp'],
    (member, message) => isSameTerm(member, message) && last(message) < member.core.log.lastIndex(),
  ],
  [
    'rule 27: rejection of what is known to match',
    ['MsgAppResp'],
    (member, message) =>
      isLeader(member) &&
      message.reject &&
      message.index <= (progressOf(member, message)?.match ?? 0),
  ],
  [
    'rule 29: entries of several terms',
    ['MsgApp'],
    (_, { entries }) => entries[0]?.term !== entries.at(-1)?.term,
  ],
  [
    'rule 30: append right after the compacted log',
    ['MsgApp'],
    ({ core }, { index }) => index > 1 && index === core.log.firstIndex() - 1,
  ],
  [
    'rule 32: write of what came back meanwhile',
    ['MsgStorageAppendResp'],
    ({ core: { log, term } }, message) =>
      message.index >= log.unstable.offset &&
      message.term < term &&
      log.unstable.term(message.index) === message.logTerm,
  ],
  [
    'rule 33: snapshot written across terms',
    ['MsgStorageAppendResp'],
    ({ core }, { snapshot, term }) => snapshot !== undefined && term < core.term,
  ],
  [
    'rule 53: heartbeat answer with a full window',
    ['MsgHeartbeatResp'],
    (member, message) => isLeader(member) && progressOf(member, message)?.inflights.full === true,
  ],
  [
    'rule 54: acknowledgment of several appends',
    ['MsgAppResp'],
    (member, message) => {
      const progress = isLeader(member) ? progressOf(member, message) : undefined;
      if (progress === undefined || message.reject) return false;
      return message.index === progress.next - 1 && progress.inflights.count > 1;
    },
  ],
  [
    'rule 55: probed follower lacks nothing',
    ['MsgHeartbeatResp'],
    (member, message) => {
      const progress = isLeader(member) ? progressOf(member, message) : undefined;
      return progress?.state === 'StateProbe' && progress.match === member.core.log.lastIndex();
    },
  ],
  [
    'rule 64: answer of somebody unknown',
    ['MsgAppResp', 'MsgVoteResp', 'MsgHeartbeatResp', 'MsgPreVoteResp'],
    (member, message) => progressOf(member, message) === undefined,
  ],
  [
    'rule 64: request of somebody unknown',
    ['MsgApp', 'MsgVote', 'MsgHeartbeat', 'MsgPreVote'],
    (member, message) => progressOf(member, message) === undefined,
  ],
  [
    'rule 64: local message from the network',
    ['MsgHup', 'MsgBeat', 'MsgUnreachable', 'MsgSnapStatus', 'MsgCheckQuorum'],
    (_, { type }) => kindOf(type) === 'local',
  ],
  [
    'rule 65: message without a term',
    ['MsgApp', 'MsgVote', 'MsgHeartbeat'],
    (_, m) => m.term === 0,
  ],
];

/** Situations when a message leaves. */
export const SENT: readonly MessageMark[] = [
  [
    'rule 22: heartbeat with less than the commit index',
    ['MsgHeartbeat'],
    ({ core }, { commit }) => commit < core.log.committed,
  ],
  [
    'rule 63: one entry per message',
    ['MsgApp'],
    ({ core }, message) =>
      core.settings.maxSizePerMsg === 0 &&
      message.entries.length === 1 &&
      last(message) < core.log.lastIndex(),
  ],
];

/** Situations when a Ready is taken. */
export const READY: readonly ReadyMark[] = [
  [
    'rule 31: answers wait for earlier writes',
    ({ core }, _, append) =>
      append !== undefined &&
      append.entries.length === 0 &&
      core.log.unstable.length > 0 &&
      append.responses.some(({ to }) => to !== core.id),
  ],
  [
    'rule 34: hard state with an acknowledgment of the tail',
    ({ core }, { hardState }, append) =>
      hardState !== undefined &&
      append?.entries.length === 0 &&
      core.log.unstable.length > 0 &&
      append.responses.some(({ type }) => type === 'MsgStorageAppendResp'),
  ],
  [
    'rule 37: two acknowledgments of one write',
    ({ core }, _, append) =>
      append !== undefined &&
      append.responses.some(({ type, to }) => type === 'MsgAppResp' && to === core.id) &&
      append.responses.at(-1)?.type === 'MsgStorageAppendResp',
  ],
  ['rule 57: reads share a round', (_, { readStates }) => readStates.length > 1],
  [
    'rule 59: reader has to wait',
    ({ applied }, { readStates }) => readStates.some(({ index }) => index > applied),
  ],
];

/** Situations after a step. */
export const STEPPED: readonly StepMark[] = [
  [
    'rule 7: another timeout is drawn',
    ({ core, seenRole }) => core.role !== seenRole && core.randomizedElectionTimeout > 0,
  ],
  [
    'rule 8: candidate of the outgoing half only',
    ({ core }) => {
      const [incoming, outgoing] = core.tracker.config.voters;
      const isCandidate = core.role === 'StateCandidate' || core.role === 'StatePreCandidate';
      return isCandidate && outgoing.has(core.id) && !incoming.has(core.id);
    },
  ],
  [
    'rule 20: majority has an entry of an earlier term',
    (member) => {
      const { log, tracker, term } = member.core;
      if (!isLeader(member)) return false;
      const index = tracker.committed();
      return index > log.committed && index !== Infinity && log.term(index) !== term;
    },
  ],
  [
    'rule 28: leader waits for its own disk',
    (member) => {
      const { tracker, log, id } = member.core;
      return isLeader(member) && (tracker.progress.get(id)?.match ?? Infinity) < log.lastIndex();
    },
  ],
  [
    'rule 35: committed and not stable',
    ({ core: { log, settings } }) =>
      settings.asyncStorageWrites && log.committed >= log.unstable.offset,
  ],
  [
    'rule 40: new leader takes a change for open',
    (member) => {
      const { log, pendingConfIndex, term } = member.core;
      const isNew = isLeader(member) && log.termOrZero(log.committed) !== term;
      return isNew && pendingConfIndex > log.applied;
    },
  ],
  [
    'rule 41: both halves decide',
    (member) =>
      isLeader(member) &&
      member.core.tracker.isJoint &&
      member.core.log.committed !== member.seenCommit,
  ],
  ['rule 56: read waits for the first commit', ({ core }) => core.postponedReads.length > 0],
  [
    'rule 62: quota of applying is used up',
    ({ core: { log, settings } }) => {
      const isAsync = settings.asyncStorageWrites;
      const end = isAsync ? Math.min(log.committed, log.unstable.offset - 1) : log.committed;
      return !log.hasUnstableSnapshot() && log.applying < end && !log.hasNextCommitted(!isAsync);
    },
  ],
];
