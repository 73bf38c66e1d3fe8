import { beforeAll, describe, expect, test } from '@jest/globals';
import { ConclaveError, SILENT_LOGGER } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';
import type { State } from '@conclave/state';
import type { Channel } from '@conclave/transport';
import { StateComparison } from '../../src/consensus/state-comparison.js';
import { StateMarks } from '../../src/consensus/state-marks.js';
import type { StateMark } from '../../src/consensus/state-marks.js';
import { SimulatedTime } from '../simulated-time.js';

/** Longer than the time between two comparisons, and than one takes. */
const ROUND_MS = 35_000;

beforeAll(async () => {
  await openSealed();
});

interface Manager {
  readonly id: string;
  membership: 'voter' | 'learner';
  isReachable: boolean;
  readonly marks: StateMarks;
  readonly comparison: StateComparison;
  code: string;
}

/** Managers named a, b, c, ... that apply commands; the first one leads. */
class Bench {
  readonly time = new SimulatedTime();
  readonly managers: readonly Manager[];
  asked = 0;
  leader = 'a';

  constructor(names: string) {
    this.managers = names.split('').map((id) => this.#manager(id));
    for (const { comparison } of this.managers) comparison.start();
  }

  named(id: string): Manager {
    return this.managers.find((manager) => manager.id === id)!;
  }

  /** Every manager applies it; those in `wrong` come to other tables. */
  apply(index: number, wrong = ''): void {
    const entry = { type: 'EntryNormal', term: 1, index, data: new Uint8Array(3) } as const;
    for (const { id, marks } of this.managers) {
      marks.add(entry, wrong.includes(id) ? `of ${wrong}` : 'right');
    }
  }

  async pass(ms = ROUND_MS): Promise<void> {
    await this.time.advance(ms, async () => {
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    });
  }

  /** Names of the managers that take no part any more. */
  get quarantined(): string {
    return this.managers.flatMap(({ id, code }) => (code === '' ? [] : [id])).join('');
  }

  #manager(id: string): Manager {
    const marks = new StateMarks();
    const rows = (): unknown[] =>
      this.managers.map((one) => ({ id: one.id, manager: { membership: one.membership } }));
    const state = {
      nodes: () => rows() as never,
      nodeByRaftId: (raftId: number) => ({ id: this.managers[raftId - 1]?.id }) as never,
    } as Pick<State, 'nodes' | 'nodeByRaftId'> as State;
    const comparison = new StateComparison({
      nodeId: id,
      marks,
      state: () => state,
      peers: { byNodeId: (other) => this.#channel(id, other) },
      isLeader: () => this.leader === id,
      timers: this.time,
      logger: SILENT_LOGGER,
    });
    const made: Manager = {
      id,
      membership: 'voter',
      isReachable: true,
      marks,
      comparison,
      code: '',
    };
    void comparison.diverged.then(({ code }) => {
      made.code = code;
      made.isReachable = false;
    });
    return made;
  }

  #channel(from: string, to: string): Channel {
    const unary = (_method: unknown, mark: StateMark): Promise<unknown> => {
      this.asked += 1;
      const { isReachable, comparison } = this.named(to);
      if (isReachable) return Promise.resolve(comparison.answer(from, mark));
      return Promise.reject(new ConclaveError('CV_PEER_UNREACHABLE', 'does not answer'));
    };
    return { unary } as unknown as Channel;
  }
}

