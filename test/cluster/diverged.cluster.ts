import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { LocalStatus } from '@conclave/client';
import { eventually } from '@conclave/testing';
import type { Host } from '@conclave/testing';
import { alterLog } from './altered-log.js';
import { Cluster } from './support.js';

/** Milliseconds between two comparisons, and what a busy machine needs. */
const NOTICED_MS = 60_000;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ tag: 'cdiv', managers: 3, workers: 1 });
});
afterAll(() => cluster?.close());

async function localOf(host: Host): Promise<LocalStatus> {
  return (await cluster.client(host)).local.status();
}

/** Waits until the host has left everything, and answers what it says then. */
function quarantined(host: Host): Promise<LocalStatus> {
  return eventually(
    `the quarantine of ${host.name}`,
    async () => {
      const local = await localOf(host);
      return local.state === 'quarantined' ? local : undefined;
    },
    NOTICED_MS,
  );
}

test('a manager with another state takes no part, says so, keeps its data, and comes back anew', async () => {
  const leader = await cluster.leader();
  const others = cluster.managers.filter((host) => host !== leader);
  const [victim, other] = others as [Host, Host];
  await cluster.set('shared', 'a value', { from: leader, description: 'as it is' });
  await cluster.level();
  const { nodeId } = await localOf(victim);

  await victim.stop();
  await alterLog(victim.dataDir, (command) =>
    command.kind === 'secret.set' ? { ...command, description: 'as it is not' } : undefined,
  );
  await victim.start([], 60_000);

  const found = await quarantined(victim);
  expect(found.message).toMatch(/^takes no part: the state of this manager at index \d+ is not/);
  const { code, stdout } = await victim.conclave(['status']);
  expect(code).toBe(75);
  expect(stdout).toContain('CV_STATE_DIVERGED');
  expect(stdout).toContain(`conclave node rm --force ${nodeId}`);
  const refused = await victim.conclave(['secret', 'ls']);
  expect(refused.stderr).toMatch(/index \d+ is not that of the others/);

  // The others are a quorum without it, and name it.
  const named = await eventually(
    'the problem on another manager',
    async () => {
      const { problems } = await cluster.status(leader);
      return problems.find(({ code: problem }) => problem === 'manager-diverged');
    },
    NOTICED_MS,
  );
  expect(named.next).toBe(`conclave node rm --force ${nodeId}`);
  await cluster.set('after', 'a value', { from: other });

  // Also over a restart, and with its data where it was.
  await victim.stop('SIGKILL');
  await victim.start([], 60_000);
  expect((await quarantined(victim)).message).toBe(found.message);
  expect((await stat(join(victim.dataDir, 'raft', 'log'))).isDirectory()).toBe(true);

  // It says nothing to anybody any more, so that it is DOWN soon, and then it can be removed.
  const { nodes } = await cluster.client(leader);
  await eventually(
    'the manager is DOWN',
    async () => ((await nodes.get(nodeId)).state === 'DOWN' ? true : undefined),
    NOTICED_MS,
  );
  await leader.ok(['node', 'rm', '--force', '--yes', nodeId]);
  expect((await victim.conclave(['leave', '--yes'])).stderr).toContain('is not that of the others');
  await victim.ok(['leave', '--yes', '--force']);
  await cluster.admit(victim);
  expect((await localOf(victim)).state).toBe('ready');
  await cluster.set('shared', 'another value', { from: victim });
});
