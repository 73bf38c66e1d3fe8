import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cleanEnvironment, eventually, run } from '@conclave/testing';
import type { Host, RunResult } from '@conclave/testing';
import { BUNDLE, Cluster } from './support.js';

// Administrators over the network (attack rows A11, A15, A19 for administrators, P3, P4): from a
// host that is no member, with nothing but a context.
let cluster: Cluster;
let away: Host;
let home: string;

/** A folder of contexts, and commands on a host that find them there. */
function environment(folder: string): Record<string, string> {
  return { ...cleanEnvironment(), XDG_CONFIG_HOME: folder };
}

/** Runs `conclave` on the host that is no member, without any socket. */
function remote(
  args: readonly string[],
  input: Uint8Array | string = '',
  onStdout?: (chunk: Buffer) => void,
): Promise<RunResult> {
  const argv = [process.execPath, join(BUNDLE, 'conclave.js'), ...args];
  const options = { input, env: environment(home) };
  return run(away.on(argv), onStdout === undefined ? options : { ...options, onStdout });
}

async function ok(args: readonly string[], input: Uint8Array | string = ''): Promise<string> {
  const { code, stderr, stdout } = await remote(args, input);
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
  return stdout;
}

/** Makes an administrator on a manager; its context is that of the other host. */
async function admin(name: string, ...options: string[]): Promise<void> {
  await cluster.seed.ok(['admin', 'create', name, ...options], { env: environment(home) });
}

beforeAll(async () => {
  const spare = ['away', 'foreign'];
  cluster = await Cluster.start({ tag: 'adm', managers: 3, workers: 0, spare });
  away = cluster.host('away');
  home = join(cluster.farm.folder, 'contexts-of-away');
  await mkdir(home, { mode: 0o700 });
}, 240_000);

afterAll(async () => {
  await cluster?.close();
}, 60_000);

describe('an administrator from elsewhere', () => {
  test('does with a context what the socket of a manager does', async () => {
    const env = environment(join(cluster.farm.folder, 'contexts-of-m1'));
    await cluster.seed.ok(['admin', 'create', 'ann', '--role', 'admin'], { env });
    await ok(
      ['context', 'import', 'ann'],
      await cluster.seed.ok(['context', 'export', 'ann'], { env }),
    );
    const at = ['--context', 'ann'];
    await ok([...at, 'secret', 'set', 'shop/db'], 'value-over-the-network');
    const secrets = JSON.parse(await ok([...at, 'secret', 'ls', '-o', 'json'])) as unknown[];
    expect(secrets).toMatchObject([{ name: 'shop/db', currentVersion: 1 }]);
    expect(await ok([...at, 'secret', 'get', 'shop/db'])).not.toContain('value-over-the-network');
    await ok([...at, 'service', 'create', 'web', '--secret', 'shop/db', '--', '/bin/sleep', '9']);
    const status = JSON.parse((await remote([...at, 'status', '-o', 'json'])).stdout) as {
      local: unknown;
      cluster: { managers: unknown[] };
    };
    expect(status.local).toBeNull();
    expect(status.cluster.managers).toHaveLength(3);
    const history = await cluster.seed.json<{ by: unknown }[]>(['secret', 'history', 'shop/db']);
    const [self] = JSON.parse(await ok([...at, 'admin', 'ls', '-o', 'json'])) as { id: string }[];
    expect(history).toMatchObject([{ by: { kind: 'admin', id: self?.id } }]);
  });

  test('may have a key that never left its own host', async () => {
    const request = await ok(['context', 'create', 'own']);
    const create = ['admin', 'create', 'own', '--role', 'viewer', '--request', '-'];
    const grant = await cluster.seed.ok(create, { input: request });
    expect(`${request}${grant}`).not.toContain('PRIVATE');
    await ok(['context', 'import', 'own'], grant);
    expect(await ok(['--context', 'own', 'secret', 'ls', '-q'])).not.toBe('');
  });

  test('keeps its key to one user, and the cluster never had it', async () => {
    const path = join(home, 'conclave/contexts/ann');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const key = (await readFile(path, 'utf8')).split('\n')[2] ?? '';
    expect(key.length).toBe(64);
    for (const host of cluster.managers) {
      expect(await readFile(host.logFile, 'utf8')).not.toContain(key);
    }
  });

  test('is told what works on the host only', async () => {
    await ok(['context', 'use', 'ann']);
    for (const words of [['init'], ['leave', '--yes']]) {
      const { code, stderr } = await remote(['--context', 'ann', ...words]);
      expect({ code, stderr }).toMatchObject({ code: 64 });
      expect(stderr).toContain('works only with its own daemon');
    }
    expect((await remote(['secret', 'ls', '-q'])).code).toBe(0);
    await ok(['context', 'use', 'local']);
    expect((await remote(['secret', 'ls', '-q'])).code).toBe(69);
  });

  test('finds another manager when one is gone', async () => {
    const gone = cluster.managers[2];
    if (gone === undefined) throw new Error('there are three managers');
    await gone.stop('SIGKILL');
    for (let count = 0; count < 6; count += 1) await ok(['--context', 'ann', 'secret', 'ls', '-q']);
    await ok(['--context', 'ann', 'secret', 'set', 'shop/db'], `value-${Date.now()}`);
    await gone.start();
    await cluster.level();
  }, 120_000);
});

