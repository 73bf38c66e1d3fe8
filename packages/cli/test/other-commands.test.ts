import { describe, expect, test } from '@jest/globals';
import { SecretBytes } from '@conclave/sealed';
import { nodeOf, NOW_MS, tokenOf } from './support/objects.js';
import { failure, runCommand } from './support/run-command.js';

const TOKEN = 'cvj1-w-marker-of-a-token';
const secret = (text: string): SecretBytes => SecretBytes.take(new TextEncoder().encode(text));
const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

describe('token', () => {
  const answers = {
    'tokens.create': () => ({
      token: tokenOf(),
      text: secret(TOKEN),
      joinAddresses: ['10.0.0.5:7421', '10.0.0.6:7421'],
      index: 7,
    }),
  };

  test('create prints the line to paste, and the token apart from it', async () => {
    const argv = ['token', 'create', 'worker', '--uses', '5', '--ttl', '1h'];
    const { calls, stdout } = await runCommand(argv, { answers });
    expect(calls[0]?.arguments[0]).toEqual({
      role: 'worker',
      uses: 5,
      ttlMs: 3_600_000,
      needsApproval: false,
      addressRanges: [],
      hostnamePattern: undefined,
    });
    expect(stdout).toBe(
      [
        'worker token ow6xk3s4tqcfe admits 5 hosts until 2026-01-31 13:00:00Z; committed at index 7.',
        'It is shown only now. On the other host this asks for it, so that no list of processes has it:',
        '',
        '    conclave join 10.0.0.5:7421',
        '',
        `    ${TOKEN}`,
        '',
        'Whoever uses it may be given tasks with their secrets: --approval asks you before.',
        '',
      ].join('\n'),
    );
  });

  test('create says from where and for which hosts', async () => {
    const from = ['--from', '10.0.0.0/8', '--from', 'fd00::/8', '--node-name', 'web-*'];
    const { calls } = await runCommand(['token', 'create', 'worker', ...from], { answers });
    expect(calls[0]?.arguments[0]).toMatchObject({
      addressRanges: ['10.0.0.0/8', 'fd00::/8'],
      hostnamePattern: 'web-*',
    });
  });

  test('create -q prints the bare token, JSON all of it', async () => {
    expect((await runCommand(['token', 'create', 'manager', '-q'], { answers })).stdout).toBe(
      `${TOKEN}\n`,
    );
    const { stdout } = await runCommand(['token', 'create', 'worker', '-o', 'json'], { answers });
    expect(JSON.parse(stdout)).toEqual({
      id: 'ow6xk3s4tqcfe',
      role: 'worker',
      usesLeft: 5,
      needsApproval: false,
      expiresAtMs: NOW_MS + 3_600_000,
      token: TOKEN,
      joinAddresses: ['10.0.0.5:7421', '10.0.0.6:7421'],
      index: 7,
    });
  });

  test.each([
    [['admin']],
    [['worker', '--uses', '0']],
    [['worker', '--uses', '10001']],
    [['worker', '--ttl', '31d']],
    [['worker', '--ttl', '0s']],
    [['worker', '--ttl', '1']],
    [[]],
  ])('create %j is refused', async (words) => {
    const { code, connected } = await runCommand(['token', 'create', ...words], { answers });
    expect(code).toBe(64);
    expect(connected).toEqual([]);
  });

  test('ls says what each is still good for', async () => {
    const tokens = [
      tokenOf({ id: 'd', createdAtMs: 4, usesLeft: 0, admittedNodes: ['x'] }),
      tokenOf({ id: 'c', createdAtMs: 3, expiresAtMs: NOW_MS - 1 }),
      tokenOf({ id: 'b', createdAtMs: 2, revoked: true, hostnamePattern: 'web-*' }),
      tokenOf({ id: 'a', createdAtMs: 1, role: 'manager', addressRanges: ['10.0.0.0/8'] }),
    ];
    const { stdout } = await runCommand(['token', 'ls'], { answers: { 'tokens.list': tokens } });
    expect(stdout).toBe(
      [
        'ID   ROLE      STATE     USES LEFT   FOR          EXPIRES   ADMITTED',
        'a    manager   open      5           10.0.0.0/8   in 60m    0',
        'b    worker    revoked   5           web-*        in 60m    0',
        'c    worker    expired   5           any host     expired   0',
        'd    worker    used      0           any host     in 60m    1',
        '',
      ].join('\n'),
    );
  });

  test('revoke', async () => {
    const { stdout } = await runCommand(['token', 'revoke', 'a', '-y'], {
      answers: { 'tokens.revoke': { index: 8 } },
    });
    expect(stdout).toBe('a revoked at index 8\n');
  });
});

