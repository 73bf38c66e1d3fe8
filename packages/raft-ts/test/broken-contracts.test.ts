import { describe, expect, test } from '@jest/globals';
import type {
  ConfChange,
  Config,
  ConfState,
  Entry,
  Message,
  Storage,
  TraceEvent,
} from '../src/index.js';
import {
  confchange,
  LOCAL_APPLY_THREAD,
  MemoryStorage,
  message,
  RaftInvariantError,
  RawNode,
} from '../src/index.js';
import { RaftLog } from '../src/log.js';
import { Reporter } from '../src/reporter.js';
import { setRandomizedElectionTimeout } from '../src/testing/index.js';
import { bytes } from './support/bytes.js';
import { Cluster } from './support/cluster.js';

const CONF_STATE = {
  voters: [1, 2, 3],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

function entry(index: number, term = 1): Entry {
  return { term, index, type: 'EntryNormal', data: bytes('x') };
}

/** A snapshot at 5, entries 6 and 7, all committed. */
function stored(): MemoryStorage {
  const storage = new MemoryStorage();
  const metadata = { index: 5, term: 1, confState: CONF_STATE };
  storage.applySnapshot({ data: new Uint8Array(0), metadata });
  storage.append([entry(6), entry(7)]);
  storage.setHardState({ term: 1, vote: 0, commit: 7 });
  return storage;
}

function nodeOf(storage: Storage, config: Partial<Config> = {}): RawNode {
  const limits = { electionTick: 10, heartbeatTick: 1, maxInflightMsgs: 8 };
  return new RawNode({ id: 1, storage, applied: 5, ...limits, random: () => 0, ...config });
}

function poisoned(node: RawNode): void {
  expect(() => {
    node.tick();
  }).toThrow(RaftInvariantError);
}

describe('a storage that breaks its contract', () => {
  test('with a hard state that is none', () => {
    const storage = stored();
    storage.setHardState({ term: -1, vote: 0, commit: 7 });
    expect(() => nodeOf(storage)).toThrow('storage answered -1, 0, 7 for the hard state');
  });

  test.each(['compacted', 'unavailable'] as const)('with committed entries that are %s', (what) => {
    class Lossy extends MemoryStorage {
      override entries(): typeof what {
        return what;
      }
    }
    const storage = new Lossy();
    const metadata = { index: 5, term: 1, confState: CONF_STATE };
    storage.applySnapshot({ data: new Uint8Array(0), metadata });
    storage.append([entry(6), entry(7)]);
    storage.setHardState({ term: 1, vote: 0, commit: 7 });
    const node = nodeOf(storage);
    expect(() => node.ready()).toThrow(RaftInvariantError);
    poisoned(node);
  });

  test('with an end before its start', () => {
    class Backwards extends MemoryStorage {
      override lastIndex(): number {
        return super.firstIndex() - 2;
      }
    }
    const storage = new Backwards();
    const metadata = { index: 5, term: 1, confState: CONF_STATE };
    storage.applySnapshot({ data: new Uint8Array(0), metadata });
    expect(() => nodeOf(storage)).toThrow('storage has entries [6, 4]');
  });

  test('compacted beyond what is applied', () => {
    const storage = stored();
    const node = nodeOf(storage);
    storage.compact(7);
    expect(() => {
      node.campaign();
    }).toThrow('error scanning unapplied entries [6, 8): compacted');
    poisoned(node);
  });

  test('compacted without a snapshot', () => {
    const cluster = new Cluster({ voters: [1, 2, 3] });
    cluster.elect(1);
    const { storage, node } = cluster.member(1);
    cluster.isolate(3);
    cluster.propose(1, 'a');
    cluster.settle();
    storage.compact(storage.lastIndex());
    const metadata = { index: 0, term: 0, confState: CONF_STATE };
    storage.take = () => ({ data: new Uint8Array(0), metadata });
    cluster.heal();
    expect(() => {
      cluster.tickAll(3);
    }).toThrow('need non-empty snapshot');
    poisoned(node);
  });

  test('full: no index is left', () => {
    const storage = new MemoryStorage();
    const index = Number.MAX_SAFE_INTEGER - 1;
    const confState = { ...CONF_STATE, voters: [1] };
    const metadata = { index, term: 1, confState };
    storage.applySnapshot({ data: new Uint8Array(0), metadata });
    const node = nodeOf(storage, { applied: index });
    node.campaign();
    node.ready();
    expect(() => {
      node.advance();
    }).toThrow(`the log would grow beyond index ${index}`);
    poisoned(node);
  });

  test('without the term of its last entry', () => {
    class Forgetful extends MemoryStorage {
      override term(): 'unavailable' {
        return 'unavailable';
      }
    }
    const storage = new Forgetful();
    storage.append([entry(1)]);
    const log = new RaftLog(storage, new Reporter(undefined), 100);
    expect(() => log.lastId()).toThrow('unexpected error when getting the last term at 1');
  });
});

describe('a host that breaks its contract', () => {
  test('with two Readys and no advance between them', () => {
    const node = nodeOf(stored(), { applied: 7 });
    node.campaign();
    node.ready();
    expect(() => {
      node.ready();
    }).toThrow('two accepted Ready structs without call to Advance');
    poisoned(node);
  });

  test('with a source of random numbers that throws', () => {
    let isBroken = false;
    const random = (): number => {
      if (isBroken) throw new Error('no more');
      return 0;
    };
    const node = nodeOf(stored(), { random, applied: 7 });
    isBroken = true;
    expect(() => {
      for (let i = 0; i < 20; i++) node.tick();
    }).toThrow('no more');
    poisoned(node);
  });

  test('with a change that is none', () => {
    const node = nodeOf(stored());
    expect(() => node.applyConfChange({ version: 1 } as unknown as ConfChange)).toThrow(
      RaftInvariantError,
    );
    poisoned(node);
  });

  test.each([
    message('MsgProp', { from: 2, entries: [{ ...entry(0), type: 'EntryConfChange' }] }),
    message('MsgSnap', {
      from: 2,
      term: 1,
      snapshot: { data: bytes(''), metadata: { index: 9, term: 1, confState: CONF_STATE } },
    }),
  ])('with parts of messages that are none, $type', (whole) => {
    const node = nodeOf(stored());
    const broken = JSON.parse(JSON.stringify(whole), (key, value: unknown) =>
      ['data', 'voters'].includes(key) ? null : value,
    ) as Message;
    expect(() => {
      node.step(broken);
    }).toThrow(RaftInvariantError);
    poisoned(node);
  });

  test('with a change that removes a candidate while it is elected', () => {
    const node = nodeOf(stored(), { applied: 7 });
    node.campaign();
    node.applyConfChange({
      version: 1,
      change: { type: 'ConfChangeRemoveNode', nodeId: 1 },
    });
    const vote = { to: 1, term: 2 };
    node.step(message('MsgVoteResp', { ...vote, from: 2 }));
    expect(() => {
      node.step(message('MsgVoteResp', { ...vote, from: 3 }));
    }).toThrow('1 has no progress of its own');
    poisoned(node);
  });

  test('with a hook that throws when a joint configuration is left', () => {
    const trace = (event: TraceEvent): void => {
      if (event.kind !== 'append') return;
      const [first] = event.entries;
      if (first?.type === 'EntryConfChangeV2' && first.data.length === 0) throw new Error('hook');
    };
    const cluster = new Cluster({ voters: [1, 2, 3], config: { trace } });
    cluster.elect(1);
    const changes = [{ type: 'ConfChangeRemoveNode', nodeId: 3 }] as const;
    expect(() => {
      cluster.change(1, { version: 2, transition: 'jointImplicit', changes });
    }).toThrow('unexpected exception: hook');
    poisoned(cluster.node(1));
  });

  test('with an acknowledgment of nothing, which is nothing', () => {
    const node = nodeOf(stored());
    node.step(message('MsgStorageApplyResp', { from: LOCAL_APPLY_THREAD, to: 1 }));
    expect(node.basicStatus().applied).toBe(5);
  });

  test('with an election timeout that is none', () => {
    const node = nodeOf(stored());
    expect(() => {
      setRandomizedElectionTimeout(node, 0);
    }).toThrow(RaftInvariantError);
  });
});

describe('a log refuses', () => {
  const log = (): RaftLog => {
    const made = new RaftLog(stored(), new Reporter(undefined), 100);
    made.commitTo(6);
    return made;
  };

  test('entries that leave a gap', () => {
    const one = log();
    one.append([entry(8)]);
    expect(() => {
      one.append([entry(10)]);
    }).toThrow('unstable entries end before 9, cannot append at 10');
    expect(() => {
      one.append([entry(9), entry(11)]);
    }).toThrow('not contiguous');
  });

  test('to be applied beyond what is committed, or backwards', () => {
    expect(() => {
      log().acceptApplying(7, 0, true);
    }).toThrow('applying(7) is out of range');
    expect(() => {
      log().appliedTo(7, 0);
    }).toThrow('applied(7) is out of range');
    const one = log();
    one.appliedTo(6, 0);
    expect(() => {
      one.appliedTo(5, 0);
    }).toThrow('applied(5) is out of range');
  });

  test('slices that are empty, or end after it', () => {
    expect(() => log().slice(7, 7, 100)).toThrow('invalid slice 7 >= 7');
    expect(() => log().slice(7, 9, 100)).toThrow('out of bound');
    expect(() => log().unstable.slice(8, 9)).toThrow('out of bound');
  });

  test('to give up what is committed', () => {
    expect(() => {
      log().append([entry(6, 2)]);
    }).toThrow('after(5) is out of range');
  });
});

test.each<[Partial<ConfState>, string]>([
  [{ learnersNext: [4] }, 'no progress for 4'],
  [{ learnersNext: [3] }, '3 is in LearnersNext, but not Voters[1]'],
  [
    { votersOutgoing: [4], learners: [4], learnersNext: [4] },
    '4 is in LearnersNext, but is already marked as learner',
  ],
])('a configuration with %j is refused', (part, problem) => {
  const restore = (): unknown =>
    confchange.restore({ ...CONF_STATE, ...part }, 7, { maxInflightMsgs: 1 });
  expect(restore).toThrow(problem);
});

test('a configuration whose nodes are tracked as something else is refused', () => {
  const state = confchange.restore({ ...CONF_STATE, learners: [4] }, 7, { maxInflightMsgs: 1 });
  const change = [{ type: 'ConfChangeUpdateNode', nodeId: 1 }] as const;
  const voter = confchange.restore(CONF_STATE, 7, { maxInflightMsgs: 1 }).progress.get(1);
  const progress = new Map(state.progress).set(4, voter as NonNullable<typeof voter>);
  expect(() => confchange.simple({ ...state, progress }, change)).toThrow(
    '4 is in Learners, but is not marked as learner',
  );
});

test('a read answer without its request is ignored', () => {
  const lines: string[] = [];
  const logger = { enabled: () => true, log: (_: string, text: string) => lines.push(text) };
  const node = nodeOf(stored(), { logger, applied: 7 });
  node.step(message('MsgReadIndexResp', { from: 2, to: 1, term: 1, index: 7 }));
  expect(node.hasReady()).toBe(false);
  expect(lines.at(-1)).toBe('1 invalid format of MsgReadIndexResp from 2, entries count: 0');
});

test('what a node tracks is visited in the order of ids', () => {
  const seen: string[] = [];
  const node = nodeOf(stored());
  const change = { type: 'ConfChangeAddLearnerNode', nodeId: 2 } as const;
  node.applyConfChange({ version: 1, change });
  node.visitProgress((id, type, { match }) => seen.push(`${id} ${type} ${match}`));
  expect(seen).toEqual(['1 peer 7', '2 learner 0', '3 peer 0']);
});
