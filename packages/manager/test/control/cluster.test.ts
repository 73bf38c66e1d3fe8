import { beforeEach, describe, expect, test } from '@jest/globals';
import type { WatchEventInput, WatchRequest } from '@conclave/wire';
import { EVENT_QUEUE_MAX, EventQueue } from '../../src/control/event-queue.js';
import { CALL, CLUSTER_ID, specMessage, TestControl, VALUE_BYTES_MAX } from './cluster.js';

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
});

const code = (name: string): unknown => expect.objectContaining({ code: name });

function watch(
  fields: Partial<WatchRequest>,
  signal?: AbortSignal,
): AsyncGenerator<WatchEventInput, void> {
  const request = { kinds: [], afterIndex: 0, snapshot: false, ...fields };
  return control.cluster.watch(request, { ...CALL, signal });
}

async function take(
  events: AsyncGenerator<WatchEventInput, void>,
  count: number,
): Promise<string[]> {
  const taken: string[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    const { action, kind, name, state } = next.value;
    taken.push([action, kind, name, state].join(' ').trim());
  }
  return taken;
}

/** Lets a generator that was asked for its first item begin to listen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe('info and status', () => {
  test('info answers what a client needs to seal', async () => {
    expect(await control.cluster.getInfo({}, CALL)).toEqual({
      clusterId: CLUSTER_ID,
      rootCertificate: expect.anything() as unknown,
      intakePublicKey: control.ring.intakePublicKey(),
      intakeKeyId: 1,
      secretValueBytesMax: VALUE_BYTES_MAX,
      version: '0.1.0',
    });
  });

  test('status counts and names problems with the next command', async () => {
    const id = control.addWorker('w1');
    control.addWorker('w2');
    control.observe(id, 'DOWN');
    await control.set('a', 'x');
    const status = await control.cluster.getStatus({}, CALL);
    expect(status).toMatchObject({
      clusterId: CLUSTER_ID,
      leaderId: CALL.selfNodeId,
      nodesReady: 1,
      nodesDown: 1,
      secrets: 1,
      services: 0,
      hasQuorum: true,
      managers: [{ hostname: 'alpha', isLeader: true, reachable: true, membership: 'voter' }],
    });
    expect(status.problems).toEqual([
      { code: 'node-down', message: 'node w1 is DOWN: ', next: `conclave node inspect ${id}` },
    ]);
    expect(control.barriers).toBe(0);
  });

  test('a removed manager says only that, whatever its old state says', async () => {
    control.observe(control.addWorker('w1'), 'DOWN');
    control.isRefused = true;
    const { problems } = await control.cluster.getStatus({}, CALL);
    expect(problems).toEqual([
      {
        code: 'removed',
        message: 'this host was removed from the cluster; the other managers refuse it',
        next: 'conclave leave --force',
      },
    ]);
  });

  test('names a manager that has another state, for as long as it is listed', async () => {
    const [alpha] = control.state.nodes();
    control.diverged.add(alpha?.id ?? '').add('gone');
    const { problems } = await control.cluster.getStatus({}, CALL);
    expect(problems).toEqual([
      {
        code: 'manager-diverged',
        message: 'manager alpha has another state than this one at the same index',
        next: `conclave node rm --force ${alpha?.id}`,
      },
    ]);
  });

  test('names hosts that wait for approval, and roles that do not get on', async () => {
    const waits = control.addWaiting('w1');
    control.observe(CALL.selfNodeId, 'READY');
    const late = control.addManager('late');
    control.apply({ kind: 'node.set-role', id: late, role: 'worker' });
    const joining = control.addManager('new', 'learner');
    const promoted = control.addWorker('w2');
    control.apply({ kind: 'node.set-role', id: promoted, role: 'manager' });
    const leaving = control.addManager('off');
    control.apply({
      kind: 'node.membership',
      id: leaving,
      membership: 'removing',
      ringGeneration: undefined,
    });
    for (const id of [late, joining, promoted, leaving, 'gone']) control.stuck.add(id);
    const { problems } = await control.cluster.getStatus({}, CALL);
    const wanted = ['approval-pending', 'role-change-stuck'];
    expect(problems?.filter(({ code: problem }) => wanted.includes(problem ?? ''))).toEqual([
      {
        code: 'approval-pending',
        message: 'host w1 has joined as a worker and waits for approval',
        next: `conclave node approve ${waits}`,
      },
      ...[
        ['the demotion of node late', late],
        ['the way into the quorum of node new', joining],
        ['the promotion of node w2', promoted],
        ['the way out of node off', leaving],
      ].map(([what, id]) => ({
        code: 'role-change-stuck',
        message: `${what} does not get on`,
        next: `conclave node inspect ${id}`,
      })),
    ]);
  });

  test('names rotations that take too long, and what they wait for', async () => {
    const problems = async (): Promise<unknown> =>
      (await control.cluster.getStatus({}, CALL)).problems;
    control.addWorker('w1');
    control.apply({ kind: 'root.rotate', distrustsFormer: false });
    control.time.jump(9 * 60_000);
    expect(await problems()).toEqual([]);
    control.time.jump(2 * 60_000);
    expect(await problems()).toEqual([
      {
        code: 'rotation-late',
        message: 'the rotation of the root certificate takes longer than it should',
        next: 'conclave node ls',
      },
    ]);
    const next = { certificate: new Uint8Array(3), keySealed: new Uint8Array(9), keyId: 1 };
    control.apply({ kind: 'root.offer', next, crossCertificate: new Uint8Array(3) });
    expect(await problems()).toMatchObject([
      {
        message: expect.stringMatching(/: it waits for 2 nodes, alpha$/) as unknown,
        next: 'conclave node inspect alpha',
      },
    ]);
  });

  test('names a recovery key that nobody has confirmed', async () => {
    const recovery = { publicKey: new Uint8Array(32), threshold: 0, shareHashes: [] };
    control.apply({ kind: 'recovery.stage', recovery });
    expect((await control.cluster.getStatus({}, CALL)).problems).toEqual([
      {
        code: 'recovery-unconfirmed',
        message: 'a new recovery key was made and is not in force',
        next: 'conclave keys confirm-recovery',
      },
    ]);
  });

  test('names a manager that has not let go of the recovery key before, which may run', async () => {
    const recovery = { publicKey: new Uint8Array(32), threshold: 0, shareHashes: [] };
    control.apply({ kind: 'recovery.stage', recovery });
    control.apply({ kind: 'recovery.sealed', id: CALL.selfNodeId, generation: 2 });
    control.apply({ kind: 'recovery.confirm', generation: 2 });
    expect((await control.cluster.getStatus({}, CALL)).problems).toEqual([
      {
        code: 'recovery-key-old',
        message: 'manager alpha still opens with the recovery key before',
        next: 'start or restart it and unlock it, or: conclave node rm alpha --force',
      },
    ]);
  });

  test('says why tasks wait and which updates are paused', async () => {
    const spec = specMessage({ name: 'web' });
    const { service } = await control.services.create({ spec, idempotencyKey: '' }, CALL);
    const serviceId = service?.id ?? '';
    const task = { id: 't', serviceId, slot: 1, nodeId: '', specVersion: 1, notBeforeMs: 0 };
    control.apply({
      kind: 'tasks.schedule',
      changes: [
        { kind: 'create', ...task, message: '' },
        { kind: 'explain', id: 't', message: 'no node fits' },
      ],
    });
    const update = {
      id: serviceId,
      specVersion: 1,
      state: 'paused',
      message: 'paused: x',
    } as const;
    control.apply({ kind: 'service.update-state', ...update });
    const { problems, tasksPending } = await control.cluster.getStatus({}, CALL);
    expect(tasksPending).toBe(1);
    expect(problems?.map((problem) => problem.message)).toEqual([
      'the update of service web is paused: x',
      '1 tasks of service web wait: no node fits',
    ]);
  });
});

describe('watch', () => {
  test('tells what comes, in order', async () => {
    const events = watch({});
    const first = events.next();
    await settle();
    await control.set('a', 'x');
    await control.set('a', 'y');
    expect((await first).value).toMatchObject({ action: 'created', kind: 'secret', state: '1' });
    expect(await take(events, 1)).toEqual(['updated secret a 2']);
    await events.return();
  });

  test('begins with what is there, then a mark', async () => {
    await control.set('a', 'x');
    const events = watch({ snapshot: true, kinds: ['secret', 'node'] });
    expect(await take(events, 3)).toEqual([
      'current secret a 1',
      'current node alpha UNKNOWN',
      'synced',
    ]);
    await control.set('b', 'x');
    expect(await take(events, 1)).toEqual(['created secret b 1']);
    await events.return();
  });

  test('resumes behind an index, and says when that is too old', async () => {
    await control.set('a', 'x');
    const index = control.state.appliedIndex;
    await control.set('b', 'x');
    await control.set('c', 'x');
    const events = watch({ afterIndex: index, kinds: ['secret'] });
    expect(await take(events, 2)).toEqual(['created secret b 1', 'created secret c 1']);
    await control.set('d', 'x');
    expect(await take(events, 1)).toEqual(['created secret d 1']);
    await events.return();
    for (let count = 0; count < 100; count += 1) await control.set('e', String(count));
    await expect(watch({ afterIndex: index }).next()).rejects.toEqual(code('CV_HISTORY_COMPACTED'));
  });

  test('says so when a snapshot has replaced what it told of', async () => {
    const events = watch({});
    const first = events.next();
    await settle();
    for (const listener of control.replacedListeners) listener();
    await expect(first).rejects.toEqual(code('CV_HISTORY_COMPACTED'));
    expect(control.replacedListeners.size).toBe(0);
  });

  test('never carries a value or a digest', async () => {
    await control.set('a', 'value-of-this-test');
    const events = watch({ snapshot: true });
    expect((await take(events, 4)).join('\n')).not.toContain('value-of-this-test');
    await events.return();
  });

  test('ends with its caller, and refuses unknown kinds', async () => {
    const gone = new AbortController();
    const events = watch({}, gone.signal);
    const first = events.next();
    await settle();
    gone.abort();
    expect(await first).toEqual({ done: true, value: undefined });
    await expect(watch({ kinds: ['value'] }).next()).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
  });

  test('cuts off a reader that is too slow', async () => {
    const queue = new EventQueue<number>();
    queue.push(Array<number>(EVENT_QUEUE_MAX).fill(1));
    expect(await queue.next()).toBe(1);
    queue.push([2, 3]);
    await expect(queue.next()).rejects.toEqual(code('CV_QUEUE_FULL'));
    queue.close();
    expect(await queue.next()).toBeUndefined();
  });
});

describe('a recovery from a compromise', () => {
  const begin = (evict: readonly string[], isDryRun = false) =>
    control.cluster.beginCompromise(
      { evict: [...evict], endsAdmins: false, isDryRun, idempotencyKey: '' },
      CALL,
    );
  const status = async () => (await control.cluster.getStatus({}, CALL)).compromise;

  beforeEach(() => {
    control.observe(CALL.selfNodeId, 'READY');
    for (const name of ['mtwo', 'mthree']) control.addManager(name);
    control.addWorker('wone');
  });

  test('is a problem with the command to go on until it is over', async () => {
    expect(await status()).toBeNull();
    await begin(['wone', 'mthree']);
    const { compromise, problems } = await control.cluster.getStatus({}, CALL);
    expect(compromise).toMatchObject({
      evicted: [
        { hostname: 'wone', isManager: false },
        { hostname: 'mthree', isManager: true },
      ],
      openSteps: ['evict', 'root', 'ring', 'recovery-key'],
    });
    expect(problems).toContainEqual({
      code: 'compromise-recovery',
      message: expect.stringContaining('evict, root, ring, recovery-key') as unknown,
      next: 'conclave cluster compromise-recovery',
    });
    await expect(control.cluster.finishCompromise({ idempotencyKey: '' }, CALL)).rejects.toEqual(
      code('CV_STATE_STALE'),
    );
  });

  test('evicts neither the manager that answers nor so many that no quorum is left', async () => {
    await expect(begin(['alpha'])).rejects.toEqual(code('CV_NODE_IN_USE'));
    control.observe(control.state.nodeByHostname('mtwo')[0]?.id ?? '', 'DOWN');
    await expect(begin(['mthree'])).rejects.toMatchObject({
      code: 'CV_LAST_MANAGER',
      hint: expect.stringMatching(/Start the managers that stay/) as unknown,
    });
    expect(await status()).toBeNull();
  });

  test('passes over what it has taken out', async () => {
    await begin(['wone']);
    const again = await begin(['wone'], true);
    expect(again.evicted).toEqual([]);
    await expect(begin(['wtwo'])).rejects.toEqual(code('CV_NODE_NOT_FOUND'));
  });

  test('counts what it ends', async () => {
    const plan = await begin(['wone'], true);
    // The tokens of the managers have no uses left.
    expect(plan).toMatchObject({ index: 0, tokens: 1, admins: 0 });
  });
});
