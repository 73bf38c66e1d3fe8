import { beforeEach, describe, expect, test } from '@jest/globals';
import type { UpdateNodeRequest } from '@conclave/wire';
import { bindingMessage, CALL, collect, specMessage, TestControl } from './cluster.js';

let control: TestControl;
beforeEach(async () => {
  control = await TestControl.open();
});

const code = (name: string): unknown => expect.objectContaining({ code: name });

function update(fields: Partial<UpdateNodeRequest>): ReturnType<TestControl['nodes']['update']> {
  const request = {
    node: 'w1',
    objectVersion: 0,
    availability: '',
    labelsSet: {},
    labelsRemove: [],
    idempotencyKey: '',
    ...fields,
  };
  return control.nodes.update(request, CALL);
}

describe('nodes', () => {
  test('are found by id, by host name and as "self"', async () => {
    const id = control.addWorker('w1');
    expect(await control.nodes.get({ node: id }, CALL)).toMatchObject({ hostname: 'w1' });
    expect(await control.nodes.get({ node: 'w1' }, CALL)).toMatchObject({ id, role: 'worker' });
    expect(await control.nodes.get({ node: 'self' }, CALL)).toMatchObject({
      hostname: 'alpha',
      role: 'manager',
      isLeader: true,
      membership: 'voter',
      address: 'alpha:7420',
    });
    const remote = { ...CALL, selfNodeId: '' };
    await expect(control.nodes.get({ node: 'self' }, remote)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
    await expect(control.nodes.get({ node: '' }, CALL)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
    await expect(control.nodes.get({ node: 'nobody' }, CALL)).rejects.toEqual(
      code('CV_NODE_NOT_FOUND'),
    );
  });

  test('a host name that two nodes have is not enough', async () => {
    control.addWorker('w1');
    control.addWorker('w2', 'w1');
    await expect(control.nodes.get({ node: 'w1' }, CALL)).rejects.toMatchObject({
      code: 'CV_ARGUMENT_INVALID',
      message: 'node is a host name of 2 nodes: give the id',
    });
  });

  test('list by role', async () => {
    for (const name of ['w10', 'w2']) control.addWorker(name);
    const list = async (role: string): Promise<unknown> =>
      (await collect(control.nodes.list({ role, stale: true }, CALL)))
        .flatMap((page) => page.nodes ?? [])
        .map((node) => node.hostname);
    expect(await list('')).toEqual(['alpha', 'w2', 'w10']);
    expect(await list('worker')).toEqual(['w2', 'w10']);
    await expect(list('boss')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
  });

  test('update changes availability and labels, and nothing else', async () => {
    control.addWorker('w1');
    expect(
      await update({ availability: 'drain', labelsSet: { zone: 'a', tier: 'b' } }),
    ).toMatchObject({ availability: 'drain', labels: { zone: 'a', tier: 'b' } });
    expect(await update({ labelsRemove: ['tier', 'unknown'] })).toMatchObject({
      availability: 'drain',
      labels: { zone: 'a' },
    });
    await expect(update({})).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(update({ availability: 'off' })).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(update({ labelsSet: { '': 'x' } })).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(update({ labelsRemove: [''] })).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(update({ availability: 'active', objectVersion: 1 })).rejects.toEqual(
      code('CV_VERSION_STALE'),
    );
  });

  test('removal is refused while READY, orphans tasks by force and names what was held', async () => {
    await control.set('shop/db', 'x');
    const id = control.addWorker('w1');
    const spec = specMessage({ bindings: [bindingMessage()] });
    const { service } = await control.services.create({ spec, idempotencyKey: '' }, CALL);
    const taskId = control.addTask(service?.id ?? '', id);
    const remove = { node: 'w1', force: false, idempotencyKey: '' };
    await expect(control.nodes.remove(remove, CALL)).rejects.toEqual(code('CV_NODE_IN_USE'));
    const answer = await control.nodes.remove({ ...remove, force: true }, CALL);
    expect(answer).toMatchObject({
      orphanedTasks: 1,
      heldCount: 1,
      held: [{ secretName: 'shop/db', version: 1 }],
    });
    expect(control.state.taskById(taskId)?.state).toBe('ORPHANED');
    expect(control.removedMembers).toEqual([]);
    const exposed = await collect(control.nodes.exposure({ node: id }, CALL));
    expect(exposed).toHaveLength(1);
    await expect(control.nodes.remove(remove, CALL)).rejects.toEqual(code('CV_NODE_NOT_FOUND'));
  });

  test('a removal that is repeated tells what the node had held', async () => {
    await control.set('shop/db', 'x');
    const id = control.addWorker('w1');
    const spec = specMessage({ bindings: [bindingMessage()] });
    const { service } = await control.services.create({ spec, idempotencyKey: '' }, CALL);
    control.addTask(service?.id ?? '', id);
    const remove = { node: 'w1', force: true, idempotencyKey: 'key' };
    const first = await control.nodes.remove(remove, CALL);
    expect(first.heldCount).toBe(1);
    expect(await control.nodes.remove(remove, CALL)).toEqual(first);
  });

  test('a DOWN node goes without force', async () => {
    const id = control.addWorker('w1');
    control.observe(id, 'DOWN');
    await control.nodes.remove({ node: 'w1', force: false, idempotencyKey: '' }, CALL);
    expect(control.state.nodeById(id)).toBeUndefined();
  });

  test('a member of the quorum is refused; by force the quorum lets go of it when DOWN', async () => {
    const remove = { node: 'alpha', force: false, idempotencyKey: '' };
    control.observe(CALL.selfNodeId, 'READY');
    await expect(control.nodes.remove(remove, CALL)).rejects.toEqual(code('CV_NODE_IN_USE'));
    await expect(control.nodes.remove({ ...remove, force: true }, CALL)).rejects.toEqual(
      code('CV_NODE_IN_USE'),
    );
    expect(control.removedMembers).toEqual([]);
    control.addManager('beta');
    control.observe(CALL.selfNodeId, 'DOWN');
    await expect(control.nodes.remove(remove, CALL)).rejects.toEqual(code('CV_NODE_IN_USE'));
    expect(control.removedMembers).toEqual([]);
    await control.nodes.remove({ ...remove, force: true }, CALL);
    expect(control.removedMembers).toEqual([CALL.selfNodeId]);
    expect(control.state.nodeById(CALL.selfNodeId)).toBeUndefined();
  });

  test('a removal that is repeated waits for the quorum like the first one', async () => {
    control.addManager('beta');
    control.observe(CALL.selfNodeId, 'DOWN');
    const leaving = { membership: 'removing', ringGeneration: undefined } as const;
    control.apply({ kind: 'node.membership', id: CALL.selfNodeId, ...leaving });
    await control.nodes.remove({ node: 'alpha', force: true, idempotencyKey: '' }, CALL);
    expect(control.removedMembers).toEqual([CALL.selfNodeId]);
  });
});

describe('the role of a node', () => {
  const setRole = (node: string, role: string) =>
    control.nodes.setRole({ node, role, idempotencyKey: '' }, CALL);

  test('is answered for a promotion as decided: the host has its part to do', async () => {
    control.addWorker('w1');
    expect(await setRole('w1', 'manager')).toMatchObject({ role: 'worker', wantedRole: 'manager' });
    expect(await setRole('w1', 'worker')).toMatchObject({ role: 'worker', wantedRole: 'worker' });
  });

  test('of the last manager stays, and others than these two do not exist', async () => {
    await expect(setRole('self', 'worker')).rejects.toEqual(code('CV_LAST_MANAGER'));
    await expect(setRole('self', 'leader')).rejects.toEqual(code('CV_ARGUMENT_INVALID'));
    await expect(setRole('nobody', 'worker')).rejects.toEqual(code('CV_NODE_NOT_FOUND'));
    expect(control.demoted).toEqual([]);
  });

  test('is a worker when the answer to a demotion comes', async () => {
    const id = control.addWorker('w1');
    const [founder] = [...control.state.nodes()].filter(({ manager }) => manager !== undefined);
    if (founder?.manager === undefined) throw new Error('there is a manager');
    const { membership: _m, ringGeneration: _g, ...manager } = { ...founder.manager, raftId: 9 };
    const usedSerial = control.state.nodeById(id)?.certificate.serial ?? '';
    const certificate = {
      serial: 'of-manager',
      notBeforeMs: 0,
      root: 0,
      notAfterMs: 2e12,
      publicKeyHash: 'of-manager',
    };
    control.apply({ kind: 'node.set-role', id, role: 'manager' });
    control.apply({ kind: 'node.equip', id, usedSerial, certificate, manager });
    const observed = { id: founder.id, state: 'READY', message: '', session: undefined } as const;
    control.apply({ kind: 'nodes.observe', nodes: [observed] });
    expect(await setRole('w1', 'worker')).toMatchObject({ role: 'worker', membership: '' });
    expect(control.demoted).toEqual([id]);
  });
});