describe('init, join and leave', () => {
  test('init prints what was chosen and the next lines', async () => {
    const answers = {
      'local.init': {
        clusterId: 'c1',
        nodeId: 'n1',
        clusterAddress: '10.0.0.5:7420',
        joinAddress: '10.0.0.5:7421',
        notes: ['10.0.0.5 is the only address of this host'],
      },
    };
    const argv = ['init', '--advertise', '10.0.0.5', '--auto-unlock', 'host'];
    const { calls, stdout } = await runCommand(argv, { answers });
    expect(calls[0]?.arguments[0]).toMatchObject({ advertise: '10.0.0.5', autoUnlock: 'host' });
    expect(stdout).toContain('cluster c1 is made; this host is manager n1\n');
    expect(stdout).toContain('note: 10.0.0.5 is the only address of this host\n');
    expect(stdout).toContain('To add a worker:   conclave token create worker\n');
  });

  const joined = { clusterId: 'c1', nodeId: 'n2', role: 'worker', membership: '', notes: [] };
  test.each([
    ['an argument', [TOKEN], [], false],
    ['-', ['-'], [` ${TOKEN}\n`], false],
    ['standard input', [], [`${TOKEN}\r\n`], false],
    ['the terminal', [], [`${TOKEN}\r`], true],
  ])('join takes the token from %s', async (_, words, stdin, isTerminal) => {
    const outcome = await runCommand(['join', '10.0.0.5:7421', ...words], {
      answers: {
        'local.join': (spec: { token: SecretBytes }) => {
          outcomeToken = spec.token.use((view) => textOf(view));
          return joined;
        },
      },
      stdin,
      isTerminal,
    });
    expect(outcome.code).toBe(0);
    expect(outcomeToken).toBe(TOKEN);
    expect(outcome.stdout).toBe('joined cluster c1 as worker n2\n');
    expect(outcome.stderr).not.toContain(TOKEN);
  });
  let outcomeToken = '';

  test('join says when there are two tokens or none', async () => {
    const two = ['join', 'h:1', TOKEN, '--token-file', '/x'];
    expect(await runCommand(two)).toMatchObject({ code: 64 });
    expect(await runCommand(['join', 'h:1', '-'])).toMatchObject({ code: 64, connected: [] });
  });

  test('no error of join repeats the token', async () => {
    const answers = { 'local.join': failure('CV_TOKEN_INVALID', 'the token is expired') };
    for (const argv of [
      ['join', 'h:1', TOKEN],
      ['join', 'h:1', 'x', TOKEN],
      ['join', 'h:1', `--token=${TOKEN}`],
      ['join', 'h:1', TOKEN, '--token-file', TOKEN],
      ['join', 'h:1', '--token-file', TOKEN],
    ]) {
      const { code, stderr, stdout } = await runCommand(argv, { answers });
      expect(code).not.toBe(0);
      expect(stdout + stderr).not.toContain('marker');
    }
  });

  test('leave', async () => {
    const { calls, stdout } = await runCommand(['leave', '--yes', '--force'], {
      answers: { 'local.leave': { nodeId: 'n2', isUntold: false } },
    });
    expect(calls[0]?.arguments[0]).toMatchObject({ isForced: true });
    expect(stdout).toBe('left the cluster; node n2 ends\n');
  });

  test('leave says when the others still list the host', async () => {
    const { stdout } = await runCommand(['leave', '--yes', '--force'], {
      answers: { 'local.leave': { nodeId: 'n2', isUntold: true } },
    });
    expect(stdout).toContain('conclave node rm n2 --force');
  });
});