describe('roles', () => {
  const FORBIDDEN = 77;
  const cases: [role: string, may: string[], mayNot: string[]][] = [
    ['viewer', ['secret', 'ls'], ['secret', 'rm', 'shop/db', '--yes']],
    ['operator', ['service', 'scale', 'web=2'], ['token', 'create', 'manager']],
    ['secret-writer', ['secret', 'rollback', 'shop/db'], ['service', 'rm', 'web', '--yes']],
    ['auditor', ['node', 'exposure', 'm1'], ['admin', 'create', 'x', '--role', 'admin']],
  ];

  test.each(cases)('%s: its own calls and no others', async (role, may, mayNot) => {
    await admin(role, '--role', role);
    const at = ['--context', role];
    await ok([...at, ...may]);
    const refused = await remote([...at, ...mayNot]);
    expect(refused).toMatchObject({ code: FORBIDDEN });
    expect(refused.stderr).toContain('this identity may not make this call');
  });

  test('an operator gives to services the secrets that it may use, and no others', async () => {
    await admin('op', '--role', 'operator', '--use', 'team/*');
    await cluster.set('team/key', 'x');
    const create = (name: string, ...secrets: string[]): Promise<RunResult> => {
      const bindings = secrets.flatMap((secret) => ['--secret', secret]);
      return remote(['--context', 'op', 'service', 'create', name, ...bindings, '--', '/bin/true']);
    };
    expect(await create('mine', 'team/key')).toMatchObject({ code: 0 });
    const refused = await create('mixed', 'team/key', 'shop/db');
    expect(refused).toMatchObject({ code: FORBIDDEN });
    expect(refused.stderr).toContain('bindings[1]');
    expect((await remote(['--context', 'op', 'service', 'inspect', 'mixed'])).code).toBe(66);
  });
});

