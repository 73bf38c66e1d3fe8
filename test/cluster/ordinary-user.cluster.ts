import { existsSync, readFileSync } from 'node:fs';
import { stat, statfs } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Task } from '@conclave/client';
import { eventually, run } from '@conclave/testing';
import { BUNDLE, Cluster, isEnded, isRoot, refusalOf } from './support.js';

const TMPFS = 0x01021994;
/** Nobody: has no rights and no files. */
const NOBODY = 65_534;
const OWNER = isRoot
  ? { uid: NOBODY, gid: NOBODY }
  : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const PREFIX = isRoot
  ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--inh-caps=-all']
  : [];

/** What this machine lacks for a cluster of an ordinary user; empty: nothing. */
async function missing(): Promise<string> {
  const asUser = (...argv: string[]): ReturnType<typeof run> => run([...PREFIX, ...argv]);
  if ((await asUser('true')).code !== 0) return 'no other user can be become (setpriv)';
  if ((await asUser('test', '-r', `${BUNDLE}/conclaved.js`)).code !== 0) {
    return `an ordinary user may not read ${BUNDLE}`;
  }
  const namespaces = await asUser('unshare', '--user', '--map-root-user', '--mount', 'true');
  return namespaces.code === 0 ? '' : 'ordinary users may not make user namespaces';
}

const lack = await missing();
if (lack !== '') console.warn(`skipped: ${lack}`);
const describeHere = lack === '' ? describe : describe.skip;

/** The values rest on a tmpfs of the host: where it may be swapped, that has to be said. */
const hasSwap = readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1;

describeHere('a cluster of an ordinary user', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({
      tag: 'cuser',
      managers: 1,
      workers: 1,
      network: 'loopback',
      prefix: PREFIX,
      owner: OWNER,
      ...(hasSwap ? { daemonArgs: ['--allow-swap'] } : {}),
    });
  });
  afterAll(() => cluster?.close());

  const serve = async (name: string, ...options: string[]): Promise<Task> => {
    await cluster.seed.ok(['service', 'create', name, ...options, '--', 'sleep', '1000']);
    const [task] = await cluster.running(name, 1);
    if (task === undefined) throw new Error(`no task of ${name}`);
    return task;
  };

  test('init and join make members whose daemons have no rights of root', async () => {
    const nodes = await cluster.seed.json<{ hostname: string; state: string }[]>(['node', 'ls']);
    expect(nodes.map(({ hostname, state }) => `${hostname} ${state}`)).toEqual([
      'm1 READY',
      'w1 READY',
    ]);
    for (const { pid } of cluster.farm.hosts) {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const ids = Array<number>(4).fill(OWNER.uid).join('\t');
      expect(status).toContain(`Uid:\t${ids}\n`);
      expect(status).toMatch(/^CapEff:\t0+$/m);
    }
  });

  test('a secret is a file of the user in the memory of the task, and a change arrives', async () => {
    const first = Buffer.from('first \0 value\r\n\xff', 'latin1');
    const set = await cluster.seed.conclave(['secret', 'set', 'own/db'], { input: first });
    expect({ code: set.code, stderr: set.stderr }).toEqual({ code: 0, stderr: '' });
    const task = await serve('reader', '--secret', 'own/db');
    expect(await cluster.contentOf(task, 'db')).toEqual(first);
    const path = await cluster.fileOf(task, 'db');
    const { uid, gid, mode } = await stat(path);
    expect({ uid, gid, mode: mode & 0o7777 }).toEqual({ ...OWNER, mode: 0o400 });
    expect((await statfs(path)).type).toBe(TMPFS);
    await cluster.seed.ok(['secret', 'set', 'own/db', '--wait'], { input: 'second' });
    expect(String(await cluster.contentOf(task, 'db'))).toBe('second');
  });

  test('the task is a process of the user without a way to the files of the agent', async () => {
    const { runDir } = cluster.host('w1');
    const script = `id -u; cat /run/secrets/db; echo; ls -A ${runDir} 2>&1; echo end; sleep 1000`;
    const command = ['sh', '-c', script];
    await cluster.seed.ok(['service', 'create', 'looker', '--secret', 'own/db', '--', ...command]);
    await cluster.running('looker', 1);
    const printed = await eventually('its output', async () => {
      const text = (await cluster.printed('looker')).join('\n');
      return text.endsWith('end') ? text : undefined;
    });
    expect(printed).toContain('second');
    expect(printed).not.toContain('conclave.sock');
  });

  test('an owner that the user cannot give a file is refused with the reason', async () => {
    await cluster.seed.ok([
      'service',
      'create',
      'foreign',
      '--restart-condition',
      'none',
      '--secret',
      `own/db:owner=${OWNER.uid + 1}`,
      '--',
      'sleep',
      '1000',
    ]);
    const task = await cluster.task('foreign', isEnded);
    expect(task.state).toMatch(/REJECTED|FAILED/);
    expect(`${task.error} ${task.message}`).toMatch(/owner|user|uid/);
  });

  test('the end of a service is the end of its files', async () => {
    const task = await serve('short', '--secret', 'own/db');
    const folder = cluster.folderOf(task);
    expect(existsSync(folder)).toBe(true);
    await cluster.seed.ok(['service', 'rm', 'short', '--yes']);
    await eventually('its files are gone', () => (existsSync(folder) ? undefined : true));
  });

  test('the socket is for its user (and root) only', async () => {
    const { mode, uid } = await stat(cluster.seed.socketPath);
    expect({ uid, mode: mode & 0o777 }).toEqual({ uid: OWNER.uid, mode: 0o600 });
    if (!isRoot) return;
    const other = ['setpriv', '--reuid=65533', '--regid=65533', '--clear-groups'];
    const command = [process.execPath, `${BUNDLE}/conclave.js`];
    const socket = ['--socket', cluster.seed.socketPath];
    const refused = refusalOf(await run([...other, ...command, ...socket, 'secret', 'ls']));
    expect(refused).toMatchObject({ code: 77, error: expect.stringMatching(/may not use/) });
    expect(refused.hint).toMatch(/as the user of the daemon/);
  });
});
