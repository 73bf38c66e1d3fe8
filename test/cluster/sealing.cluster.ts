import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, holds } from '@conclave/testing';
import { Cluster } from './support.js';

const CLASSICAL = ['--delivery-sealing', 'classical'];
/** Milliseconds in which a session that is refused would have been opened. */
const REFUSED_MS = 4_000;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cseal', managers: 1, workers: 1 });
  await cluster.set('used', 'first value');
  const service = ['user', '--secret', 'used', '--', 'sleep', '100000'];
  await cluster.seed.ok(['service', 'create', ...service]);
  await cluster.running('user', 1);
});
afterAll(() => cluster?.close());

test('the classical algorithm delivers once the manager allows it, and not before', async () => {
  const [task] = await cluster.running('user', 1);
  if (task === undefined) throw new Error('no task');
  const worker = cluster.host(task.nodeHostname);
  const session = async (): Promise<string> => (await local()).connectedManager;
  const local = async (): Promise<{ connectedManager: string }> =>
    (await cluster.client(worker)).local.status();

  await worker.stop();
  await worker.start(CLASSICAL, 60_000);
  await holds(REFUSED_MS, async () => expect(await session()).toBe(''));

  await cluster.seed.stop();
  await cluster.seed.start(CLASSICAL, 60_000);
  await eventually('the session', async () => ((await session()) === '' ? undefined : true));
  const [now] = await cluster.running('user', 1);
  if (now === undefined) throw new Error('no task');
  await cluster.set('used', 'second value');
  await cluster.arrives(now, 'used', { value: 'second value' });

  // Workers that were not changed yet are served, too.
  await worker.stop();
  await worker.start([], 60_000);
  await eventually('the session', async () => ((await session()) === '' ? undefined : true));
  await cluster.set('used', 'third value');
  const [last] = await cluster.running('user', 1);
  if (last === undefined) throw new Error('no task');
  await cluster.arrives(last, 'used', { value: 'third value' });
});
