import { describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { decodeCommand } from '@conclave/state';
import type { Command } from '@conclave/state';
import type { CallOptions, Channel } from '@conclave/transport';
import type { ProposeOutcomeInput, ProposeRequestInput } from '@conclave/wire';
import { RemoteProposals } from '../../src/consensus/remote-proposals.js';
import { encodeFailure, encodeResult } from '../../src/consensus/result-codec.js';
import { SimulatedTime } from '../simulated-time.js';

const LEADER = 7;

const command = (id: string): Command => ({
  kind: 'token.revoke',
  id,
  atMs: 1,
  by: { kind: 'admin', id: 'local' },
  request: undefined,
});

const idOf = (bytes: Uint8Array): string => (decodeCommand(bytes) as { id: string }).id;

interface Call {
  readonly ids: readonly string[];
  readonly answer: (outcomes: readonly ProposeOutcomeInput[]) => void;
  readonly fail: (error: Error) => void;
}

/** A leader whose answers the test gives, and turns that pass when it says so. */
class Bench {
  readonly calls: Call[] = [];
  isKnown = true;
  readonly time = new SimulatedTime();
  readonly #turn: (() => void)[] = [];
  readonly remote: RemoteProposals = new RemoteProposals({
    channelOf: () => (this.isKnown ? this.#channel() : undefined),
    schedule: (run) => void this.#turn.push(run),
    timers: this.time,
  });

  /** Runs what was scheduled, then what follows from it. */
  async pass(): Promise<void> {
    for (const run of this.#turn.splice(0)) run();
    for (let step = 0; step < 10; step += 1) await Promise.resolve();
  }

  propose(id: string, signal?: AbortSignal): Promise<unknown> {
    const outcome = this.remote.propose(LEADER, command(id), signal).then(
      ({ index }) => index,
      (error: unknown) => (error as ConclaveError).code,
    );
    return outcome;
  }

  #channel(): Pick<Channel, 'unary'> {
    const unary = (
      _method: unknown,
      request: ProposeRequestInput,
      { signal }: CallOptions,
    ): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const onAbort = (): void => reject(new ConclaveError('CV_CANCELLED', 'given up'));
        signal?.addEventListener('abort', onAbort);
        const ids = (request.commands ?? []).map(idOf);
        const answer: Call['answer'] = (outcomes) =>
          resolve({ outcomes: outcomes.map((one) => ({ error: null, ...one })) });
        this.calls.push({ ids, answer, fail: reject });
      });
    return { unary } as unknown as Pick<Channel, 'unary'>;
  }
}

const done = (index: number): ProposeOutcomeInput => ({
  index,
  result: encodeResult({ ok: true, index, values: {} }),
});