describe('managers that compare their states', () => {
  test('go on for as long as they have the same', async () => {
    const bench = new Bench('abc');
    for (let index = 1; index < 5; index += 1) {
      bench.apply(index);
      await bench.pass();
    }
    expect(bench.asked).toBeGreaterThan(20);
    expect(bench.quarantined).toBe('');
    expect([...bench.named('a').comparison.others]).toEqual([]);
  });

  test.each([
    ['a follower of three', { names: 'abc', wrong: 'b', silent: '', quarantined: 'b' }],
    ['the leader of three', { names: 'abc', wrong: 'a', silent: '', quarantined: 'a' }],
    ['two of five', { names: 'abcde', wrong: 'ad', silent: '', quarantined: 'ad' }],
    ['a follower of two', { names: 'ab', wrong: 'b', silent: '', quarantined: 'b' }],
    [
      'the leader of two: nobody can tell who is wrong',
      { names: 'ab', wrong: 'a', silent: '', quarantined: 'b' },
    ],
    [
      'a follower of three while one does not answer',
      { names: 'abc', wrong: 'b', silent: 'c', quarantined: 'b' },
    ],
    [
      'the leader of five while two do not answer',
      { names: 'abcde', wrong: 'a', silent: 'de', quarantined: 'a' },
    ],
  ])('part from %s', async (_what, { names, wrong, silent, quarantined }) => {
    const bench = new Bench(names);
    bench.apply(1);
    await bench.pass();
    for (const id of silent) bench.named(id).isReachable = false;
    bench.apply(2, wrong);
    await bench.pass();
    expect(bench.quarantined).toBe(quarantined);
    expect(bench.named(quarantined[0]!).code).toBe('CV_STATE_DIVERGED');
  });

  test('name the one that differs until it has the same state, or is none of them any more', async () => {
    const bench = new Bench('abc');
    bench.apply(1, 'b');
    await bench.pass();
    await bench.pass();
    expect([...bench.named('a').comparison.others]).toEqual(['b']);
    bench.named('b').membership = 'learner';
    await bench.pass();
    expect([...bench.named('a').comparison.others]).toEqual([]);
  });

  test('do not measure themselves by one that does not vote; that one does by them', async () => {
    const bench = new Bench('ab');
    bench.named('b').membership = 'learner';
    bench.apply(1, 'b');
    await bench.pass();
    expect(bench.quarantined).toBe('b');
    const other = new Bench('ab');
    other.named('a').membership = 'learner';
    other.leader = 'b';
    other.apply(1, 'a');
    await other.pass();
    expect(other.quarantined).toBe('a');
  });

  test('ask again who did not answer before they part without it', async () => {
    const bench = new Bench('abc');
    bench.apply(1);
    await bench.pass();
    bench.apply(2, 'a');
    // The leader is wrong, and what b asks of c is lost, once.
    bench.named('c').isReachable = false;
    bench.named('b').comparison.wake();
    await bench.pass(500);
    bench.named('c').isReachable = true;
    await bench.pass(1_000);
    expect(bench.quarantined).toBe('a');
  });

  test('compare at once when another one leads', async () => {
    const bench = new Bench('abc');
    bench.apply(1);
    await bench.pass();
    bench.apply(2, 'c');
    await bench.pass(1_000);
    expect(bench.quarantined).toBe('');
    bench.leader = 'b';
    for (const { comparison } of bench.managers) comparison.wake();
    await bench.pass(0);
    expect(bench.quarantined).toBe('c');
  });

  test('hear it from the one that finds it out, and look at all others at once', async () => {
    const bench = new Bench('abcd');
    bench.apply(1, 'c');
    await expect(bench.named('b').comparison.confirm(1)).resolves.toBeUndefined();
    await bench.pass(0);
    const before = bench.asked;
    bench.apply(2, 'd');
    bench.named('d').comparison.wake();
    await bench.pass(0);
    expect(bench.quarantined).toContain('d');
    for (const id of 'ab') expect([...bench.named(id).comparison.others]).toContain('d');
    // Each of those that hear of it asks all others once, and nobody goes on asking.
    expect(bench.asked - before).toBeLessThan(20);
  });

  test('do not listen to one that does not vote', async () => {
    const bench = new Bench('ab');
    bench.apply(1, 'b');
    bench.named('b').membership = 'learner';
    bench.named('a').comparison.answer('b', bench.named('b').marks.newest);
    bench.named('a').comparison.answer('stranger', bench.named('b').marks.newest);
    await bench.pass();
    expect([...bench.named('a').comparison.others]).toEqual([]);
    expect(bench.named('a').code).toBe('');
  });

  test('do not take one that lags for another', async () => {
    const bench = new Bench('abc');
    bench.apply(1);
    const entry = { type: 'EntryNormal', term: 1, index: 2, data: new Uint8Array(3) } as const;
    bench.named('a').marks.add(entry, 'right');
    await bench.pass();
    expect(bench.quarantined).toBe('');
  });
});

describe('what is given out', () => {
  test('needs that the leader has the same state', async () => {
    const bench = new Bench('abc');
    bench.apply(1);
    const { comparison } = bench.named('b');
    await expect(comparison.confirm(1)).resolves.toBeUndefined();
    await expect(bench.named('a').comparison.confirm(1)).resolves.toBeUndefined();
    bench.apply(2, 'b');
    await expect(comparison.confirm(1)).rejects.toMatchObject({ code: 'CV_STATE_DIVERGED' });
    expect(bench.quarantined).toBe('b');
    await expect(comparison.confirm(1)).rejects.toMatchObject({ code: 'CV_STATE_DIVERGED' });
  });

  test('waits while a leader of another state is the one that is wrong', async () => {
    const bench = new Bench('abc');
    bench.apply(1, 'a');
    const { comparison } = bench.named('b');
    await expect(comparison.confirm(1)).rejects.toMatchObject({ code: 'CV_STATE_DIVERGED' });
    expect(bench.named('b').code).toBe('');
    bench.leader = 'c';
    await expect(comparison.confirm(3)).resolves.toBeUndefined();
  });

  test('waits for a leader that does not answer', async () => {
    const bench = new Bench('abc');
    bench.apply(1);
    bench.named('a').isReachable = false;
    const asked = bench.named('b').comparison.confirm(1);
    await expect(asked).rejects.toMatchObject({ code: 'CV_PEER_UNREACHABLE' });
  });
});