describe('what destroys asks first', () => {
  const commands = [
    ['secret', 'rm', 'a'],
    ['secret', 'destroy-version', 'a', '1'],
    ['service', 'rm', 'a'],
    ['node', 'rm', 'a'],
    ['token', 'revoke', 'a'],
    ['leave'],
  ];

  test.each(commands)('%s %s without a terminal and without --yes is refused', async (...argv) => {
    const { code, connected, stderr } = await runCommand(argv);
    expect(code).toBe(64);
    expect(connected).toEqual([]);
    expect(stderr).toContain('hint: Add --yes when it is meant.\n');
  });

  test.each(commands)('%s %s does nothing for another answer than yes', async (...argv) => {
    for (const stdin of ['\n', 'n\n', 'yess\n', '']) {
      const outcome = await runCommand(argv, { stdin: [stdin], isTerminal: true });
      expect(outcome.code).toBe(69);
      expect(outcome.calls).toEqual([]);
      expect(outcome.stderr).toContain('[y/N]');
    }
  });

  test('yes is yes', async () => {
    const { code } = await runCommand(['leave'], {
      answers: { 'local.leave': { nodeId: 'n2' } },
      stdin: ['Y\n'],
      isTerminal: true,
    });
    expect(code).toBe(0);
  });
});

describe('node', () => {
  test('ls', async () => {
    const nodes = [
      nodeOf({ id: 'b', hostname: 'host-10', labels: { disk: 'fast' } }),
      nodeOf({
        id: 'a',
        hostname: 'host-2',
        role: 'manager',
        isLeader: true,
        address: '10.0.0.2:7420',
      }),
      nodeOf({
        id: 'c',
        hostname: 'host-3',
        role: 'manager',
        membership: 'learner',
        state: 'DOWN',
      }),
    ];
    const { stdout } = await runCommand(['node', 'ls'], { answers: { 'nodes.list': nodes } });
    expect(stdout).toBe(
      [
        'ID   HOSTNAME   ROLE                STATE   AVAILABILITY   TASKS   ADDRESS         VERSION   LABELS',
        'a    host-2     manager (leader)    READY   active         2       10.0.0.2:7420   0.1.0',
        'c    host-3     manager (learner)   DOWN    active         2       -               0.1.0',
        'b    host-10    worker              READY   active         2       -               0.1.0     disk=fast',
        '',
      ].join('\n'),
    );
  });

  test.each([
    [['drain', 'host-1'], { availability: 'drain' }, 'host-1 drains at index 70\n'],
    [['activate', 'host-1'], { availability: 'active' }, 'host-1 is active at index 70\n'],
    [
      ['update', 'host-1', '--label-add', 'a=b', '--label-rm', 'c', '--availability', 'pause'],
      { availability: 'pause', labelsSet: { a: 'b' }, labelsRemove: ['c'] },
      'host-1 updated at index 70\n',
    ],
  ])('%j', async (words, change, text) => {
    const { calls, stdout } = await runCommand(['node', ...words], {
      answers: { 'nodes.update': nodeOf() },
    });
    expect(calls[0]?.arguments.slice(0, 2)).toEqual(['host-1', change]);
    expect(stdout).toBe(text);
  });

  test.each([
    ['promote', 'worker', 'host-1 becomes a manager: follow it with `conclave node ls`'],
    ['demote', 'worker', 'host-1 is a worker'],
  ])('%s', async (word, role, said) => {
    const wanted = word === 'promote' ? 'manager' : 'worker';
    const { calls, stdout } = await runCommand(['node', word, 'host-1', 'host-2'], {
      answers: { 'nodes.setRole': nodeOf({ role, wantedRole: wanted }) },
    });
    expect(calls.map(({ arguments: given }) => given.slice(0, 2))).toEqual([
      ['host-1', wanted],
      ['host-2', wanted],
    ]);
    expect(stdout.split('\n')[0]).toBe(`${said}; committed at index 70`);
  });

  test('approve', async () => {
    const answers = { 'nodes.approve': nodeOf({ role: 'manager' }) };
    const { calls, stdout } = await runCommand(['node', 'approve', 'host-1'], { answers });
    expect(calls[0]?.arguments[0]).toBe('host-1');
    expect(stdout).toBe('host-1 is approved as manager; committed at index 70\n');
  });

  test('ls tells who waits for approval', async () => {
    const answers = { 'nodes.list': [nodeOf({ role: 'manager', waitsForApproval: true })] };
    const { stdout } = await runCommand(['node', 'ls'], { answers });
    expect(stdout).toContain('manager (waits for approval)');
  });

  test('ls tells what a node is to be', async () => {
    const answers = { 'nodes.list': [nodeOf({ wantedRole: 'manager' })] };
    const { stdout } = await runCommand(['node', 'ls'], { answers });
    expect(stdout).toContain('worker (to be manager)');
  });

  test('update without a change, or with a wrong one, is refused', async () => {
    expect((await runCommand(['node', 'update', 'a'])).code).toBe(64);
    expect((await runCommand(['node', 'update', 'a', '--availability', 'off'])).code).toBe(64);
  });

  test('inspect', async () => {
    const answers = { 'nodes.get': nodeOf() };
    const { stdout } = await runCommand(['node', 'inspect', 'self', '-o', 'json'], { answers });
    expect(JSON.parse(stdout)).toMatchObject({ id: 'node1', hostname: 'host-1' });
  });

  test('rm lists what the node held', async () => {
    const held = [{ secretId: 's', secretName: 'shop/db', version: 2, firstAtMs: 1, lastAtMs: 2 }];
    const { calls, stdout } = await runCommand(['node', 'rm', 'host-1', '-y', '--force'], {
      answers: { 'nodes.remove': { index: 5, held, heldCount: 3, orphanedTasks: 1 } },
    });
    expect(calls[0]?.arguments).toMatchObject(['host-1', { isForced: true }]);
    expect(stdout).toBe(
      [
        'host-1 removed at index 5, 1 task orphaned',
        'it was given these secret versions:',
        '  shop/db v2',
        '  and 2 more',
        '',
      ].join('\n'),
    );
  });

  test('exposure', async () => {
    const held = [
      { secretId: 's', secretName: 'shop/db', version: 10, firstAtMs: 1e12, lastAtMs: 1e12 },
      { secretId: 's', secretName: 'shop/db', version: 9, firstAtMs: 1e12, lastAtMs: 1e12 },
    ];
    const { stdout } = await runCommand(['node', 'exposure', 'host-1', '-o', 'name'], {
      answers: { 'nodes.exposure': held },
    });
    expect(stdout).toBe('shop/db@10\nshop/db@9\n');
    const { stdout: table } = await runCommand(['node', 'exposure', 'host-1'], {
      answers: { 'nodes.exposure': held },
    });
    expect(table.indexOf('v9')).toBeLessThan(table.indexOf('v10'));
  });
});