describe('commands on their way to the leader', () => {
  test('of one turn share a call, and each gets its own outcome', async () => {
    const bench = new Bench();
    const outcomes = ['a', 'b', 'c'].map((id) => bench.propose(id));
    await bench.pass();
    expect(bench.calls.map(({ ids }) => ids)).toEqual([['a', 'b', 'c']]);
    const refused = encodeFailure(new ConclaveError('CV_NOT_LEADER', 'not any more'));
    bench.calls[0]?.answer([done(4), refused, done(6)]);
    expect(await Promise.all(outcomes)).toEqual([4, 'CV_NOT_LEADER', 6]);
  });

  test('that were not sent are certainly not done when somebody else leads', async () => {
    const bench = new Bench();
    const sent = ['a', 'b'].map((id) => bench.propose(id));
    await bench.pass();
    const second = bench.propose('c');
    await bench.pass();
    const waiting = bench.propose('d');
    await bench.pass();
    expect(bench.calls.map(({ ids }) => ids)).toEqual([['a', 'b'], ['c']]);
    bench.remote.follow(LEADER);
    const kept = await Promise.race([waiting, Promise.resolve('waits')]);
    expect(kept).toBe('waits');
    bench.remote.follow(0);
    expect(await waiting).toBe('CV_NOT_LEADER');
    bench.calls[0]?.answer([done(4), done(5)]);
    bench.calls[1]?.answer([done(6)]);
    expect(await Promise.all([...sent, second])).toEqual([4, 5, 6]);
  });

  test('have a moment for their answer when another manager leads, and no more', async () => {
    const bench = new Bench();
    const [first, second] = [bench.propose('a'), bench.propose('b')];
    await bench.pass();
    bench.remote.follow(LEADER + 1);
    await bench.time.advance(400, () => bench.pass());
    expect(await Promise.race([first, Promise.resolve('waits')])).toBe('waits');
    await bench.time.advance(200, () => bench.pass());
    expect(await Promise.all([first, second])).toEqual([
      'CV_OUTCOME_UNKNOWN',
      'CV_OUTCOME_UNKNOWN',
    ]);
  });

  test('go on while nobody leads, and when the same one leads again', async () => {
    const bench = new Bench();
    const outcome = bench.propose('a');
    await bench.pass();
    bench.remote.follow(0);
    await bench.time.advance(2_000, () => bench.pass());
    bench.remote.follow(LEADER + 1);
    await bench.time.advance(100, () => bench.pass());
    bench.remote.follow(LEADER);
    await bench.time.advance(2_000, () => bench.pass());
    bench.calls[0]?.answer([done(3)]);
    expect(await outcome).toBe(3);
  });

  test('gather while two calls are open', async () => {
    const bench = new Bench();
    const outcomes: Promise<unknown>[] = [];
    for (const id of ['a', 'b', 'c', 'd']) {
      outcomes.push(bench.propose(id));
      await bench.pass();
    }
    expect(bench.calls.map(({ ids }) => ids)).toEqual([['a'], ['b']]);
    bench.calls[0]?.answer([done(1)]);
    await bench.pass();
    await bench.pass();
    expect(bench.calls.map(({ ids }) => ids)).toEqual([['a'], ['b'], ['c', 'd']]);
    bench.calls[1]?.answer([done(2)]);
    bench.calls[2]?.answer([done(3), done(4)]);
    expect(await Promise.all(outcomes)).toEqual([1, 2, 3, 4]);
  });

  test('a call that fails fails all of it and nothing else', async () => {
    const bench = new Bench();
    const first = [bench.propose('a'), bench.propose('b')];
    await bench.pass();
    bench.calls[0]?.fail(new ConclaveError('CV_PEER_UNREACHABLE', 'gone'));
    expect(await Promise.all(first)).toEqual(['CV_OUTCOME_UNKNOWN', 'CV_OUTCOME_UNKNOWN']);
    const later = bench.propose('c');
    await bench.pass();
    bench.calls[1]?.answer([done(9)]);
    expect(await later).toBe(9);
  });

  test('an answer that is too short is no answer', async () => {
    const bench = new Bench();
    const outcomes = [bench.propose('a'), bench.propose('b')];
    await bench.pass();
    bench.calls[0]?.answer([done(1)]);
    expect(await Promise.all(outcomes)).toEqual([1, 'CV_PROTOCOL']);
  });

  test('who gives up before it was sent does not have it sent', async () => {
    const bench = new Bench();
    const control = new AbortController();
    const outcomes = [bench.propose('a', control.signal), bench.propose('b')];
    control.abort();
    await bench.pass();
    expect(bench.calls.map(({ ids }) => ids)).toEqual([['b']]);
    bench.calls[0]?.answer([done(1)]);
    expect(await Promise.all(outcomes)).toEqual(['CV_CANCELLED', 1]);
    expect(await bench.propose('c', control.signal)).toBe('CV_CANCELLED');
  });

  test('without an address it is certainly not done', async () => {
    const bench = new Bench();
    bench.isKnown = false;
    const outcome = bench.propose('a');
    await bench.pass();
    expect(await outcome).toBe('CV_NOT_LEADER');
  });

  test('a defect of the leader keeps its text to itself', () => {
    const failure = encodeFailure(new ConclaveError('CV_INTERNAL', 'secret text'));
    expect(JSON.stringify(failure)).not.toContain('secret text');
    expect(failure.error?.code).toBe('CV_INTERNAL');
  });

  test('more than a queue holds is refused', async () => {
    const bench = new Bench();
    for (let count = 0; count < 4_096; count += 1) void bench.propose('a');
    expect(await bench.propose('b')).toBe('CV_QUEUE_FULL');
    await bench.pass();
    expect(bench.calls.map(({ ids }) => ids.length)).toEqual([256, 256]);
  });
});
