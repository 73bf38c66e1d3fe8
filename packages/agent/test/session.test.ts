import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ConclaveError } from '@conclave/kernel';
import { openSealed } from '@conclave/sealed';
import type { AssignmentChunk } from '@conclave/wire';

import { Bench } from './agent-support.js';
import { FakeManager, taskMessage } from './fake-manager.js';
import type { FakeAssignment, FakeSession, FakeTask } from './fake-manager.js';

beforeAll(openSealed);

let bench: Bench;
let task: string;
let secret: string;
beforeEach(() => {
  bench = new Bench();
  task = bench.id();
  secret = bench.id();
});

const bound = (rest = {}) => ({ target: 'password', secretId: secret, version: 1, ...rest });
const good = (): FakeAssignment => ({
  tasks: [{ id: task, bindings: [bound()] }],
  values: { [`${secret}@1`]: { text: 'one', taskIds: [task] } },
});

describe('the manager proves itself', () => {
  const refused: [string, (bench: Bench) => void][] = [
    [
      'signs with another key',
      ({ manager, random, cluster }) =>
        manager.session.accept({ signer: new FakeManager({ random, cluster }) }),
    ],
    ['names another manager', (here) => here.manager.session.accept({ managerId: here.id() })],
    ['speaks to another node', ({ manager }) => manager.session.accept({ nodeId: 'other' })],
    ['begins with something else', ({ manager }) => manager.session.send({ info: {} })],
  ];
  test.each(refused)('an Accept that %s ends the session', async (_, answer) => {
    await bench.agent.start();
    const first = await bench.time.until('Hello', () => bench.manager.sessions[0]);
    await bench.time.until('Hello', () => first.all('hello').length > 0);
    answer(bench);
    await bench.time.until('another attempt', () => bench.manager.sessions.length > 1);
    expect(first.isClosed).toBe(true);
    expect(first.all('heartbeat')).toEqual([]);
  });

  test('a manager that never answers is left for another one', async () => {
    bench = new Bench(2);
    await bench.agent.start();
    const sessions = () => bench.managers.flatMap((manager) => manager.sessions);
    const first = await bench.time.until('a Hello', () => sessions()[0]);
    bench.time.advance(10_000);
    await bench.time.until('another manager', () =>
      bench.managers.every((manager) => manager.sessions.length > 0),
    );
    expect(first.isClosed).toBe(true);
  });
});

