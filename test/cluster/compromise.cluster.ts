import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LocalStatus } from '@conclave/client';
import { toPem } from '@conclave/pki';
import { cleanEnvironment, eventually, run } from '@conclave/testing';
import type { Host, RunResult } from '@conclave/testing';
import { CLUSTER_PORT, greet, joinManager } from './hostile.js';
import { BUNDLE, Cluster, refusalOf } from './support.js';

// Recovery from a compromise: nodes that somebody else may have, and every key anew. The command and
// the leader are killed in the middle. On loopback addresses, so that this process can come to the
// listeners with an identity of before. One of the managers is nothing but such an identity.
const COMMAND = ['cluster', 'compromise-recovery'];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    tag: 'ccompr',
    network: 'loopback',
    managers: 3,
    workers: 3,
    spare: ['late'],
  });
}, 240_000);
afterAll(() => cluster?.close());

interface Identity {
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** The roots that it trusts. */
  readonly roots: readonly string[];
}

async function identityOf(worker: Host): Promise<Identity> {
  const text = await readFile(join(worker.dataDir, 'identity.json'), 'utf8');
  const { certificate, roots } = JSON.parse(text) as { certificate: string; roots: string[] };
  return {
    certificate: Buffer.from(toPem('CERTIFICATE', Buffer.from(certificate, 'base64'))),
    key: await readFile(join(worker.dataDir, 'identity/key.pem')),
    roots,
  };
}

/** A manager of which there is only its key: whoever stole that has no more. */
async function stolenManager(through: Host): Promise<Identity> {
  const { identity, privateKeyPem } = await joinManager(cluster, through);
  return {
    certificate: Buffer.from(toPem('CERTIFICATE', identity.certificateDer)),
    key: Buffer.from(privateKeyPem),
    roots: [],
  };
}

/** True when the cluster listener of the host lets this identity make a call. */
async function isHeard(host: Host, { certificate, key }: Identity): Promise<boolean> {
  try {
    const raw = await greet({ host: host.address, port: CLUSTER_PORT, cert: certificate, key });
    raw.call(1, '/conclave.v1.Dispatcher/Session');
    const isOpen = await Promise.race([
      raw.closed.then(() => false),
      new Promise<boolean>((resolve) => setTimeout(resolve, 1_000, true)),
    ]);
    raw.destroy();
    return isOpen;
  } catch {
    return false;
  }
}

/** One after the other: no refusal is one of too many handshakes at a time. */
async function heard(host: Host, identities: readonly Identity[]): Promise<boolean[]> {
  const found: boolean[] = [];
  for (const identity of identities) found.push(await isHeard(host, identity));
  return found;
}

/** The managers that do not lead; the second has the session of the worker, unless the leader has. */
async function followers(leader: Host, worker: Host): Promise<[first: Host, second: Host]> {
  const local = async (host: Host): Promise<LocalStatus> =>
    (await cluster.client(host)).local.status();
  const { connectedManager } = await local(worker);
  const [one, other] = cluster.managers.filter((host) => host !== leader);
  if (!one || !other) throw new Error('three managers');
  return (await local(one)).nodeId === connectedManager ? [other, one] : [one, other];
}

interface Status {
  readonly compromise: { readonly openSteps: readonly string[] } | null;
  readonly root: { readonly generation: number; readonly phase: string };
  readonly ring: { readonly keyId: number; readonly phase: string };
  readonly problems: readonly { readonly code: string; readonly next: string }[];
}

async function statusOf(host: Host): Promise<Status> {
  const { stdout } = await host.conclave(['status', '-o', 'json']);
  return (JSON.parse(stdout) as { cluster: Status }).cluster;
}

interface Done {
  readonly evicted: readonly { readonly hostname: string; readonly isManager: boolean }[];
  readonly exposed: readonly {
    readonly hostname: string;
    readonly secretName: string;
    readonly version: number;
  }[];
  readonly root: number;
  readonly keyId: number;
}

/** What the context of an administrator is good for, without any socket. */
function remote(args: readonly string[]): Promise<RunResult> {
  const argv = [process.execPath, join(BUNDLE, 'conclave.js'), '--context', 'ann', ...args];
  return run(argv, { env: contexts() });
}

const contexts = (): Record<string, string> => ({
  ...cleanEnvironment(),
  XDG_CONFIG_HOME: join(cluster.farm.folder, 'contexts'),
});

/** A service of one task on a worker, and the process id of the task. */
async function pinned(name: string, host: Host, secrets: readonly string[]): Promise<number> {
  const uses = secrets.flatMap((secret) => ['--secret', secret]);
  const place = ['--constraint', `node.hostname==${host.name}`];
  await cluster.seed.ok(['service', 'create', name, ...uses, ...place, '--', 'sleep', '100000']);
  const [task] = await cluster.running(name, 1);
  if (task === undefined) throw new Error('a task');
  return cluster.pidOf(task);
}

