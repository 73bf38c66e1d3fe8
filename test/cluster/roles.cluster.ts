import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Node } from '@conclave/client';
import { eventually, FRAME } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { greet, joinManager, optionsOf } from './hostile.js';
import { Cluster, refusalOf } from './support.js';

/** Milliseconds for a change of role with everything that belongs to it. */
const ROLE_MS_MAX = 60_000;
/** Milliseconds from the answer to a demotion until nobody takes the old certificate. */
const REFUSED_MS_MAX = 1_000;
/** Times that a host goes to and fro. */
const TURNS = 3;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    tag: 'crole',
    // Some identities are held by this process, which is in no namespace of a host.
    network: 'loopback',
    managers: 3,
    workers: 2,
    spare: ['solo'],
  });
  await cluster.set('kept', 'kept value');
});
afterAll(() => cluster?.close());

async function nodeOf(host: Host): Promise<Node> {
  const { nodes } = await cluster.client(await cluster.leader());
  for await (const node of nodes.list()) if (node.hostname === host.name) return node;
  throw new Error(`${host.name} is not listed`);
}

const local = async (host: Host) => (await cluster.client(host)).local.status();

/** Waits until the cluster and the host agree on what it is. */
async function becomes(host: Host, role: 'manager' | 'worker'): Promise<Node> {
  return eventually(
    `${host.name} is a ${role}`,
    async () => {
      const node = await nodeOf(host);
      const own = await local(host);
      const isVoter = role === 'worker' || node.membership === 'voter';
      if (node.role === role && own.role === role && isVoter && node.state === 'READY') return node;
      throw new Error(`${node.role} ${node.membership} ${node.state}, ${own.role} ${own.message}`);
    },
    ROLE_MS_MAX,
  );
}

const other = (host: Host): Host => {
  const found = cluster.managers.find((candidate) => candidate !== host);
  if (found === undefined) throw new Error('a cluster has managers');
  return found;
};

/** Names of what lies in the data folder that only a manager has. */
async function managerFiles(host: Host): Promise<string[]> {
  const names = await readdir(host.dataDir, { recursive: true });
  return names.filter((name) => /^(?:keys|raft)(?:\/|$)/.test(name)).sort();
}

describe('a worker that is promoted', () => {
  test('loses its tasks, votes, holds the ring and locks at rest like any manager', async () => {
    const host = cluster.host('w1');
    const service = ['kept', '--replicas', '2', '--secret', 'kept', '--', 'sleep', '100000'];
    await cluster.seed.ok(['service', 'create', ...service]);
    await cluster.running('kept', 2);
    const { pid } = host;
    const oldKey = await readFile(join(host.dataDir, 'identity/key.pem'));
    const said = await cluster.seed.ok(['node', 'promote', 'w1']);
    expect(said).toMatch(/w1 becomes a manager/);
    await becomes(host, 'manager');
    expect(host.pid).toBe(pid);
    expect(host.isRunning).toBe(true);
    for (const task of await cluster.running('kept', 2)) expect(task.nodeHostname).toBe('w2');
    // It has the ring: what it seals can be opened elsewhere, and it opens what others sealed.
    await cluster.set('by-promoted', 'x', { from: host });
    expect(existsSync(join(host.dataDir, 'identity'))).toBe(false);
    const slots = await host.json<{ kind: string }[]>(['keys', 'ls']);
    expect(slots.map(({ kind }) => kind)).toEqual(['recovery']);
    for (const name of await readdir(host.dataDir, { recursive: true })) {
      const content = await readFile(join(host.dataDir, name)).catch(() => Buffer.alloc(0));
      expect(content.includes(oldKey)).toBe(false);
    }
  });

  test('comes up locked after a restart and opens with the recovery key', async () => {
    const host = cluster.host('w1');
    await host.stop();
    await host.start([], ROLE_MS_MAX);
    await eventually('it is locked', async () =>
      (await local(host)).state === 'locked' ? true : undefined,
    );
    await host.ok(['unlock'], { input: cluster.recoveryKey });
    await becomes(host, 'manager');
  });
});

