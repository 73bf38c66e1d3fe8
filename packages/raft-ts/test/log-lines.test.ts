import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { LogLevel } from '../src/index.js';
import { LEAVE_JOINT, message } from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';
import type { MemberOptions } from './support/member.js';

/**
 * The texts are those of etcd's library: whoever knows its logs knows these. Each scenario has its
 * lines in `log-lines.txt`, where a change shows as a difference to be reviewed.
 */
const golden = readFileSync(new URL('log-lines.txt', import.meta.url), 'utf8');

interface Recording {
  readonly cluster: Cluster;
  readonly lines: string[];
}

function record(config: Omit<MemberOptions, 'random' | 'logger'> = {}): Recording {
  const lines: string[] = [];
  const log = (level: LogLevel, text: string): void => void lines.push(`${level} ${text}`);
  const logger = { enabled: () => true, log };
  return { cluster: new Cluster({ voters: [1, 2, 3], config: { ...config, logger } }), lines };
}

/** From after the first election on. */
function elected(config: Omit<MemberOptions, 'random' | 'logger'> = {}): Recording {
  const recording = record(config);
  recording.cluster.elect(1);
  recording.lines.length = 0;
  return recording;
}

function expected(title: string): string[] {
  const start = golden.indexOf(`== ${title}\n`);
  if (start < 0) return [];
  const end = golden.indexOf('\n== ', start);
  return golden
    .slice(golden.indexOf('\n', start) + 1, end < 0 ? undefined : end)
    .trim()
    .split('\n');
}

type Scenario = [title: string, play: () => Recording];

const scenarios: Scenario[] = [
  [
    'election, rejection, conflict',
    () => {
      const recording = record({ preVote: true });
      const { cluster } = recording;
      cluster.elect(1);
      cluster.isolate(1);
      cluster.propose(1, 'a');
      cluster.propose(1, 'b');
      cluster.settle();
      cluster.elect(2);
      cluster.propose(2, 'c');
      cluster.settle();
      cluster.heal();
      cluster.tickAll(2);
      cluster.node(2).campaign();
      cluster.deliver(message('MsgPreVote', { from: 1, to: 2, term: 1 }));
      cluster.deliver(message('MsgVote', { from: 1, to: 3, term: 2 }));
      return recording;
    },
  ],
  [
    'lost votes and late messages',
    () => {
      const recording = elected();
      const { cluster } = recording;
      cluster.propose(1, 'a');
      cluster.isolate(3);
      cluster.settle();
      cluster.heal();
      cluster.node(3).campaign();
      cluster.settle();
      cluster.deliver(message('MsgTimeoutNow', { from: 1, to: 2, term: 1 }));
      cluster.node(2).campaign();
      cluster.deliver(message('MsgTimeoutNow', { from: 1, to: 2, term: 3 }));
      expect(() => cluster.propose(2, 'x')).toThrow('dropped');
      cluster.node(3).transferLeader(1);
      cluster.node(3).readIndex(bytes('r'));
      expect(() => cluster.propose(3, 'x')).toThrow('dropped');
      return recording;
    },
  ],
  [
    'snapshots',
    () => {
      const recording = elected();
      const { cluster } = recording;
      cluster.isolate(3);
      cluster.propose(1, 'a');
      cluster.settle();
      cluster.member(1).compact();
      cluster.heal();
      cluster.tickAll(3);
      cluster.node(1).reportUnreachable(3);
      cluster.node(1).reportSnapshot(3, 'failure');
      const confState = { ...cluster.member(1).confState, voters: [1, 2] };
      const foreign = { data: bytes(''), metadata: { index: 9, term: 1, confState } };
      cluster.deliver(message('MsgSnap', { from: 1, to: 3, term: 1, snapshot: foreign }));
      return recording;
    },
  ],
  [
    'a lost snapshot, and one that is not there yet',
    () => {
      const recording = elected();
      const { cluster } = recording;
      cluster.isolate(3);
      cluster.propose(1, 'a');
      cluster.settle();
      cluster.member(1).compact();
      cluster.arrives = ({ type }) => type !== 'MsgSnap';
      const { storage } = cluster.member(1);
      const { take } = storage;
      Object.assign(storage, { take: () => 'temporarilyUnavailable' });
      cluster.tickAll(1);
      Object.assign(storage, { take });
      cluster.tickAll(1);
      cluster.node(1).reportSnapshot(3, 'failure');
      cluster.tickAll(1);
      cluster.deliver(message('MsgAppResp', { from: 3, to: 1, term: 1, index: 2 }));
      cluster.deliver(message('MsgAppResp', { from: 3, to: 1, term: 1, index: 3 }));
      return recording;
    },
  ],
  [
    'transfers and leases',
    () => {
      const recording = elected({ checkQuorum: true, disableProposalForwarding: true });
      const { cluster } = recording;
      cluster.deliver(message('MsgVote', { from: 3, to: 2, term: 9, index: 9, logTerm: 9 }));
      cluster.arrives = ({ type }) => type !== 'MsgTimeoutNow';
      for (const id of [1, 2, 2, 3, 9]) cluster.node(1).transferLeader(id);
      expect(() => cluster.propose(1, 'x')).toThrow('dropped');
      expect(() => cluster.propose(2, 'x')).toThrow('dropped');
      cluster.node(2).forgetLeader();
      cluster.isolate(1);
      cluster.tick(1, 20);
      return recording;
    },
  ],
  [
    'members',
    () => {
      const recording = elected({ maxUncommittedEntriesSize: 4, stepDownOnRemoval: true });
      const { cluster } = recording;
      cluster.addBlank(4);
      cluster.node(1).proposeConfChange(LEAVE_JOINT);
      const learner = { type: 'ConfChangeAddLearnerNode', nodeId: 4 } as const;
      const removal = { type: 'ConfChangeRemoveNode', nodeId: 3 } as const;
      const changes = [learner, removal];
      cluster.node(1).proposeConfChange({ version: 2, transition: 'jointImplicit', changes });
      cluster.node(1).proposeConfChange({ version: 1, change: removal });
      expect(() => cluster.propose(1, 'large')).toThrow('dropped');
      cluster.settle();
      cluster.node(1).transferLeader(4);
      cluster.node(4).campaign();
      const own = { type: 'ConfChangeRemoveNode', nodeId: 1 } as const;
      cluster.change(1, { version: 2, transition: 'jointExplicit', changes: [own] });
      cluster.node(1).proposeConfChange({ version: 1, change: removal });
      cluster.change(1, LEAVE_JOINT);
      return recording;
    },
  ],
  [
    'a transfer delays leaving a joint configuration',
    () => {
      const recording = elected();
      const { cluster } = recording;
      const changes = [{ type: 'ConfChangeAddLearnerNode', nodeId: 9 }] as const;
      cluster.node(1).proposeConfChange({ version: 2, transition: 'jointImplicit', changes });
      cluster.arrives = ({ type }) => type !== 'MsgTimeoutNow';
      cluster.node(1).transferLeader(2);
      cluster.settle();
      return recording;
    },
  ],
  [
    'a log that was lost',
    () => {
      const recording = elected();
      const broken = message('MsgHeartbeat', { from: 1, to: 2, term: 1, commit: 9 });
      expect(() => recording.cluster.deliver(broken)).toThrow('tocommit');
      return recording;
    },
  ],
];

describe('log lines', () => {
  test.each(scenarios)('%s', (title, play) => {
    expect(play().lines).toEqual(expected(title));
  });
});