describe('a node that the managers refuse', () => {
  const answered = (count: number) =>
    bench.time.until('an attempt', () => bench.manager.sessions[count - 1]);
  const gone = () => new ConclaveError('CV_PEER_UNREACHABLE', 'nobody there');
  const removed = () => new ConclaveError('CV_NODE_REMOVED', 'removed');

  test('knows it, also while they cannot be reached', async () => {
    await bench.agent.start();
    const standing = () => bench.agent.status().standing;
    (await answered(1)).end(gone());
    (await answered(2)).end(new ConclaveError('CV_UNAUTHENTICATED', 'not accepted any more'));
    expect(standing()).toBe('member');
    (await answered(3)).end(gone());
    expect(standing()).toBe('refused');
    const fourth = await answered(4);
    expect(standing()).toBe('refused');
    fourth.accept();
    await bench.time.until('a session', () => bench.agent.status().managerId !== '');
    fourth.end(new Error('unreachable'));
    await answered(5);
    expect(standing()).toBe('member');
  });

  /** An agent of several managers whose task runs by an assignment of one of them. */
  async function runAmong(count: number): Promise<FakeSession> {
    bench = new Bench(count);
    await bench.agent.start();
    const first = await bench.time.until('Hello', () =>
      bench.managers
        .flatMap(({ sessions }) => sessions)
        .find((session) => session.all('hello').length > 0),
    );
    first.accept();
    first.assign(good());
    await bench.time.until('RUNNING', () => first.states.includes(`${task} RUNNING`));
    return first;
  }

  test('ends its tasks also when most say so outside of a session, once', async () => {
    await runAmong(3);
    const [one, two, three] = bench.managers.map(({ place }) => place.nodeId);
    bench.agent.hear(one!, 'CV_NODE_REMOVED');
    bench.agent.hear(one!, 'CV_NODE_REMOVED');
    bench.agent.hear(two!, 'CV_UNAUTHENTICATED');
    expect(bench.agent.status().standing).toBe('refused');
    expect(bench.executor.running).toEqual([task]);
    bench.agent.hear(two!, 'CV_NODE_REMOVED');
    await bench.time.until('ended', () => bench.agent.status().tasks.length === 0);
    expect(bench.executor.running).toEqual([]);
    bench.agent.hear(three!, 'CV_CERTIFICATE_EXPIRED');
    expect(bench.agent.status().standing).toBe('removed');
  });

  let ended: Set<FakeSession>;
  beforeEach(() => {
    ended = new Set();
  });

  /** Lets every manager answer each attempt of some rounds; none takes the node. */
  async function refuseAll(answerOf: (manager: FakeManager) => ConclaveError): Promise<void> {
    for (let round = 0; round < 6 * bench.managers.length; round += 1) {
      const isOver = () => bench.agent.status().standing === 'removed';
      const next = await bench.time.until('an attempt', () => {
        const all = bench.managers.flatMap(({ sessions }) => sessions);
        return all.find((session) => !ended.has(session)) ?? isOver();
      });
      if (next === true) return;
      ended.add(next);
      const manager = bench.managers.find(({ sessions }) => sessions.includes(next));
      next.end(answerOf(manager!));
    }
  }

  const sum = () => bench.managers.reduce((count, { sessions }) => count + sessions.length, 0);

  test.each([1, 2, 3, 5])(
    'ends its tasks once most of %d say that it was removed',
    async (count) => {
      await runAmong(count);
      const liars = Math.floor(count / 2);
      const few = new Set(bench.managers.slice(0, liars));
      await refuseAll((manager) => (few.has(manager) ? removed() : gone()));
      expect(bench.agent.status().standing).toBe(liars === 0 ? 'member' : 'refused');
      expect(bench.executor.running).toEqual([task]);
      expect(bench.textOf(task, 'password')).toBe('one');

      const most = new Set(bench.managers.slice(0, liars + 1));
      await refuseAll((manager) => (most.has(manager) ? removed() : gone()));
      await bench.time.until('ended', () => bench.agent.status().tasks.length === 0);
      expect(bench.agent.status()).toMatchObject({ standing: 'removed', heldVersionCount: 0 });
      expect(bench.executor.running).toEqual([]);
      expect(bench.files.list()).toEqual([]);
      expect(bench.records.load()).toEqual([]);
      const attempts = sum();
      bench.time.advance(600_000);
      await bench.time.settle();
      expect(sum()).toBe(attempts);
    },
  );

  test('takes nobody’s word for it who only does not accept its certificate', async () => {
    await runAmong(3);
    await refuseAll(() => new ConclaveError('CV_UNAUTHENTICATED', 'unknown here'));
    expect(bench.agent.status().standing).toBe('refused');
    expect(bench.executor.running).toEqual([task]);
  });

  test('forgets what was said before a session opened', async () => {
    await runAmong(3);
    const [first, second] = bench.managers;
    await refuseAll((manager) => (manager === first ? removed() : gone()));
    const open = await bench.time.until('another Hello', () =>
      bench.managers
        .flatMap(({ sessions }) => sessions)
        .find((session) => !ended.has(session) && session.all('hello').length > 0),
    );
    open.accept();
    await bench.time.until('a session', () => bench.agent.status().managerId !== '');
    await refuseAll((manager) => (manager === second ? removed() : gone()));
    expect(bench.agent.status().standing).toBe('refused');
    expect(bench.executor.running).toEqual([task]);
  });
});