describe('a manager that is demoted', () => {
  test('destroys log and keys, and runs tasks again', async () => {
    const host = cluster.host('w1');
    const { raftId } = await nodeOf(host);
    const { pid } = host;
    const said = await cluster.seed.ok(['node', 'demote', 'w1']);
    expect(said).toMatch(/w1 is a worker/);
    expect(await nodeOf(host)).toMatchObject({ role: 'worker', membership: '' });
    await becomes(host, 'worker');
    expect(host.pid).toBe(pid);
    expect(await managerFiles(host)).toEqual([]);
    await cluster.seed.ok(['service', 'scale', 'kept=6']);
    const hosts = (await cluster.running('kept', 6)).map(({ nodeHostname }) => nodeHostname);
    expect(hosts).toContain('w1');
    await cluster.seed.ok(['service', 'scale', 'kept=2']);
    const { managers } = await cluster.status();
    expect(managers.map(({ hostname }) => hostname).sort()).toEqual(['m1', 'm2', 'm3']);
    expect(raftId).toBeGreaterThan(0);
  });

  test('when it leads it hands over first, and its own socket answers', async () => {
    const leader = await cluster.leader();
    await leader.ok(['node', 'demote', 'self']);
    await cluster.leader(
      cluster.managers.filter((host) => host !== leader),
      ROLE_MS_MAX,
    );
    await eventually(
      `${leader.name} is a worker`,
      async () => ((await local(leader)).role === 'worker' ? true : undefined),
      ROLE_MS_MAX,
    );
    expect(await managerFiles(leader)).toEqual([]);
    const from = await cluster.leader(cluster.managers.filter((host) => host !== leader));
    await cluster.set('after/leader', 'x', { from });
    await from.ok(['node', 'promote', leader.name]);
    await eventually(
      `${leader.name} votes`,
      async () => {
        const { managers } = await cluster.status(from);
        const own = managers.find(({ hostname }) => hostname === leader.name);
        return own?.membership === 'voter' ? true : undefined;
      },
      ROLE_MS_MAX,
    );
  });

  test('while it is down learns of it at its return', async () => {
    const leader = await cluster.leader();
    const host = other(leader);
    await host.ok(['keys', 'add', 'host']).catch(() => undefined);
    await host.stop('SIGKILL');
    await eventually('it is DOWN', async () =>
      (await nodeOf(host)).state === 'DOWN' ? true : undefined,
    );
    // One of three is gone: to demote one of the others would leave one of two.
    const third = cluster.managers.find((one) => one !== host && one !== leader) ?? leader;
    const refused = refusalOf(await leader.conclave(['node', 'demote', third.name]));
    expect(refused).toMatchObject({ code: 65, error: expect.stringMatching(/quorum/) });
    await leader.ok(['node', 'demote', host.name]);
    await host.start([], ROLE_MS_MAX);
    await becomes(host, 'worker');
    expect(await managerFiles(host)).toEqual([]);
    await leader.ok(['node', 'promote', host.name]);
    await becomes(host, 'manager');
  });

  test('the last one cannot be', async () => {
    const solo = cluster.host('solo');
    await solo.ok(['init', '-q']);
    const refused = refusalOf(await solo.conclave(['node', 'demote', 'self']));
    expect(refused).toMatchObject({ code: 65, error: expect.stringMatching(/quorum/) });
    await solo.ok(['leave', '--yes', '--force']);
  });

  test('loses streams, idle connections and every call of managers within a second', async () => {
    const leader = await cluster.leader();
    // Nobody keeps its rules: it is a learner that never takes part.
    const evil = await joinManager(cluster, leader);
    const opened = [];
    for (const host of cluster.managers) {
      const raw = await greet(optionsOf(host, evil));
      raw.call(1, '/conclave.v1.Raft/Messages');
      await raw.until((frames) => frames.some(({ type }) => type === FRAME.settings));
      opened.push(raw);
    }
    const ended = opened.map(async (raw) => {
      // Cut as a call, or with the whole connection.
      await raw.until((frames) =>
        frames.some(
          ({ type, streamId }) =>
            streamId === 1 && (type === FRAME.headers || type === FRAME.reset),
        ),
      );
      return performance.now();
    });
    await leader.ok(['node', 'demote', evil.identity.nodeId]);
    const demotedAt = performance.now();
    const delays = (await Promise.all(ended)).map((at) => Math.max(0, at - demotedAt));
    process.stderr.write(`node demote to the last refusal: ${Math.max(...delays).toFixed(0)} ms\n`);
    expect(Math.max(...delays)).toBeLessThan(REFUSED_MS_MAX);
    for (const host of cluster.managers) {
      const raw = await greet(optionsOf(host, evil));
      raw.call(1, '/conclave.v1.Managers/GetRing');
      await raw.until((frames) => frames.some(({ streamId }) => streamId === 1));
      // 7 is PERMISSION_DENIED; header tables are not compressed for a first answer this short.
      expect(raw.frames.some(({ type }) => type === FRAME.data)).toBe(false);
      raw.destroy();
      opened.push(raw);
    }
    for (const raw of opened) raw.destroy();
    await leader.ok(['node', 'rm', evil.identity.nodeId, '--yes', '--force']);
  });

  test(`to and fro ${TURNS} times leaves one member and no Raft id twice`, async () => {
    const host = cluster.host('w2');
    const seen = new Set<number>();
    const leader = await cluster.leader();
    for (let turn = 0; turn < TURNS; turn += 1) {
      // Called off at once, as often as not before the host has heard of it.
      await leader.ok(['node', 'promote', 'w2']);
      await leader.ok(['node', 'demote', 'w2']);
      await leader.ok(['node', 'promote', 'w2']);
      const { raftId } = await becomes(host, 'manager');
      expect(seen.has(raftId)).toBe(false);
      seen.add(raftId);
      await leader.ok(['node', 'demote', 'w2']);
      await becomes(host, 'worker');
    }
    const { managers } = await cluster.status(leader);
    expect(managers.map(({ hostname }) => hostname).sort()).toEqual(['m1', 'm2', 'm3']);
    await cluster.running('kept', 2);
  }, 300_000);
});