describe('events', () => {
  const event = (index: number, kind: string, action: string, name: string): object => ({
    index,
    kind,
    action,
    name,
    id: 'i1',
    state: 'v2',
  });
  const answers = {
    'cluster.watch': [
      event(7, 'secret', 'updated', 'shop/db'),
      event(8, '', 'synced', ''),
      event(9, 'receipt', 'created', ''),
      failure('CV_CANCELLED'),
    ],
  };

  test('one line per change until Ctrl-C', async () => {
    const argv = ['events', '--follow', '--kind', 'secret', '--kind', 'receipt', '--after', '6'];
    const { calls, code, stdout } = await runCommand(argv, { answers });
    expect(code).toBe(0);
    expect(stdout).toBe(
      '       7  secret updated    shop/db  v2\n       9  receipt created   i1  v2\n',
    );
    expect(calls[0]?.arguments[0]).toMatchObject({ kinds: ['secret', 'receipt'], afterIndex: 6 });
  });

  test('one object per line', async () => {
    const { stdout } = await runCommand(['events', '-F', '-o', 'json', '-f', 'kind=secret'], {
      answers,
    });
    expect(JSON.parse(stdout)).toEqual(event(7, 'secret', 'updated', 'shop/db'));
  });

  test.each([
    [[]],
    [['-F', '--kind', 'x']],
    [['-F', '--after', 'x']],
    [['-F', '--format', '{{.x}}']],
  ])('%j is refused', async (words) => {
    const { code, connected } = await runCommand(['events', ...words], { answers });
    expect(code).toBe(64);
    expect(connected).toEqual([]);
  });

  test('another end than Ctrl-C is an error', async () => {
    const { code } = await runCommand(['events', '-F'], {
      answers: { 'cluster.watch': failure('CV_STATE_STALE') },
    });
    expect(code).toBe(75);
  });
});