describe('the end of an administrator', () => {
  test('cuts its streams and refuses its calls within a second', async () => {
    await admin('ends', '--role', 'viewer');
    const at = ['--context', 'ends'];
    let seen = '';
    const stream = remote([...at, 'events', '-F', '--after', '1'], '', (chunk) => {
      seen += String(chunk);
    });
    let endedAt = 0;
    void stream.then(() => (endedAt = performance.now()));
    await cluster.set('shop/sees', 'so that there is something to see');
    await eventually('it sees what happens', () => seen.includes('shop/sees') || undefined);
    expect(endedAt).toBe(0);
    const client = await cluster.client();
    await client.admins.revoke('ends');
    const revokedAt = performance.now();
    const cut = await stream;
    process.stderr.write(`stream ended ${Math.round(endedAt - revokedAt)} ms after the entry\n`);
    expect(cut.code).toBe(77);
    // The promise is one second; that of the command is to say why and to end, on a busy machine.
    expect(endedAt - revokedAt).toBeLessThan(3_000);
    expect(await remote([...at, 'secret', 'ls'])).toMatchObject({ code: 77 });
    expect(await remote([...at, 'admin', 'renew'])).toMatchObject({ code: 77 });
  });

  test('comes with its certificate, also for open streams', async () => {
    await admin('short', '--role', 'viewer', '--ttl', '20s');
    const listed = await ok(['context', 'ls', '-f', 'name=short', '-o', 'json']);
    const [{ expiresAtMs } = { expiresAtMs: 0 }] = JSON.parse(listed) as { expiresAtMs: number }[];
    const stream = await remote(['--context', 'short', 'events', '-F', '--after', '1']);
    const lateMs = Date.now() - expiresAtMs;
    process.stderr.write(`stream ended ${lateMs} ms after the certificate\n`);
    expect(stream).toMatchObject({
      code: 77,
      stdout: expect.stringContaining('shop/db') as unknown,
    });
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(3_000);
    const late = await remote(['--context', 'short', 'secret', 'ls']);
    expect(late).toMatchObject({ code: 77 });
    expect(late.stderr).toContain('conclave admin create');
  });

  test('does not come when it is renewed', async () => {
    await admin('long', '--role', 'viewer', '--ttl', '1h');
    const before = await readFile(join(home, 'conclave/contexts/long'), 'utf8');
    await ok(['--context', 'long', 'admin', 'renew']);
    expect(await readFile(join(home, 'conclave/contexts/long'), 'utf8')).not.toBe(before);
    await ok(['--context', 'long', 'secret', 'ls']);
    // The one before is accepted for its overlap, and gives no more rights than the new one.
    await ok(['context', 'import', 'long-before'], before);
    await ok(['--context', 'long-before', 'secret', 'ls']);
  });
});

describe('a context of somebody else', () => {
  test('a cluster with another root is recognised, and nothing is sent to it', async () => {
    const foreign = cluster.host('foreign');
    const env = environment(join(cluster.farm.folder, 'contexts-of-foreign'));
    await foreign.ok(['init', '-q']);
    await foreign.ok(['admin', 'create', 'mallory', '--role', 'admin'], { env });
    const content = await foreign.ok(['context', 'export', 'mallory'], { env });
    await ok(['context', 'import', 'mallory'], content);
    await ok(['--context', 'mallory', 'secret', 'ls']);
    const path = join(home, 'conclave/contexts/mallory');
    await writeFile(path, content.replaceAll(foreign.address, cluster.seed.address));
    const refused = await remote(['--context', 'mallory', '--timeout', '3s', 'secret', 'ls']);
    expect(refused).toMatchObject({ code: 77 });
    // The roots of the cluster itself, so that this side is satisfied and the manager decides.
    const [theirs = '', ...key] = content.split('\n');
    const ours = JSON.parse(
      (await readFile(join(home, 'conclave/contexts/ann'), 'utf8')).split('\n')[0] ?? '',
    ) as { roots: string[]; addresses: string[] };
    const mixed = { ...(JSON.parse(theirs) as object), ...ours, certificate: '' };
    mixed.certificate = (JSON.parse(theirs) as { certificate: string }).certificate;
    await writeFile(path, [JSON.stringify(mixed), ...key].join('\n'));
    expect(await remote(['--context', 'mallory', 'secret', 'ls'])).toMatchObject({ code: 64 });
  });

  test('a context that others may read is not used', async () => {
    const path = join(home, 'conclave/contexts/open');
    await writeFile(path, await readFile(join(home, 'conclave/contexts/ann')), { mode: 0o644 });
    const refused = await remote(['--context', 'open', 'secret', 'ls']);
    expect(refused).toMatchObject({ code: 64 });
    expect(refused.stderr).toContain('others may read');
  });
});
