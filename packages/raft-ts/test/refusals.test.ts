import { describe, expect, test } from '@jest/globals';
import type { Config, Entry, MessageBase, MessageType, Message } from '../src/index.js';
import { ConfigError, MemoryStorage, message, RawNode, StepError } from '../src/index.js';
import {
  LOCAL_APPEND_THREAD,
  LOCAL_APPLY_THREAD,
  MAX_NODE_ID,
  RaftInvariantError,
} from '../src/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

function entry(term: number, index: number): Entry {
  return { term, index, type: 'EntryNormal', data: bytes('x') };
}

describe('step refuses, and nothing changes', () => {
  const cluster = new Cluster({ voters: [1, 2, 3] });
  cluster.elect(1);
  const base = { from: 1, to: 2, term: 1, index: 2, logTerm: 1 };

  function refused(type: MessageType, fields: Partial<MessageBase>, code: string): void {
    const before = cluster.node(2).status();
    const step = (): void => cluster.node(2).step(message(type, { ...base, ...fields }));
    expect(step).toThrow(expect.objectContaining({ code }));
    expect(cluster.node(2).status()).toEqual(before);
    expect(cluster.node(2).hasReady()).toBe(false);
  }

  const localTypes = [
    'MsgHup',
    'MsgBeat',
    'MsgUnreachable',
    'MsgSnapStatus',
    'MsgCheckQuorum',
    'MsgStorageAppend',
    'MsgStorageAppendResp',
    'MsgStorageApply',
    'MsgStorageApplyResp',
  ] as MessageType[];
  test.each(localTypes)('local messages: %s', (type) => {
    refused(type, {}, 'STEP_LOCAL_MESSAGE');
    expect(() => cluster.node(2).step(message(type))).toThrow(
      'raft: cannot step raft local message',
    );
  });

  const answers = [
    'MsgAppResp',
    'MsgVoteResp',
    'MsgPreVoteResp',
    'MsgHeartbeatResp',
    'MsgReadIndexResp',
  ] as MessageType[];
  test.each(answers)('answers of strangers: %s', (type) => {
    refused(type, { from: 9 }, 'STEP_PEER_NOT_FOUND');
  });

  test('but not requests of strangers, who may know a later configuration', () => {
    const other = new Cluster({ voters: [1, 2, 3] });
    other.node(2).step(message('MsgHeartbeat', { from: 9, to: 2, term: 5 }));
    expect(other.node(2).basicStatus()).toMatchObject({ term: 5, lead: 9 });
  });

  const termless = [
    'MsgApp',
    'MsgAppResp',
    'MsgVote',
    'MsgVoteResp',
    'MsgSnap',
    'MsgHeartbeat',
    'MsgHeartbeatResp',
    'MsgTransferLeader',
    'MsgTimeoutNow',
    'MsgReadIndexResp',
    'MsgPreVote',
    'MsgPreVoteResp',
    'MsgForgetLeader',
  ] as MessageType[];
  test.each(termless)('term 0: %s', (type) => refused(type, { term: 0 }, 'STEP_MALFORMED'));

  test.each([
    ['a gap', [entry(1, 4)]],
    ['a gap inside', [entry(1, 3), entry(1, 5)]],
    ['terms that go back', [entry(1, 3), entry(0, 4)]],
    ['a term before that of the base', [entry(0, 3)]],
    ['a term after that of the message', [entry(2, 3)]],
    ['an unknown type', [{ ...entry(1, 3), type: 'EntryOther' } as unknown as Entry]],
    ['no number', [{ ...entry(1, 3), term: Number.NaN }]],
  ])('appends with %s', (_, entries) => refused('MsgApp', { entries }, 'STEP_MALFORMED'));

  test('an append whose base is of a later term', () => {
    refused('MsgApp', { logTerm: 2 }, 'STEP_MALFORMED');
  });

  test.each([-1, 0.5, Number.NaN, 2 ** 53, Number.MAX_SAFE_INTEGER])('term %d', (term) => {
    refused('MsgHeartbeat', { term }, 'STEP_MALFORMED');
  });

  test.each([0, -1, 1.5, LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD])('from %d', (from) => {
    refused('MsgHeartbeat', { from, term: 7 }, 'STEP_MALFORMED');
  });

  const toOthers = [
    'MsgApp',
    'MsgSnap',
    'MsgHeartbeat',
    'MsgVote',
    'MsgPreVote',
    'MsgTimeoutNow',
  ] as MessageType[];
  test.each(toOthers)('%s in its own name', (type) => {
    refused(type, { from: 2, term: 7 }, 'STEP_MALFORMED');
  });

  test('an append that ends beyond the largest index', () => {
    const index = Number.MAX_SAFE_INTEGER - 1;
    refused('MsgApp', { index, entries: [entry(1, index + 1)] }, 'STEP_MALFORMED');
  });

  test('proposals and reads without content, and damaged changes', () => {
    refused('MsgProp', { term: 0 }, 'STEP_MALFORMED');
    refused('MsgReadIndex', { term: 0 }, 'STEP_MALFORMED');
    const damaged: Entry = { term: 0, index: 0, type: 'EntryConfChangeV2', data: bytes('x') };
    refused('MsgProp', { term: 0, entries: [damaged] }, 'STEP_MALFORMED');
    const other = { ...damaged, type: 'Other' } as unknown as Entry;
    refused('MsgProp', { term: 0, entries: [other] }, 'STEP_MALFORMED');
  });

  test('snapshots that are none, and impossible configurations', () => {
    refused('MsgSnap', {}, 'STEP_MALFORMED');
    const none = { votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
    for (const confState of [
      { ...none, voters: [1, 2], learners: [2] },
      { ...none, voters: [], learners: [2] },
      { ...none, voters: [1, 2, MAX_NODE_ID + 1] },
      { ...none, voters: [1, 2], autoLeave: true },
    ]) {
      const snapshot = { data: bytes(''), metadata: { index: 9, term: 1, confState } };
      refused('MsgSnap', { snapshot }, 'STEP_MALFORMED');
    }
    const confState = { ...none, voters: [1, 2] };
    const snapshot = { data: bytes(''), metadata: { index: -1, term: 1, confState } };
    refused('MsgSnap', { snapshot }, 'STEP_MALFORMED');
  });

  test('an unknown type', () => {
    const unknown = { ...message('MsgHeartbeat', base), type: 'MsgOther' } as unknown as Message;
    expect(() => cluster.node(2).step(unknown)).toThrow(StepError);
  });
});

describe('a configuration is checked', () => {
  const good: Config = {
    id: 1,
    storage: new MemoryStorage(),
    electionTick: 10,
    heartbeatTick: 1,
    maxInflightMsgs: 1,
    random: () => 0,
  };

  test.each<[keyof Config, unknown]>([
    ['id', 0],
    ['id', LOCAL_APPEND_THREAD],
    ['id', 1.5],
    ['storage', undefined],
    ['electionTick', 1],
    ['heartbeatTick', 0],
    ['maxInflightMsgs', 0],
    ['applied', -1],
    ['maxSizePerMsg', -1],
    ['maxSizePerMsg', Number.NaN],
    ['maxCommittedSizePerReady', 0],
    ['maxUncommittedEntriesSize', -1],
    ['maxInflightBytes', 0],
    ['readOnlyOption', 'leaseBased'],
    ['readOnlyOption', 'other'],
    ['random', undefined],
  ])('%s: %p', (field, value) => {
    const make = (): RawNode => new RawNode({ ...good, [field]: value } as Config);
    expect(make).toThrow(ConfigError);
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG', field }));
  });

  test('one entry per message needs a quota of its own', () => {
    expect(() => new RawNode({ ...good, maxSizePerMsg: 0 })).toThrow(
      expect.objectContaining({ field: 'maxCommittedSizePerReady' }),
    );
    const fine = { ...good, maxSizePerMsg: 0, maxCommittedSizePerReady: 1 };
    expect(new RawNode(fine).hasReady()).toBe(false);
  });

  test('the window in bytes holds at least one message', () => {
    const config = { ...good, maxSizePerMsg: 10, maxInflightBytes: 9 };
    expect(() => new RawNode(config)).toThrow(
      expect.objectContaining({ field: 'maxInflightBytes' }),
    );
  });
});

describe('violated invariants', () => {
  test('end the node: every later call throws the same error', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    const node = cluster.node(2);
    const broken = message('MsgHeartbeat', { from: 1, to: 2, term: 1, commit: 99 });
    let first: unknown;
    try {
      node.step(broken);
    } catch (error) {
      first = error;
    }
    expect(first).toBeInstanceOf(RaftInvariantError);
    expect(first).toMatchObject({ code: 'INVARIANT' });
    const calls = [
      () => node.tick(),
      () => node.campaign(),
      () => node.propose(bytes('a')),
      () => node.hasReady(),
      () => node.ready(),
      () => node.peekReady(),
      () => node.status(),
      () => node.basicStatus(),
      () => node.advance(),
      () => node.forgetLeader(),
      () => node.step(message('MsgHeartbeat', { from: 1, to: 2, term: 1 })),
    ];
    for (const call of calls) {
      let thrown: unknown;
      try {
        call();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBe(first);
    }
  });

  test('an exception of the storage ends the node as well', () => {
    const cluster = new Cluster({ voters: [1] });
    cluster.elect(1);
    cluster.member(1).storage.lastIndex = () => {
      throw new Error('disk on fire');
    };
    expect(() => cluster.propose(1, 'a')).toThrow(/disk on fire/);
    expect(() => cluster.node(1).tick()).toThrow(RaftInvariantError);
  });

  test.each([Number.NaN, -1, 2 ** 60])('a storage that answers %d', (index) => {
    const cluster = new Cluster({ voters: [1] });
    cluster.elect(1);
    cluster.member(1).storage.lastIndex = () => index;
    expect(() => cluster.propose(1, 'a')).toThrow(RaftInvariantError);
  });

  test('a term beyond the largest one', () => {
    const cluster = new Cluster({ voters: [1, 2] });
    const term = Number.MAX_SAFE_INTEGER - 1;
    cluster.node(1).step(message('MsgHeartbeat', { from: 2, to: 1, term }));
    expect(() => cluster.node(1).campaign()).toThrow(/the term would grow beyond/);
  });

  test.each([new Error('no space'), 'no space' as unknown as Error])(
    'a hook that throws %p',
    (thrown) => {
      let isBroken = false;
      const trace = (): void => {
        if (isBroken) throw thrown;
      };
      const cluster = new Cluster({ voters: [1, 2], config: { trace } });
      isBroken = true;
      expect(() => cluster.node(1).campaign()).toThrow('unexpected exception: no space');
      expect(() => cluster.node(1).tick()).toThrow(RaftInvariantError);
    },
  );

  test('a hard state that the log does not cover', () => {
    const cluster = new Cluster({ voters: [1] });
    cluster.member(1).storage.setHardState({ term: 1, vote: 0, commit: 5 });
    expect(() => cluster.member(1).restart()).toThrow(/commit 5 is out of range/);
  });

  test('refusals do not end the node', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    expect(() => cluster.propose(1, 'a')).toThrow('raft proposal dropped');
    expect(() => cluster.node(1).step(message('MsgHup'))).toThrow(StepError);
    cluster.elect(1);
  });
});