describe('daemon, version and completion', () => {
  test('what stands behind daemon is the daemon’s', async () => {
    const { code, connected, daemonArguments } = await runCommand([
      'daemon',
      '--data-dir',
      '/x',
      '--unknown',
    ]);
    expect(code).toBe(0);
    expect(daemonArguments).toEqual([['--data-dir', '/x', '--unknown']]);
    expect(connected).toEqual([]);
  });

  test('help of the daemon is ours', async () => {
    const { daemonArguments, stdout } = await runCommand(['daemon', '--help']);
    expect(daemonArguments).toEqual([]);
    expect(stdout).toContain('--data-dir <path>');
  });

  test('version connects nowhere', async () => {
    const { connected, stdout } = await runCommand(['version']);
    expect(stdout).toMatch(/^conclave \d+\.\d+\.\d+\n$/);
    expect(connected).toEqual([]);
    expect((await runCommand(['--version'])).stdout).toBe(stdout);
    expect(JSON.parse((await runCommand(['version', '-o', 'json'])).stdout)).toHaveProperty('node');
  });

  test('another shell is refused', async () => {
    expect((await runCommand(['completion', 'tcsh'])).code).toBe(64);
  });
});

describe('settings of the cluster', () => {
  const settings = {
    objectVersion: 71,
    managerCertificateLifeMs: 7 * 86_400_000,
    workerCertificateLifeMs: 5_400_000,
    adminCertificateLifeMs: 3_600_000,
  };

  test('update changes what is named and says how it is then', async () => {
    const words = ['--worker-certificate-life', '90m', '--admin-certificate-life', '1h'];
    const { calls, stdout } = await runCommand(['cluster', 'update', ...words], {
      answers: { 'cluster.updateSettings': settings },
    });
    expect(calls[0]?.arguments[0]).toEqual({ workerLifeMs: 5_400_000, adminLifeMs: 3_600_000 });
    expect(stdout).toBe(
      'certificates live: managers 7d, workers 1h30m, administrators 1h; committed at index 71\n',
    );
  });

  test.each([
    [[], 'nothing to change'],
    [['--worker-certificate-life', '0s'], '--worker-certificate-life must be from 1m to 90d'],
    [['--manager-certificate-life', '91d'], '--manager-certificate-life must be from 1m to 90d'],
    [['--admin-certificate-life', '8d'], '--admin-certificate-life must be from 1m to 7d'],
  ])('update refuses %j', async (words, said) => {
    const { calls, stderr } = await runCommand(['cluster', 'update', ...words]);
    expect(calls).toEqual([]);
    expect(stderr).toContain(said);
  });

  test('inspect shows them', async () => {
    const answers = { 'cluster.settings': settings };
    const { stdout } = await runCommand(['cluster', 'inspect', '-o', 'table'], { answers });
    expect(stdout).toBe(
      'MANAGER LIFE   WORKER LIFE   ADMIN LIFE\n7d             1h30m         1h\n',
    );
  });
});
