import { describe, expect, test } from '@jest/globals';
import { SILENT_LOGGER } from '@conclave/kernel';
import { StrangerLeader } from '../../src/consensus/stranger-leader.js';
import { SimulatedTime } from '../simulated-time.js';
import { settle } from '../founded-cluster.js';

const PERIOD_MS = 2_000;

class Bench {
  readonly time = new SimulatedTime();
  readonly transfers: number[] = [];
  readonly strangersTo = new Set<number>();
  active = new Set([1, 2, 4]);
  readonly leader: StrangerLeader;

  constructor(self: number) {
    this.leader = new StrangerLeader(
      {
        selfRaftId: () => self,
        voters: () => [1, 2, 3, 4],
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
    const bench = new Bench(4);
    bench.active = new Set([2, 4]);
    bench.strangersTo.add(3);
    await bench.look(4);
    expect(bench.transfers[0]).toBe(2);
  });

  test('does not while all know it, nor for a voter that knows it a moment later', async () => {
    const bench = new Bench(4);
    await bench.look(5);
    bench.strangersTo.add(3);
    await bench.look(2);
    bench.strangersTo.delete(3);
    await bench.look(5);
    expect(bench.transfers).toEqual([]);
  });

  test('keeps it when it is the oldest, or only those are older that do not know it', async () => {
    const oldest = new Bench(1);
    oldest.strangersTo.add(3);
    await oldest.look(5);
    expect(oldest.transfers).toEqual([]);
    const unknown = new Bench(4);
    unknown.active = new Set([2, 3, 4]);
    for (const id of [1, 2, 3]) unknown.strangersTo.add(id);
    await unknown.look(5);
    expect(unknown.transfers).toEqual([]);
  });
});
