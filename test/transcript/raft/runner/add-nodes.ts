import type { Config, ConfState, Snapshot } from 'raft-ts';
import { Member } from './member.js';
import type { MemberConfig } from './member.js';
import type { Session } from './session.js';
import type { Words } from './words.js';

export const ELECTION_TICK = 3;
export const HEARTBEAT_TICK = 1;
const INFLIGHT_DEFAULT = 256;

const SIZES = {
  'max-size-per-msg': 'maxSizePerMsg',
  'max-committed-size-per-ready': 'maxCommittedSizePerReady',
  'max-uncommitted-size': 'maxUncommittedEntriesSize',
  'max-inflight-bytes': 'maxInflightBytes',
} as const satisfies Record<string, keyof Config>;

const SWITCHES = {
  'async-storage-writes': 'asyncStorageWrites',
  prevote: 'preVote',
  checkquorum: 'checkQuorum',
  'disable-conf-change-validation': 'disableConfChangeValidation',
  'disable-proposal-forwarding': 'disableProposalForwarding',
  'step-down-on-removal': 'stepDownOnRemoval',
  'defer-vote-requests': 'deferVoteRequests',
} as const satisfies Record<string, keyof Config>;

const OTHER_OPTIONS = ['voters', 'learners', 'index', 'content', 'inflight', 'read-only'];

/** Options of `add-nodes`. */
export const NODE_OPTIONS: readonly string[] = [
  ...OTHER_OPTIONS,
  ...Object.keys(SIZES),
  ...Object.keys(SWITCHES),
];

/** Draws 0, 1, 2, 0, ...: two timeouts in a row differ, and a reader can count them. */
function counter(): (n: number) => number {
  let drawn = 0;
  return (n) => drawn++ % n;
}

function configOf(session: Session, words: Words): MemberConfig {
  const sizes: Partial<Record<(typeof SIZES)[keyof typeof SIZES], number>> = {};
  for (const [name, field] of Object.entries(SIZES)) {
    const value = words.count(name);
    if (value !== undefined) sizes[field] = value;
  }
  const switches: Partial<Record<(typeof SWITCHES)[keyof typeof SWITCHES], boolean>> = {};
  for (const [name, field] of Object.entries(SWITCHES)) {
    if (words.has(name)) switches[field] = words.isOn(name);
  }
  return {
    electionTick: ELECTION_TICK,
    heartbeatTick: HEARTBEAT_TICK,
    maxInflightMsgs: words.count('inflight') ?? INFLIGHT_DEFAULT,
    readOnlyOption: words.text('read-only') === 'lease-based' ? 'leaseBased' : 'safe',
    logger: session.logger,
    random: counter(),
    ...sizes,
    ...switches,
  };
}

/**
 * Adds nodes with the ids that follow. With voters they start from a snapshot at `index`, term 1;
 * without, they know nothing.
 */
export function addNodes(session: Session, words: Words): void {
  const confState: ConfState = {
    voters: words.list('voters'),
    votersOutgoing: [],
    learners: words.list('learners'),
    learnersNext: [],
    autoLeave: false,
  };
  const index = words.count('index') ?? 0;
  const data = new TextEncoder().encode(words.text('content') ?? '');
  const start: Snapshot = { data, metadata: { index, term: index > 0 ? 1 : 0, confState } };
  for (let i = 0; i < words.number(0); i++) {
    const id = session.members.size + 1;
    session.members.set(id, new Member(id, start, configOf(session, words)));
  }
}