describe('a host whose token asks for approval', () => {
  /** Milliseconds in which a host that was let in would long have the ring. */
  const WATCH_MS = 5_000;
  const ring = (host: Host): string => join(host.dataDir, 'keys/ring.sealed');
  const log = (host: Host): Promise<Buffer> => readFile(host.logFile);

  test('is listed, told so, and gets nothing before it is approved', async () => {
    const solo = cluster.host('solo');
    const leader = await cluster.leader();
    const made = await leader.ok(['token', 'create', 'manager', '--approval']);
    expect(made).toMatch(/gets nothing before you run `conclave node approve HOST`/);
    const token = /cvj1-\S+/.exec(made)?.[0] ?? '';
    const joined = await cluster.join(solo, token, cluster.joinAddress(leader));
    expect(joined).toMatchObject({ code: 0 });
    expect(joined.stdout + joined.stderr).toMatch(/waits for approval/);
    expect(await leader.ok(['node', 'ls'])).toMatch(/solo +manager \(waits for approval\)/);
    expect(await nodeOf(solo)).toMatchObject({ membership: '', address: '', raftId: 0 });
    const until = performance.now() + WATCH_MS;
    await eventually('some time without anything', async () => {
      expect(existsSync(ring(solo))).toBe(false);
      expect(String(await log(solo))).not.toMatch(/ring.received|snapshot.restored/);
      return performance.now() > until ? true : undefined;
    });
    expect((await local(solo)).message).toMatch(/conclave node approve/);
    await leader.ok(['node', 'approve', 'solo']);
    await becomes(solo, 'manager');
    expect(existsSync(ring(solo))).toBe(true);
    await solo.ok(['leave', '--yes']);
  });

  test('is turned away by its removal', async () => {
    const solo = cluster.host('solo');
    const leader = await cluster.leader();
    const token = (await leader.ok(['token', 'create', 'worker', '--approval', '-q'])).trim();
    const joined = await cluster.join(solo, token, cluster.joinAddress(leader));
    expect(joined).toMatchObject({ code: 0 });
    await eventually('it knows that it waits', async () =>
      /waits for approval/.test((await local(solo)).message) ? true : undefined,
    );
    await leader.ok(['node', 'rm', 'solo', '--yes']);
    await eventually('it knows that it is out', async () =>
      /was removed/.test((await local(solo)).message) ? true : undefined,
    );
    await solo.ok(['leave', '--yes', '--force']);
  });
});
