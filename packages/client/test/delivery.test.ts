import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DeliveryProgress, SecretUse } from '../src/index.js';
import { createDeliveryTracker } from '../src/delivery-tracker.js';
import { hang, stage } from './support/fake-port.js';
import type { Handler, Stage } from './support/fake-port.js';

const use = (part: Partial<SecretUse> = {}): SecretUse => ({
  serviceName: 'web',
  taskId: 't1',
  nodeId: 'n1',
  nodeHostname: 'h1',
  target: 'db',
  wantedVersion: 2,
  deliveredVersion: 1,
  outcome: 'delivered',
  detail: '',
  atMs: 0,
  taskState: 'RUNNING',
  pinned: false,
  ...part,
});

const service = (kind: string): Handler => {
  const bindings = [{ secretName: 'shop/db', target: '', onChange: { kind } }];
  return () => ({ spec: { bindings } });
};

/** Each look at the receipts sees the next of `looks`; the last one stays. */
function following(looks: readonly (readonly SecretUse[])[], kind = 'signal'): Stage {
  let look = 0;
  return stage({
    'Secrets/Status': () => {
      look += 1;
      return looks[Math.min(look, looks.length) - 1] ?? [];
    },
    'Services/Get': service(kind),
    'Cluster/Watch': ({ options }) => hang(options.signal),
  });
}

const wait = (
  { client, time }: Stage,
  options: Parameters<typeof client.secrets.waitForDelivery>[2] = {},
): Promise<DeliveryProgress> => time.finish(client.secrets.waitForDelivery('shop/db', 2, options));

