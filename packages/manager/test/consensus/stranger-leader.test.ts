import { describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { StrangerLeader } from '../../src/consensus/stranger-leader.js';
import { SimulatedTime } from '../simulated-time.js';
import { settle } from '../founded-cluster.js';

const PERIOD_MS = 2_000;
/** Raft ids are drawn: here the oldest manager has the highest. */
const BY_AGE = [70, 50, 30, 10] as const;
const [FIRST, SECOND, AWAY, LAST] = BY_AGE;

class Bench {
  readonly time = new SimulatedTime();
  readonly transfers: number[] = [];
  readonly strangersTo = new Set<number>();
  active = new Set<number>([FIRST, SECOND, LAST]);
  readonly leader: StrangerLeader;

  constructor(self: number) {
    this.leader = new StrangerLeader(
      {
        selfRaftId: () => self,
        voters: () => BY_AGE,
        sinceIndexOf: (raftId) => 5 * BY_AGE.findIndex((id) => id === raftId),
        activeVoters: () => this.active,
        isStrangerTo: (raftId) => this.strangersTo.has(raftId),
        transferLeadership: (to) => {
          this.transfers.push(to);
          return Promise.resolve();
        },
      },
      this.time,
      SILENT_LOGGER,
    );
    this.leader.start();
  }

  async look(count: number): Promise<void> {
    for (let look = 0; look < count; look += 1) {
      await this.time.advance(PERIOD_MS, settle);
    }
  }
}

describe('a leader that a voter does not know', () => {
  test('gives leadership to the oldest manager that answers', async () => {
    const bench = new Bench(LAST);
    bench.active = new Set([SECOND, LAST]);
    bench.strangersTo.add(AWAY);
    await bench.look(4);
    expect(bench.transfers[0]).toBe(SECOND);
  });

  test('does not while all know it, nor for a voter that knows it a moment later', async () => {
    const bench = new Bench(LAST);
    await bench.look(5);
    bench.strangersTo.add(AWAY);
    await bench.look(2);
    bench.strangersTo.delete(AWAY);
    await bench.look(5);
    expect(bench.transfers).toEqual([]);
  });

  test('keeps it when it is the oldest, or only those are older that do not know it', async () => {
    const oldest = new Bench(FIRST);
    oldest.strangersTo.add(AWAY);
    await oldest.look(5);
    expect(oldest.transfers).toEqual([]);
    const unknown = new Bench(LAST);
    unknown.active = new Set([SECOND, AWAY, LAST]);
    for (const id of [FIRST, SECOND, AWAY]) unknown.strangersTo.add(id);
    await unknown.look(5);
    expect(unknown.transfers).toEqual([]);
  });
});
