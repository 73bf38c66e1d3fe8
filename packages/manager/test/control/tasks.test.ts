import { beforeEach, describe, expect, test } from '@jest/globals';
import type { TaskState } from '@conclave/state';
import { bindingMessage, CALL, collect, specMessage, TestControl } from './cluster.js';

let control: TestControl;
let nodeId: string;
beforeEach(async () => {
  control = await TestControl.open();
  nodeId = control.addWorker('w1');
});

const code = (name: string): unknown => expect.objectContaining({ code: name });

async function service(name: string, condition = ''): Promise<string> {
  const restart = { condition, attemptsMax: 0, windowMs: 0 };
  const spec = specMessage({ name, restart });
  const made = await control.services.create({ spec, idempotencyKey: '' }, CALL);
  return made.service?.id ?? '';
}

function report(taskId: string, state: TaskState): void {
  const line = { nodeId, taskId, state, message: 'gone', error: 'exit 3', exitCode: 3, atMs: 1 };
  control.apply({ kind: 'tasks.report', reports: [line] });
}

describe('tasks', () => {
  test('get answers spec and receipts without a value', async () => {
    await control.set('shop/db', 'value-of-this-test');
    const spec = specMessage({ bindings: [bindingMessage()] });
    const made = await control.services.create({ spec, idempotencyKey: '' }, CALL);
    const taskId = control.addTask(made.service?.id ?? '', nodeId);
    const secretId = control.state.secretByName('shop/db')?.id ?? '';
    const receipt = { taskId, target: 'db', secretId, version: 1, detail: '', atMs: 9 };
    const receipts = [{ ...receipt, nodeId, outcome: 'delivered' as const }];
    control.apply({ kind: 'receipts.report', receipts });
    const task = await control.tasks.get({ task: taskId }, CALL);
    expect(task).toMatchObject({
      id: taskId,
      nodeHostname: 'w1',
      state: 'ASSIGNED',
      spec: { name: 'web' },
      receipts: [{ secretName: 'shop/db', target: 'db', version: 1, outcome: 'delivered' }],
    });
    expect(JSON.stringify(task)).not.toContain('value-of-this-test');
  });

  test('an empty id is INVALID, an unknown one NOT FOUND', async () => {
    await expect(control.tasks.get({ task: '' }, CALL)).rejects.toEqual(
      code('CV_ARGUMENT_INVALID'),
    );
    await expect(control.tasks.get({ task: 'nope' }, CALL)).rejects.toEqual(
      code('CV_TASK_NOT_FOUND'),
    );
  });

  test('list by service, node and liveness, in a stable order', async () => {
    const [two, ten] = [await service('s2'), await service('s10')];
    const last = control.addTask(ten, nodeId, 1);
    const second = control.addTask(two, nodeId, 2);
    const first = control.addTask(two, nodeId, 1);
    report(second, 'FAILED');
    const list = async (fields: object): Promise<unknown> => {
      const request = { service: '', node: '', liveOnly: false, stale: true, ...fields };
      const pages = await collect(control.tasks.list(request, CALL));
      return pages.flatMap((page) => page.tasks ?? []).map((task) => task.id);
    };
    expect(await list({})).toEqual([first, second, last]);
    expect(await list({ service: 's2' })).toEqual([first, second]);
    expect(await list({ liveOnly: true })).toEqual([first, last]);
    expect(await list({ node: 'w1', service: 's10' })).toEqual([last]);
    expect(await list({ node: 'self' })).toEqual([]);
    await expect(list({ node: 'nobody' })).rejects.toEqual(code('CV_NODE_NOT_FOUND'));
  });

  test('says why nothing took the place of an ended task', async () => {
    const taskId = control.addTask(await service('once', 'none'), nodeId);
    report(taskId, 'FAILED');
    expect(await control.tasks.get({ task: taskId }, CALL)).toMatchObject({
      message: 'gone; not restarted: failed; the restart condition is "none"',
      error: 'exit 3',
      exitCode: 3,
    });
  });
});