test('three nodes are out, every key is new, and nothing that stays has noticed', async () => {
  const leader = await cluster.leader();
  const [w1, w2, w3] = cluster.workers;
  if (!w1 || !w2 || !w3) throw new Error('three workers');
  const [from, victim] = await followers(leader, w1);
  for (const name of ['both', 'only/w1', 'only/w2', 'unused']) await cluster.set(name, 'one');
  await cluster.set('both', 'two');
  const pid = await pinned('stays', w1, ['both', 'only/w1']);
  await pinned('goes', w2, ['both', 'only/w2']);
  const stolen = await stolenManager(from);
  const old = [...(await Promise.all([w1, w2, w3].map(identityOf))), stolen];
  expect(await heard(from, old)).toEqual([true, true, true, true]);
  const token = await cluster.token('worker');
  await from.ok(['admin', 'create', 'ann', '--role', 'viewer'], { env: contexts() });
  expect(await remote(['secret', 'ls'])).toMatchObject({ code: 0 });

  // A plan changes nothing.
  const names = [victim.name, w2.name, 'hostile-manager'];
  const evict = names.flatMap((name) => ['--evict', name]);
  const plan = await from.ok([...COMMAND, ...evict, '--dry-run']);
  expect(plan).toContain(`evict ${victim.name} (manager), ${w2.name}, hostile-manager (manager)`);
  expect((await statusOf(from)).compromise).toBeNull();
  // Who is to go neither leads nor carries it out, and a quorum has to be left.
  for (const wrong of [[leader.name], [from.name], [victim.name, leader.name]]) {
    const argv = wrong.flatMap((name) => ['--evict', name]);
    const refused = refusalOf(await from.conclave([...COMMAND, ...argv, '--dry-run']));
    expect(refused.code).toBe(65);
    expect(refused.hint).not.toBe('');
  }

  // With a worker down no run comes to the end: the command is killed while it waits.
  await w3.stop('SIGKILL');
  const keyFile = join(cluster.farm.folder, 'recovery-key');
  const go = (extra: readonly string[], timeoutMs: number): Promise<RunResult> =>
    from.conclave([...COMMAND, ...extra, '--yes', '--recovery-key-file', keyFile], { timeoutMs });
  expect((await go(evict, 12_000)).code).toBe(128);
  const status = await statusOf(from);
  expect(status.compromise?.openSteps).toEqual(['root', 'ring', 'recovery-key']);
  expect(status.problems).toContainEqual(
    expect.objectContaining({
      code: 'compromise-recovery',
      next: 'conclave cluster compromise-recovery',
    }),
  );
  await eventually('the evicted worker hears of it', async () => {
    const { stdout } = await w2.conclave(['status', '-o', 'json']);
    const { local } = JSON.parse(stdout) as { local: { message: string } };
    return local.message.includes('removed') || undefined;
  });

  await leader.stop('SIGKILL');
  await leader.start([], 60_000);
  await w3.start([], 60_000);
  // Killed again and again, each time later, it comes to its end in the same way.
  let done: Done | undefined;
  for (let seconds = 2; done === undefined && seconds < 60; seconds += 3) {
    const result = await go(['-o', 'json'], seconds * 1_000);
    // Killed behind its last call it has said all, and another run would be another recovery.
    const isOver =
      result.code === 0 || (result.stdout !== '' && (await statusOf(from)).compromise === null);
    if (isOver) done = JSON.parse(result.stdout) as Done;
    else if (result.code !== 128) await cluster.leader([from, leader]);
  }
  expect(done).toMatchObject({ root: 2, keyId: 2 });
  expect(done?.evicted).toMatchObject([
    { hostname: victim.name, isManager: true },
    { hostname: w2.name, isManager: false },
    { hostname: 'hostile-manager', isManager: true },
  ]);
  const exposed = done?.exposed.map(
    ({ hostname, secretName, version }) => `${hostname} ${secretName} v${version}`,
  );
  const all = ['both v1', 'both v2', 'only/w1 v1', 'only/w2 v1', 'unused v1'];
  expect(exposed?.toSorted()).toEqual(
    [
      ...all.flatMap((name) => [`${victim.name} ${name}`, `hostile-manager ${name}`]),
      `${w2.name} both v2`,
      `${w2.name} only/w2 v1`,
    ].toSorted(),
  );

  const after = await statusOf(from);
  expect(after).toMatchObject({
    compromise: null,
    root: { generation: 2, phase: '' },
    ring: { keyId: 2, phase: '' },
  });
  // Nothing of before is good for anything.
  const now = await Promise.all([w1, w3].map(identityOf));
  for (const host of [from, leader]) {
    expect(await heard(host, old)).toEqual([false, false, false, false]);
    expect(await heard(host, now)).toEqual([true, true]);
  }
  for (const { roots } of now) {
    expect(roots).toHaveLength(1);
    expect(old[0]?.roots).not.toContain(roots[0]);
  }
  // Also by the manager that is out, should it be asked: it heard of the end of administrators.
  expect(await remote(['secret', 'ls'])).toMatchObject({ code: 77, stdout: '' });
  const late = await cluster.join(cluster.host('late'), token, cluster.joinAddress(from));
  expect(refusalOf(late).error).toMatch(/another cluster|token/);
  const oldKit = await from.conclave(['keys', 'check-kit'], { input: cluster.recoveryKey });
  expect(refusalOf(oldKit)).toMatchObject({ code: 77 });
  const kept = await readFile(keyFile, 'utf8');
  expect(await from.ok(['keys', 'check-kit'], { input: kept })).toMatch(/opens every manager/);
  expect(await victim.conclave(['secret', 'ls'])).toMatchObject({ code: 75, stdout: '' });

  // The task of the worker that stayed is the same process, and gets what is set now.
  const [task] = await cluster.running('stays', 1, { from, deadlineMs: 60_000 });
  if (task === undefined) throw new Error('a task');
  expect(await cluster.pidOf(task)).toBe(pid);
  await cluster.set('both', 'three', { from });
  await cluster.arrives(task, 'both', { value: 'three' });
}, 400_000);
