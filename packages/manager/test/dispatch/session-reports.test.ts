import { beforeEach, describe, expect, test } from '@jest/globals';
import { createId, limits, SILENT_LOGGER } from '@conclave/kernel';
import { encodeCommand } from '@conclave/state';
import type { CommandBody } from '@conclave/state';
import type { ReceiptReport, TaskReport } from '@conclave/wire';
import type { DispatchContext } from '../../src/dispatch/dispatch-context.js';
import { REPORTS_PER_BATCH_MAX, UNCONFIRMED_BATCHES_MAX } from '../../src/dispatch/limits.js';
import { receiptSize, taskReportSize } from '../../src/dispatch/report-messages.js';
import { ReportQueue } from '../../src/dispatch/report-queue.js';
import { SessionReports } from '../../src/dispatch/session-reports.js';
import { FoundedCluster, settle, SYSTEM } from '../founded-cluster.js';
import { seededRandom } from '../scheduling/cluster.js';
import { Workload } from './agent-side.js';

const LONG = 'x'.repeat(9_000_000);

let cluster: FoundedCluster;
let work: Workload;
let node: string;
let entries: CommandBody[];
let confirm: () => Promise<unknown>;
let reports: SessionReports;

beforeEach(async () => {
  cluster = await FoundedCluster.running();
  work = new Workload(cluster);
  node = cluster.addWorker('one');
  entries = [];
  confirm = () => Promise.resolve();
  const { time } = cluster;
  const commit = (body: CommandBody): Promise<void> => {
    entries.push(body);
    return Promise.resolve();
  };
  const queue = { commit, timers: time, logger: SILENT_LOGGER };
  const context = {
    state: () => cluster.state,
    confirm: () => confirm(),
    taskReports: new ReportQueue({
      ...queue,
      sizeOf: taskReportSize,
      toBody: (all) => ({ kind: 'tasks.report', reports: all }),
    }),
    receipts: new ReportQueue({
      ...queue,
      sizeOf: receiptSize,
      toBody: (all) => ({ kind: 'receipts.report', receipts: all }),
    }),
    clock: time,
    timers: time,
  } as Partial<DispatchContext> as DispatchContext;
  reports = new SessionReports(node, context, new AbortController().signal);
});

const report = (taskId: string, fields: Partial<TaskReport> = {}): TaskReport =>
  ({ taskId, state: 'RUNNING', message: '', error: '', atMs: 1, ...fields }) as TaskReport;

const receipt = (taskId: string, fields: Partial<ReceiptReport> = {}): ReceiptReport =>
  ({
    taskId,
    target: 'db',
    secretId: cluster.state.secretByName('db')?.id ?? '',
    version: 1,
    outcome: 'delivered',
    detail: '',
    atMs: 1,
    ...fields,
  }) as ReceiptReport;

/** Lets time pass until the batch is acknowledged. */
async function acknowledged(taken: Promise<{ committed: Promise<void> }>): Promise<void> {
  let isDone = false;
  const done = taken.then(({ committed }) => committed).then(() => void (isDone = true));
  await cluster.time.advance(100, settle);
  expect(isDone).toBe(true);
  await done;
}

describe('reports of an agent', () => {
  test('about tasks that nobody gave it are acknowledged and get no entry', async () => {
    await acknowledged(reports.takeTasks([report(LONG), report(createId(seededRandom(4)))]));
    expect(entries).toEqual([]);
  });

  test('about files that its task does not bind are acknowledged and get no entry', async () => {
    work.secret('db', 'value');
    const task = work.task(node, [work.binding('db')]);
    const made = [
      receipt(LONG),
      receipt(task, { target: LONG }),
      receipt(task, { secretId: LONG }),
      receipt(task, { version: 2 }),
    ];
    await acknowledged(reports.takeReceipts(made));
    expect(entries).toEqual([]);
    await acknowledged(reports.takeReceipts([...made, receipt(task)]));
    expect(entries).toMatchObject([{ kind: 'receipts.report', receipts: [{ target: 'db' }] }]);
  });

  test('about a task that the tables do not show yet wait for the tables', async () => {
    const random = seededRandom(33);
    // The ids that the workload will draw: service, then task.
    const [, id] = [createId(random), createId(random)] as const;
    let failures = 1;
    confirm = () => {
      failures -= 1;
      if (failures >= 0) return Promise.reject(new Error('there is no leader'));
      expect(work.task(node, [])).toBe(id);
      return Promise.resolve();
    };
    const taken = reports.takeTasks([report(id)]);
    await cluster.time.advance(1_000, settle);
    await acknowledged(taken);
    expect(entries).toMatchObject([{ reports: [{ taskId: id }] }]);
  });

  test('wait in order, a bounded number of batches, while the session is read', async () => {
    let hasLeader = false;
    confirm = () => (hasLeader ? Promise.resolve() : Promise.reject(new Error('no leader')));
    const task = work.task(node, []);
    const unknown = report(createId(seededRandom(4)));
    const batches = [[unknown], [report(task)], [unknown, report(task, { state: 'COMPLETE' })]];
    const taken = await Promise.all(batches.map((batch) => reports.takeTasks(batch)));
    while (taken.length < UNCONFIRMED_BATCHES_MAX) taken.push(await reports.takeTasks([unknown]));
    expect(taken.map(({ isFull }) => isFull)).not.toContain(true);
    const last = await reports.takeTasks([report(task)]);
    expect(last.isFull).toBe(true);
    await cluster.time.advance(10_000, settle);
    expect(entries).toEqual([]);
    hasLeader = true;
    await cluster.time.advance(1_000, settle);
    await Promise.all([...taken, last].map(({ committed }) => committed));
    const states = entries.flatMap((body) =>
      body.kind === 'tasks.report' ? body.reports.map(({ state }) => state) : [],
    );
    expect(states).toEqual(['RUNNING', 'COMPLETE', 'RUNNING']);
    expect((await reports.takeTasks([report(task)])).isFull).toBe(false);
  });

  test('fit into an entry, however long their texts are', async () => {
    const task = work.task(node, []);
    const long = { message: '\uffff'.repeat(600), error: '\uffff'.repeat(600) };
    const batch = Array.from({ length: REPORTS_PER_BATCH_MAX }, () => report(task, long));
    const both = [reports.takeTasks(batch), reports.takeTasks(batch)];
    for (const taken of both) await acknowledged(taken);
    expect(entries).toHaveLength(2);
    for (const body of entries) {
      const entry = encodeCommand({ ...body, atMs: 0, by: SYSTEM, request: undefined } as never);
      expect(entry.length).toBeLessThan(limits.PROPOSAL_BYTES_MAX);
      if (body.kind !== 'tasks.report') throw new Error(body.kind);
      const size = body.reports.map(taskReportSize).reduce((sum, one) => sum + one, 0);
      expect(entry.length).toBeLessThanOrEqual(size);
    }
  });

  test('are read at a pace of their own when there are very many', async () => {
    const task = work.task(node, []);
    const batch = Array.from({ length: REPORTS_PER_BATCH_MAX }, () => report(task));
    let taken = 0;
    void (async () => {
      for (;;) {
        await reports.takeTasks(batch);
        taken += batch.length;
      }
    })();
    await cluster.time.advance(0, settle);
    const atOnce = taken;
    expect(atOnce).toBeGreaterThan(2_000);
    await cluster.time.advance(60_000, settle);
    // No silence that an honest agent would be cut for, and no flood.
    expect(taken - atOnce).toBeGreaterThan(5_000);
    expect(taken - atOnce).toBeLessThan(7_000);
  });
});
