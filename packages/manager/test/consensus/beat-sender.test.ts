import { describe, expect, test } from '@jest/globals';
import type { Channel } from '@conclave/transport';
import { BEAT_CALL_MS, BeatSender } from '../../src/consensus/beat-sender.js';
import { START_GRACE_FACTOR } from '../../src/scheduling/liveness.js';

const SELF = 1;

interface Call {
  readonly to: number;
  readonly timeoutMs: number | undefined;
  readonly fail: (error: Error) => void;
}

/** Managers that never answer by themselves. */
class Bench {
  leader = 2;
  readonly calls: Call[] = [];
  readonly received: unknown[] = [];
  readonly sender: BeatSender = new BeatSender({
    awaitLeader: () => Promise.resolve(this.leader),
    isLeader: () => this.leader === SELF,
    receive: (sessions) => {
      this.received.push(sessions);
      return Promise.resolve(['replaced']);
    },
    channelOf: (raftId) => this.#channel(raftId),
  });

  /** Another manager leads; 0: nobody yet. */
  async lead(raftId: number): Promise<void> {
    this.leader = raftId;
    this.sender.follow(raftId);
    await this.pass();
  }

  async pass(): Promise<void> {
    for (let step = 0; step < 10; step += 1) await Promise.resolve();
  }

  #channel(to: number): Pick<Channel, 'unary'> {
    const unary: Channel['unary'] = (_method, _request, options) =>
      new Promise((_resolve, fail) => {
        options?.signal?.addEventListener('abort', () => fail(new Error('aborted')));
        this.calls.push({ to, timeoutMs: options?.timeoutMs, fail });
      });
    return { unary };
  }
}

describe('a beat', () => {
  test('that hangs is over long before a new leader calls anybody DOWN', () => {
    // The grace of a new leader, in milliseconds; the beat after the one that hung has to arrive.
    expect(BEAT_CALL_MS).toBeLessThan((START_GRACE_FACTOR * 3 * 1_500) / 3);
  });

  test('for a leader that hangs goes to the new one as soon as it is known', async () => {
    const bench = new Bench();
    void bench.sender.send({}).catch(() => undefined);
    await bench.pass();
    expect(bench.calls).toMatchObject([{ to: 2, timeoutMs: BEAT_CALL_MS }]);
    await bench.lead(3);
    expect(bench.calls.map(({ to }) => to)).toEqual([2, 3]);
  });

  test('stays here when this manager is the new leader', async () => {
    const bench = new Bench();
    const sent = bench.sender.send({ alive: [{ nodeId: 'w', sessionId: 's' }] });
    await bench.pass();
    await bench.lead(SELF);
    expect(await sent).toEqual({ invalid: ['replaced'] });
    expect(bench.received).toEqual([{ alive: [{ nodeId: 'w', sessionId: 's' }] }]);
  });

  test('goes on when only the term of the same leader has changed', async () => {
    const bench = new Bench();
    const failed = bench.sender.send({}).then(
      () => 'sent',
      (error: Error) => error.message,
    );
    await bench.pass();
    await bench.lead(2);
    expect(bench.calls).toHaveLength(1);
    bench.calls[0]?.fail(new Error('refused'));
    expect(await failed).toBe('refused');
    expect(bench.calls).toHaveLength(1);
  });
});