describe('an assignment that breaks a rule is refused as a whole', () => {
  const many = (count: number): FakeTask[] =>
    Array.from({ length: count }, () => ({ id: bench.id() }));
  const withTask = (rest: () => Partial<FakeTask>) => (): FakeAssignment => ({
    ...good(),
    tasks: [{ id: bench.id() }, { id: task, bindings: [bound()], ...rest() }],
  });
  // Attack row G19.
  const cases: [string, () => FakeAssignment][] = [
    ['a target with a slash', withTask(() => ({ bindings: [bound({ target: '../passwd' })] }))],
    ['a target of dots', withTask(() => ({ bindings: [bound({ target: '..' })] }))],
    ['a hidden target', withTask(() => ({ bindings: [bound({ target: '.now' })] }))],
    ['a target with a zero byte', withTask(() => ({ bindings: [bound({ target: 'a\0b' })] }))],
    ['an endless target', withTask(() => ({ bindings: [bound({ target: 'x'.repeat(256) })] }))],
    ['two files with one target', withTask(() => ({ bindings: [bound(), bound()] }))],
    ['a set-uid bit', withTask(() => ({ bindings: [bound({ mode: 0o4400 })] }))],
    ['a mode that lets everybody write', withTask(() => ({ bindings: [bound({ mode: 0o666 })] }))],
    ['an owner out of range', withTask(() => ({ bindings: [bound({ uid: 0xffff_ffff })] }))],
    [
      'an unknown action',
      withTask(() => ({ bindings: [bound({ onChange: { kind: 'x', signal: '', command: '' } })] })),
    ],
    ['an unknown desired state', withTask(() => ({ desiredState: 'DANCING' }))],
    ['a malformed task id', () => ({ tasks: [{ id: '../../etc' }] })],
    [
      'a secret of another binding',
      withTask(() => ({ secrets: [{ binding: 0, secretId: bench.id(), version: 1 }] })),
    ],
    [
      'a secret of no binding',
      withTask(() => ({ secrets: [{ binding: 3, secretId: secret, version: 1 }] })),
    ],
    [
      'a required secret without version',
      withTask(() => ({ secrets: [{ binding: 0, secretId: secret, version: 0 }] })),
    ],
    ['a task named twice', () => ({ tasks: [{ id: task }, { id: task }] })],
    ['a value that was not sent', () => ({ tasks: [{ id: task, bindings: [bound()] }] })],
    ['a value taken for held', () => ({ ...good(), values: {}, held: [`${secret}@1`] })],
    [
      'a value that no task uses',
      () => ({ values: { [`${secret}@1`]: { text: 'x', taskIds: [] } } }),
    ],
    [
      'a value sealed for other tasks',
      () => ({ ...good(), values: { [`${secret}@1`]: { text: 'x', taskIds: [bench.id()] } } }),
    ],
    ['a withdrawal of what is used', () => ({ ...good(), secretsRemoved: [`${secret}@1`] })],
    ['an unknown kind', () => ({ ...good(), head: { kind: 'partial' } })],
    ['a wrong sequence', () => ({ ...good(), head: { resultsIn: 9 } })],
    ['a base that is not there', () => ({ ...good(), kind: 'incremental' })],
    ['too many items in a chunk', () => ({ tasks: many(257) })],
  ];
  test.each(cases)('%s', async (_, make) => {
    const session = await bench.open();
    session.assign(make());
    await bench.time.until('refused', () => session.all('ack').length > 0);
    expect(session.all('ack')[0]?.error).not.toBe('');
    await bench.time.until('closed', () => session.isClosed);
    expect(bench.agent.status()).toMatchObject({ tasks: [], heldVersionCount: 0 });
    expect(bench.executor.events).toEqual([]);
    expect(bench.files.list()).toEqual([]);
  });

  const firstOnly = 'a base that is not there';
  test.each(cases.filter(([name]) => name !== firstOnly))(
    '%s, and what ran goes on',
    async (_, make) => {
      const kept = { task: bench.id(), secret: bench.id() };
      const session = await bench.open();
      session.assign({
        tasks: [{ id: kept.task, bindings: [bound({ secretId: kept.secret })] }],
        values: { [`${kept.secret}@1`]: { text: 'kept', taskIds: [kept.task] } },
      });
      await bench.time.until('RUNNING', () => session.states.includes(`${kept.task} RUNNING`));
      session.assign(make());
      await bench.time.until('refused', () => session.all('ack').length === 2);
      expect(session.all('ack')[1]?.error).not.toBe('');
      await bench.time.until('closed', () => session.isClosed);
      expect(bench.executor.running).toEqual([kept.task]);
      expect(bench.files.list()).toEqual([kept.task]);
      expect(bench.textOf(kept.task, 'password')).toBe('kept');
      expect(bench.agent.status().heldVersionCount).toBe(1);
    },
  );

  const chunkCases: [string, (chunks: AssignmentChunk[]) => AssignmentChunk[]][] = [
    ['chunks in another order', ([a, b, ...rest]) => [b!, a!, ...rest]],
    ['a chunk that is missing', ([a, , ...rest]) => [a!, ...rest]],
    [
      'tasks after values',
      ([a, b, c]) => [a!, b!, { ...c!, tasks: [taskMessage({ id: bench.id() })] }],
    ],
    ['an index that changes on the way', ([a, b, c]) => [a!, { ...b!, index: 99 }, c!]],
    [
      'a changed frame',
      ([a, b, c]) => {
        const [part] = b!.secrets;
        const frame = Buffer.from(part!.frame);
        frame[frame.length - 1]! ^= 1;
        return [a!, { ...b!, secrets: [{ ...part!, frame }] }, c!];
      },
    ],
    ['a frame sent twice', ([a, b, c]) => [a!, b!, { ...b!, chunk: 2 }, { ...c!, chunk: 3 }]],
    [
      'a value that is cut off',
      ([a, b, c]) => [a!, { ...b!, secrets: [{ ...b!.secrets[0]!, parts: 2 }] }, c!],
    ],
    [
      'a value that grows on the way',
      ([a, b, c]) => {
        const [part] = b!.secrets;
        const secrets = [{ ...part!, parts: 2 }];
        const more = { ...b!, chunk: 2, secrets: [{ ...part!, part: 1, parts: 3 }] };
        return [a!, { ...b!, secrets }, more, { ...c!, chunk: 3 }];
      },
    ],
    [
      'a value without end',
      ([a, b, c]) => [a!, { ...b!, secrets: [{ ...b!.secrets[0]!, parts: 1_000_000 }] }, c!],
    ],
  ];
  test.each(chunkCases)('%s', async (_, change) => {
    const session = await bench.open();
    for (const chunk of change(session.chunks(good()))) session.send({ assignments: chunk });
    await bench.time.until('refused', () => session.all('ack').length > 0);
    expect(session.all('ack')[0]?.error).not.toBe('');
    expect(bench.agent.status()).toMatchObject({ tasks: [], heldVersionCount: 0 });
  });

  test('and what ran before goes on untouched', async () => {
    const session = await bench.open();
    session.assign(good());
    await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    session.assign({ tasksRemoved: [task], tasks: [{ id: bench.id(), desiredState: '?' }] });
    await bench.time.until('closed', () => session.isClosed);
    expect(bench.executor.running).toEqual([task]);
    expect(bench.textOf(task, 'password')).toBe('one');
    expect(bench.agent.status().heldVersionCount).toBe(1);
  });

  test('more tasks than an agent takes', async () => {
    const session = await bench.open();
    const chunks = Array.from({ length: 21 }, () => many(250).map(taskMessage));
    const [head] = session.chunks({});
    chunks.forEach((tasks, chunk) => {
      session.send({ assignments: { ...head!, tasks, chunk, last: false } });
    });
    await bench.time.until('refused', () => session.all('ack').length > 0);
    expect(session.all('ack')[0]?.error).toContain('over 5000 tasks');
    expect(bench.agent.status().tasks).toEqual([]);
  });
});