describe('calls from inside', () => {
  test.each(['logger', 'trace', 'storage', 'random'])('%s', (from) => {
    const thrown: unknown[] = [];
    let node: RawNode | undefined;
    const callBack = (): void => {
      try {
        node?.tick();
      } catch (error) {
        thrown.push(error);
      }
    };
    class CallingStorage extends MemoryStorage {
      override lastIndex(): number {
        if (from === 'storage') callBack();
        return super.lastIndex();
      }
    }
    const storage = new CallingStorage();
    const confState = { votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
    const metadata = { index: 1, term: 1, confState: { ...confState, voters: [1] } };
    storage.applySnapshot({ data: bytes(''), metadata });
    node = new RawNode({
      id: 1,
      storage,
      electionTick: 10,
      heartbeatTick: 1,
      maxInflightMsgs: 1,
      logger: {
        enabled: () => true,
        log: () => from === 'logger' && callBack(),
      },
      trace: () => from === 'trace' && callBack(),
      random: () => {
        if (from === 'random') callBack();
        return 0;
      },
    });
    node.campaign();
    expect(thrown.length).toBeGreaterThan(0);
    expect(thrown[0]).toBeInstanceOf(RaftInvariantError);
    // The hook has dealt with it, so that the node goes on.
    expect(node.basicStatus().raftState).toBe('StateCandidate');
  });
});
