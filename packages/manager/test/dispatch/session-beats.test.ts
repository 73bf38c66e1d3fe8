import { beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError, SILENT_LOGGER } from '@conclave/kernel';
import type { SessionsRequestInput } from '@conclave/wire';
import { BEAT_MS, CLOSED_WAITING_MAX } from '../../src/dispatch/limits.js';
import { SessionBeats } from '../../src/dispatch/session-beats.js';
import type { BeatingSession } from '../../src/dispatch/session-beats.js';
import { settle } from '../founded-cluster.js';
import { SimulatedTime } from '../simulated-time.js';

let time: SimulatedTime;
let beats: SessionBeats;
let said: SessionsRequestInput[];
let invalid: string[];
let cut: string[];
let removals: number;
let answer: () => Promise<void>;
const living = new Map<string, { isHeard: boolean }>();

beforeEach(() => {
  time = new SimulatedTime();
  said = [];
  invalid = [];
  cut = [];
  removals = 0;
  answer = () => Promise.resolve();
  living.clear();
  beats = new SessionBeats({
    sessions: () => [...living].map(([id, mark]) => sessionOf(id, mark)),
    beat: async (sessions) => {
      said.push(sessions);
      await answer();
      return { invalid };
    },
    onInvalid: (id) => void cut.push(id),
    onRemoved: () => void (removals += 1),
    timers: time,
    logger: SILENT_LOGGER,
  });
});

const sessionOf = (id: string, mark: { isHeard: boolean }): BeatingSession => ({
  id,
  nodeId: `node of ${id}`,
  takeHeard: () => {
    const { isHeard } = mark;
    mark.isHeard = false;
    return isHeard;
  },
});

function open(id: string): void {
  living.set(id, { isHeard: true });
  beats.opened({ nodeId: `node of ${id}`, sessionId: id });
}

const pass = (ms = BEAT_MS): Promise<void> => time.advance(ms, settle);
const idsOf = (list: SessionsRequestInput['opened']): (string | undefined)[] =>
  (list ?? []).map(({ sessionId }) => sessionId);
const hear = (id: string): void => void living.set(id, { isHeard: true });

describe('a beat', () => {
  test('is sent even when there is nothing to say', async () => {
    await pass(3 * BEAT_MS);
    expect(said).toHaveLength(3);
  });

  test('tells a new session at once, and once', async () => {
    open('a');
    await settle();
    expect(idsOf(said[0]?.opened)).toEqual(['a']);
    await pass();
    expect(said[1]?.opened).toEqual([]);
  });

  test('names the sessions that were heard since the last one', async () => {
    open('a');
    open('b');
    await pass();
    hear('b');
    await pass();
    expect(idsOf(said.at(-1)?.alive)).toEqual(['b']);
  });

  test('cuts what the leader calls invalid', async () => {
    open('a');
    invalid = ['a'];
    await pass();
    expect(cut).toContain('a');
  });
});

describe('a beat that fails', () => {
  test.each([
    ['CV_NODE_REMOVED', 1],
    ['CV_NO_LEADER', 0],
    ['CV_PEER_UNREACHABLE', 0],
  ] as const)('with %s says %i times that this manager is out', async (code, times) => {
    answer = () => Promise.reject(new ConclaveError(code, 'no'));
    await pass();
    expect(removals).toBe(times);
  });

  test('is said again by the next: no heartbeat is lost', async () => {
    answer = () => Promise.reject(new Error('no leader'));
    open('a');
    await settle();
    await pass();
    answer = () => Promise.resolve();
    await pass();
    expect(idsOf(said.at(-1)?.opened)).toEqual(['a']);
    expect(idsOf(said.at(-1)?.alive)).toEqual(['a']);
  });

  test('is not said again of a session that ended meanwhile, but its end is', async () => {
    let fail: () => void = () => undefined;
    answer = () =>
      new Promise((_, reject) => {
        fail = () => reject(new Error('no leader'));
      });
    open('a');
    await settle();
    living.delete('a');
    beats.closed('node of a', 'a');
    fail();
    await settle();
    answer = () => Promise.resolve();
    await pass();
    const last = said.at(-1);
    expect([idsOf(last?.opened), idsOf(last?.alive), idsOf(last?.closed)]).toEqual([[], [], ['a']]);
  });
});

describe('while a beat is on its way', () => {
  let finish: () => void;
  beforeEach(async () => {
    answer = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    await pass();
  });

  test('no other is sent, and what was heard is kept for the next', async () => {
    hear('a');
    await pass(5 * BEAT_MS);
    expect(said).toHaveLength(1);
    finish();
    await pass();
    expect(idsOf(said[1]?.alive)).toEqual(['a']);
  });

  test('a session that comes is told as soon as that one is answered', async () => {
    open('a');
    finish();
    await settle();
    expect(idsOf(said[1]?.opened)).toEqual(['a']);
  });

  test('a session that comes and goes is not worth a word', async () => {
    open('a');
    living.delete('a');
    beats.closed('node of a', 'a');
    finish();
    await pass();
    expect(said.flatMap(({ opened, closed }) => [...idsOf(opened), ...idsOf(closed)])).toEqual([]);
  });

  test('ends of sessions are kept within bounds', async () => {
    for (let count = 0; count < CLOSED_WAITING_MAX + 50; count += 1) {
      beats.closed('node', `s${count}`);
    }
    finish();
    await pass();
    expect(said[1]?.closed).toHaveLength(CLOSED_WAITING_MAX);
    expect(idsOf(said[1]?.closed)[0]).toBe('s50');
  });
});

test('nothing is sent after the close', async () => {
  beats.close();
  open('a');
  await pass(10 * BEAT_MS);
  expect(said).toEqual([]);
});