describe('waitForDelivery', () => {
  test('waits for the file and for the reload of tasks that ran with an older version', async () => {
    const scene = following([
      [use()],
      [use({ deliveredVersion: 2 })],
      [use({ deliveredVersion: 2, outcome: 'reloaded' })],
    ]);
    const seen: string[] = [];
    const progress = await wait(scene, {
      onProgress: ({ deliveredCount, reloadedCount }) =>
        seen.push(`${deliveredCount} ${reloadedCount}`),
    });
    expect(seen).toEqual(['0 0', '1 0', '1 1']);
    expect(progress).toMatchObject({
      bindingCount: 1,
      deliveredCount: 1,
      reloadCount: 1,
      reloadedCount: 1,
      isComplete: true,
      isSuperseded: false,
    });
    expect(scene.time.timerCount).toBe(0);
  });

  test('does not wait for a reload where the binding asks for none', async () => {
    const progress = await wait(following([[use({ deliveredVersion: 2 })]], 'none'));
    expect(progress).toMatchObject({ deliveredCount: 1, reloadCount: 0, isComplete: true });
  });

  test('does not wait for a reload of a task that started with the version', async () => {
    const scene = following([
      [use({ deliveredVersion: 0, outcome: '' })],
      [use({ deliveredVersion: 2 })],
    ]);
    expect(await wait(scene)).toMatchObject({ reloadCount: 0, isComplete: true });
  });

  test('knows from before the change which tasks have to reload', async () => {
    const looks = [
      [use({ deliveredVersion: 2 })],
      [use({ deliveredVersion: 2, outcome: 'reloaded' })],
    ];
    const slow = await wait(following(looks), { before: [use()] });
    expect(slow).toMatchObject({ reloadCount: 1, reloadedCount: 1 });
    const fresh = await wait(following(looks), { before: [] });
    expect(fresh).toMatchObject({ reloadCount: 0, isComplete: true });
  });

  test('gives a task of unknown past a while to reload, not for ever', async () => {
    const scene = following([[use({ deliveredVersion: 2 })]]);
    const progress = await wait(scene);
    expect(progress).toMatchObject({ reloadCount: 0, isComplete: true });
    expect(scene.time.nowMs).toBeGreaterThanOrEqual(5_000);
    expect(scene.time.nowMs).toBeLessThan(7_000);
  });

  test('counts a failure as the end, not as a delivery', async () => {
    const failed = use({ deliveredVersion: 2, outcome: 'failed', detail: 'exit code 1' });
    const progress = await wait(following([[failed]]));
    expect(progress).toMatchObject({ deliveredCount: 0, failures: [failed], isComplete: true });
  });

  test('tells who is late when the time is over', async () => {
    const scene = following([
      [use(), use({ taskId: 't2', deliveredVersion: 2, outcome: 'reloaded' })],
    ]);
    const progress = await wait(scene, { deadlineMs: 3_000 });
    expect(progress.isComplete).toBe(false);
    expect(progress.waiting.map(({ taskId }) => taskId)).toEqual(['t1']);
    expect(scene.time.nowMs).toBeLessThan(3_500);
  });

  test('ends when the name points elsewhere', async () => {
    const progress = await wait(following([[use({ wantedVersion: 3 })]]));
    expect(progress).toMatchObject({ isSuperseded: true, isComplete: true, deliveredCount: 0 });
  });

  test('leaves pinned bindings and tasks without a node out', async () => {
    const progress = await wait(following([[use({ pinned: true }), use({ nodeId: '' })]]));
    expect(progress).toMatchObject({ bindingCount: 0, isComplete: true });
  });

  test('is woken by events and does not wait for its next look', async () => {
    let look = 0;
    const scene: Stage = stage({
      'Secrets/Status': () => {
        look += 1;
        return [look < 12 ? use() : use({ deliveredVersion: 2, outcome: 'reloaded' })];
      },
      'Services/Get': service('signal'),
      'Cluster/Watch': async function* ({ options }) {
        for (let index = 1; index < 12; index += 1) {
          yield { index, action: 'updated', kind: 'receipt', id: '', name: '', state: '' };
          await new Promise<void>((resolve) => {
            scene.time.after(45, resolve);
          });
        }
        await hang(options.signal);
      },
    });
    await wait(scene);
    expect(scene.time.nowMs).toBeLessThan(1_000);
  });

  test('does without events when the watch fails', async () => {
    const scene = stage({
      'Secrets/Status': () => [use({ deliveredVersion: 2, outcome: 'reloaded' })],
      'Services/Get': service('signal'),
      'Cluster/Watch': () => {
        throw new Error('no watch');
      },
    });
    expect(await wait(scene)).toMatchObject({ isComplete: true });
  });

  test('a service that is gone is not expected to reload', async () => {
    const scene = stage({
      'Secrets/Status': () => [use({ deliveredVersion: 2 })],
      'Services/Get': () => {
        throw new Error('gone');
      },
      'Cluster/Watch': ({ options }) => hang(options.signal),
    });
    expect(await wait(scene)).toMatchObject({ reloadCount: 0, isComplete: true });
  });

  test('stops when it is cancelled', async () => {
    const control = new AbortController();
    const scene = following([[use()]]);
    const work = scene.client.secrets.waitForDelivery('shop/db', 2, { signal: control.signal });
    scene.time.after(500, () => control.abort());
    await expect(scene.time.finish(work)).rejects.toMatchObject({ code: 'CV_CANCELLED' });
  });
});

test('counts never contradict each other', () => {
  const uses = fc.array(
    fc.record({
      serviceName: fc.constantFrom('web', 'job'),
      taskId: fc.constantFrom('t1', 't2', 't3'),
      nodeId: fc.constantFrom('', 'n1'),
      deliveredVersion: fc.integer({ min: 0, max: 3 }),
      wantedVersion: fc.integer({ min: 0, max: 3 }),
      outcome: fc.constantFrom('', 'delivered', 'reloaded', 'failed'),
      pinned: fc.boolean(),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(fc.array(uses, { maxLength: 5 }), fc.boolean(), (looks, hasBefore) => {
      const tracker = createDeliveryTracker(2, hasBefore ? [use()] : undefined);
      const kinds = new Map([['web', new Map([['db', 'signal']])]]);
      for (const [offset, look] of looks.entries()) {
        const progress = tracker.update({
          uses: look.map((part) => use(part)),
          kinds,
          nowMs: offset * 2_000,
        });
        expect(progress.reloadedCount).toBeLessThanOrEqual(progress.reloadCount);
        expect(progress.deliveredCount + progress.failures.length).toBeLessThanOrEqual(
          progress.bindingCount,
        );
        expect(progress.isComplete).toBe(progress.waiting.length === 0 || progress.isSuperseded);
      }
    }),
  );
});