describe('sessions come and go', () => {
  test('the next session says what is held, and takes it from memory', async () => {
    const first = await bench.open();
    first.assign(good());
    await bench.time.until('RUNNING', () => first.states.includes(`${task} RUNNING`));
    first.end();
    const second = await bench.nextSession(1);
    const held = second.all('hello')[0]?.held;
    expect(held).toEqual([{ secretId: secret, version: 1 }]);
    second.assign({ ...good(), values: {}, held: [`${secret}@1`] });
    await bench.time.until('acknowledged', () => second.all('ack').length > 0);
    expect(second.all('ack')[0]?.error).toBe('');
    expect(bench.executor.events.filter((event) => event.startsWith('start'))).toHaveLength(1);
  });

  test('an assignment behind what was seen is refused, also by the next session', async () => {
    const first = await bench.open();
    first.assign(good());
    await bench.time.until('acknowledged', () => first.all('ack').length > 0);
    first.end();
    const second = await bench.nextSession(1);
    expect(second.all('hello')[0]).toMatchObject({ clusterEpoch: 1, appliedIndex: 11 });
    second.assign({ head: { index: 10 } });
    await bench.time.until('refused', () => second.all('ack').length > 0);
    expect(second.all('ack')[0]?.error).toContain('goes back');
    expect(bench.executor.running).toEqual([task]);
  });

  test('sessions that end as soon as they open come less and less often, until one lasts', async () => {
    await bench.agent.start();
    const from = bench.time.now();
    for (let round = 0; round < 12; round += 1) {
      (await bench.nextSession(round)).end(new Error('another host has this identity'));
    }
    expect(bench.time.now() - from).toBeGreaterThan(10_000);
    const good = await bench.nextSession(12);
    await bench.time.settle();
    bench.time.advance(6_000);
    const before = bench.time.now();
    good.end();
    await bench.nextSession(13);
    expect(bench.time.now() - before).toBeLessThan(500);
  });

  test('the first session after a long silence may end at once without a long pause', async () => {
    const first = await bench.open();
    bench.manager.isReachable = false;
    first.end(new Error('connection lost'));
    for (let round = 0; round < 60; round += 1) {
      bench.time.advance(1_000);
      await bench.time.settle();
    }
    bench.manager.isReachable = true;
    (await bench.nextSession(1)).end(new Error('no leader yet'));
    const since = bench.time.now();
    await bench.nextSession(2);
    expect(bench.time.now() - since).toBeLessThan(500);
  });

  test('the manager that was lost is tried after the others', async () => {
    bench = new Bench(3);
    await bench.agent.start();
    const sessions = () => bench.managers.flatMap((manager) => manager.sessions);
    const hello = () => sessions().find((session) => session.all('hello').length > 0);
    // Whichever comes first by chance, it never comes twice in a row.
    let lost = await bench.time.until('Hello', hello);
    for (let round = 0; round < 12; round += 1) {
      const manager = bench.managers.find((candidate) => candidate.sessions.includes(lost));
      const count = manager?.sessions.length;
      const all = new Set(sessions());
      lost.accept();
      await bench.time.settle();
      lost.end(new Error('connection lost'));
      lost = await bench.time.until('another session', () =>
        sessions().find((session) => !all.has(session) && session.all('hello').length > 0),
      );
      expect(manager?.sessions.length).toBe(count);
    }
  });

  test('losing every manager changes nothing for what runs; it comes back by itself', async () => {
    bench = new Bench(3);
    await bench.agent.start();
    const sessions = () => bench.managers.flatMap((manager) => manager.sessions);
    const first = await bench.time.until('Hello', () =>
      sessions().find((session) => session.all('hello').length > 0),
    );
    first.accept();
    first.assign(good());
    await bench.time.until('RUNNING', () => first.states.includes(`${task} RUNNING`));
    for (const manager of bench.managers) manager.isReachable = false;
    first.end(new Error('connection lost'));
    await bench.time.settle();
    bench.time.advance(60_000);
    await bench.time.settle();
    expect(bench.agent.status().managerId).toBe('');
    expect(bench.executor.running).toEqual([task]);
    expect(bench.textOf(task, 'password')).toBe('one');
    for (const manager of bench.managers) manager.isReachable = true;
    await bench.time.until('another session', () => sessions().length > 1);
  });

  test('reports that no manager committed are sent again; the newest per task', async () => {
    const first = await bench.open();
    first.acknowledges = false;
    first.assign(good());
    await bench.time.until('RUNNING', () => first.states.includes(`${task} RUNNING`));
    first.end();
    bench.executor.end(task, 0);
    const second = await bench.nextSession(1);
    await bench.time.until('COMPLETE', () => second.states.includes(`${task} COMPLETE`));
    expect(second.states).not.toContain(`${task} ACCEPTED`);
    expect(second.receipts).toEqual(['password 1 delivered']);
    await bench.time.until('committed', () => bench.agent.status().waitingReportCount === 0);
  });

  test('heartbeats come at the period that the manager asks for, not in step', async () => {
    const session = await bench.open();
    session.send({ info: { heartbeatPeriodMs: 1_000, managers: [] } });
    await bench.time.settle();
    const before = session.all('heartbeat').length;
    bench.time.advance(20_000);
    const count = session.all('heartbeat').length - before;
    expect(count).toBeGreaterThanOrEqual(16);
    expect(count).toBeLessThanOrEqual(25);
    expect(new Set(session.all('heartbeat').map(({ sessionId }) => sessionId))).toEqual(
      new Set(['session']),
    );
  });

  test('the list of managers is kept for the next start; malformed lines are not', async () => {
    const session = await bench.open();
    const { place } = bench.manager;
    const fresh = {
      nodeId: bench.id(),
      address: 'b:7420',
      joinAddress: 'b:7421',
      signingPublicKey: new Uint8Array(32),
    };
    const broken = { ...fresh, signingPublicKey: new Uint8Array(3) };
    session.send({ info: { managers: [place, fresh, broken] } });
    await bench.time.until('saved', () => bench.savedManagers.length > 0);
    expect(bench.savedManagers).toEqual([[place, fresh]]);
    session.send({ info: { managers: [] } });
    await bench.time.settle();
    expect(bench.savedManagers).toHaveLength(1);
  });

  test('output of a task is sent on request, and a follower can be cancelled', async () => {
    const session = await bench.open();
    session.assign(good());
    await bench.time.until('RUNNING', () => session.states.includes(`${task} RUNNING`));
    session.send({ logRequest: { request: 1, taskId: task, tailLines: 0, follow: false } });
    await bench.time.until('the end', () => session.all('logReply').some(({ end }) => end));
    const [piece, end] = session.all('logReply');
    expect(piece).toMatchObject({ request: 1, stream: 'stdout', end: false });
    expect(piece?.output.toString()).toBe(`output of ${task}\n`);
    expect(end).toMatchObject({ request: 1, end: true, error: '' });
    session.send({ logRequest: { request: 2, taskId: task, follow: true } });
    await bench.time.until('a piece', () => session.all('logReply').length === 3);
    session.send({ logRequest: { request: 2, cancel: true } });
    session.send({ logRequest: { request: 3, taskId: bench.id() } });
    await bench.time.until('an answer', () => session.all('logReply').length === 4);
    expect(session.all('logReply')[3]).toMatchObject({ request: 3, end: true });
    expect(session.all('logReply')[3]?.error).toContain('no output of the task');
  });
});
