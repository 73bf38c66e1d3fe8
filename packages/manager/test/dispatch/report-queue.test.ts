import { beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError, SILENT_LOGGER } from '@conclave/kernel';
import type { CommandBody } from '@conclave/state';
import {
  REPORT_BYTES_PER_ENTRY_MAX,
  REPORT_BYTES_WAITING_MAX,
  REPORTS_PER_ENTRY_MAX,
  REPORTS_WAITING_MAX,
} from '../../src/dispatch/limits.js';
import { ReportQueue } from '../../src/dispatch/report-queue.js';
import { settle } from '../founded-cluster.js';
import { SimulatedTime } from '../simulated-time.js';

let time: SimulatedTime;
let entries: (readonly string[])[];
let queue: ReportQueue<string>;
/** What committing these reports comes to. */
let outcome: (reports: readonly string[]) => Promise<void>;

beforeEach(() => {
  time = new SimulatedTime();
  entries = [];
  outcome = () => Promise.resolve();
  queue = new ReportQueue<string>({
    toBody: (reports) => reports as unknown as CommandBody,
    sizeOf: (report) => report.length,
    commit: async (body) => {
      const reports = body as unknown as readonly string[];
      await outcome(reports);
      entries.push(reports);
    },
    timers: time,
    logger: SILENT_LOGGER,
  });
});

const pass = (ms: number): Promise<void> => time.advance(ms, settle);

/** Adds a batch and notes when it is settled. */
function add(...reports: string[]): { state: string } {
  return addOf(undefined, reports);
}

function addOf(session: AbortSignal | undefined, reports: string[]): { state: string } {
  const noted = { state: 'waiting' };
  queue.add(reports, session).then(
    () => {
      noted.state = 'done';
    },
    (error: unknown) => {
      noted.state = (error as { code: string }).code;
    },
  );
  return noted;
}

describe('reports', () => {
  test('of all sessions gather into one entry', async () => {
    const added = [add('a1', 'a2'), add('b1'), add()];
    await pass(9);
    expect(entries).toEqual([]);
    await pass(50);
    expect(entries).toEqual([['a1', 'a2', 'b1']]);
    expect(added.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
  });

  test('that come while an entry is on its way go with the next', async () => {
    let finish: () => void = () => undefined;
    outcome = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    add('a');
    await pass(50);
    const late = add('b');
    finish();
    await settle();
    finish();
    await pass(50);
    expect(entries).toEqual([['a'], ['b']]);
    expect(late.state).toBe('done');
  });

  test('go into entries of a bounded size', async () => {
    const batch = Array.from({ length: 300 }, (_, place) => `r${place}`);
    for (let count = 0; count < 5; count += 1) add(...batch);
    await pass(100);
    expect(entries.map((entry) => entry.length)).toEqual([600, 600, 300]);
    expect(Math.max(...entries.map((entry) => entry.length))).toBeLessThan(
      REPORTS_PER_ENTRY_MAX + batch.length,
    );
  });

  test('that are large go into more entries, and are many sooner', async () => {
    const size = REPORT_BYTES_PER_ENTRY_MAX / 3;
    const large = [1, 2, 3, 4, 5].map((number) => `${number}`.padEnd(size));
    for (const report of large) add(report);
    await pass(100);
    expect(entries.map((entry) => entry.length)).toEqual([3, 2]);
    outcome = () => Promise.reject(new ConclaveError('CV_NO_LEADER', 'none'));
    add('x'.repeat(REPORT_BYTES_WAITING_MAX - 1));
    expect(queue.isFull).toBe(false);
    add('x');
    expect(queue.isFull).toBe(true);
    outcome = () => Promise.resolve();
    await pass(1_000);
    expect(queue.isFull).toBe(false);
  });

  test("of a session that has ended are its agent's to send again", async () => {
    outcome = () => Promise.reject(new ConclaveError('CV_NO_LEADER', 'none'));
    const session = new AbortController();
    const batch = Array.from({ length: REPORTS_WAITING_MAX }, (_, place) => `old ${place}`);
    const old = addOf(session.signal, batch);
    add('other');
    await pass(1_000);
    expect(queue.isFull).toBe(true);
    session.abort();
    outcome = () => Promise.resolve();
    await pass(1_000);
    expect(entries).toEqual([['other']]);
    expect(old.state).toBe('waiting');
    expect(queue.isFull).toBe(false);
  });

  test('are repeated, in order, until they are committed', async () => {
    outcome = () => Promise.reject(new ConclaveError('CV_NO_LEADER', 'none'));
    const first = add('a');
    await pass(1_000);
    const second = add('b');
    expect(first.state).toBe('waiting');
    outcome = () => Promise.resolve();
    await pass(1_000);
    expect(entries).toEqual([['a', 'b']]);
    expect([first.state, second.state]).toEqual(['done', 'done']);
  });

  test('that fit into no entry are refused alone; the others go on', async () => {
    outcome = (reports) =>
      reports.includes('poison')
        ? Promise.reject(new ConclaveError('CV_LIMIT_EXCEEDED', 'too large'))
        : Promise.resolve();
    const [before, bad, after] = [add('a'), add('poison'), add('b')];
    await pass(100);
    expect([before.state, bad.state, after.state]).toEqual(['done', 'CV_LIMIT_EXCEEDED', 'done']);
    expect(entries).toEqual([['a'], ['b']]);
  });

  test('keep their place when the leader goes while one of them is refused', async () => {
    let hasLeader = true;
    outcome = (reports) => {
      if (!hasLeader) return Promise.reject(new ConclaveError('CV_NO_LEADER', 'none'));
      if (!reports.includes('poison')) return Promise.resolve();
      if (reports.length === 1) hasLeader = false;
      return Promise.reject(new ConclaveError('CV_LIMIT_EXCEEDED', 'too large'));
    };
    const [bad, good] = [add('poison'), add('a')];
    await pass(300);
    expect([bad.state, good.state]).toEqual(['CV_LIMIT_EXCEEDED', 'waiting']);
    hasLeader = true;
    await pass(1_000);
    expect(good.state).toBe('done');
  });

  test('a queue of the leader that is full passes: it is no fault of the reports', async () => {
    outcome = () => Promise.reject(new ConclaveError('CV_QUEUE_FULL', 'later'));
    const added = add('a');
    await pass(1_000);
    expect(added.state).toBe('waiting');
    outcome = () => Promise.resolve();
    await pass(1_000);
    expect(added.state).toBe('done');
  });
});

test('a queue says when sessions should wait, and when they may go on', async () => {
  const many = Array.from({ length: REPORTS_WAITING_MAX }, () => 'r');
  add(...many);
  expect(queue.isFull).toBe(true);
  await pass(100);
  expect(queue.isFull).toBe(false);
});

test('a closed queue commits nothing more', async () => {
  outcome = () => Promise.reject(new ConclaveError('CV_NO_LEADER', 'none'));
  const added = add('a');
  await pass(100);
  queue.close();
  outcome = () => Promise.resolve();
  await pass(10_000);
  expect([entries, added.state]).toEqual([[], 'waiting']);
});
