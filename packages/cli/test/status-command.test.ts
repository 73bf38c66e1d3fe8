import { describe, expect, test } from '@jest/globals';
import { clusterOf, localOf } from './support/objects.js';
import { failure, runCommand } from './support/run-command.js';

describe('status', () => {
  test('a manager in order', async () => {
    const { code, stdout } = await runCommand(['status'], {
      answers: { 'local.status': localOf(), 'cluster.status': clusterOf() },
    });
    expect(code).toBe(0);
    expect(stdout).toBe(
      [
        'cluster       cluster1',
        'leader        host-0',
        'log           term 4, committed 120, applied 119',
        'nodes         3 ready, 0 down',
        'objects       1 secret, 1 service',
        'key ring      version 1',
        'root          number 1',
        'tasks         3 running, 0 pending',
        'this host     host-0, manager, ready',
        'node          node0',
        'daemon        0.1.0, started 10m ago',
        'folders       /var/lib/conclave, /run/conclave',
        'certificate   until 2026-02-01 12:00:00Z',
        '',
        'MANAGER   ADDRESS         MEMBERSHIP   STATE    MATCH',
        'host-0    10.0.0.5:7420   voter        leader   120',
        '',
      ].join('\n'),
    );
  });

  test('problems come with the next command and a code for scripts', async () => {
    const problems = [
      { code: 'no-quorum', message: 'the managers have no quorum', next: 'start them' },
      { code: 'NODE_DOWN', message: 'host-9 is down', next: 'conclave node inspect host-9' },
    ];
    const { code, stdout } = await runCommand(['status'], {
      answers: {
        'local.status': localOf(),
        'cluster.status': clusterOf({ problems, hasQuorum: false, managers: [] }),
      },
    });
    expect(code).toBe(75);
    expect(stdout).toContain('leader        none\n');
    expect(stdout).toContain('no-quorum: the managers have no quorum\n  next: start them\n');
    expect(stdout).toContain('NODE_DOWN: host-9 is down\n  next: conclave node inspect host-9\n');
  });

  test('a manager that cannot tell is a problem, not the end', async () => {
    const { code, stdout } = await runCommand(['status', '-o', 'json'], {
      answers: {
        'local.status': localOf(),
        'cluster.status': failure('CV_NO_LEADER', 'no leader is known', 'Wait.'),
      },
    });
    expect(code).toBe(75);
    expect(JSON.parse(stdout)).toMatchObject({
      cluster: null,
      problems: [
        {
          code: 'CV_NO_LEADER',
          message: 'no leader is known',
          next: 'Start the managers that are down.',
        },
      ],
    });
  });

  test('a hint to look at the status is no next command there', async () => {
    const { stdout } = await runCommand(['status'], {
      answers: {
        'local.status': localOf(),
        'cluster.status': failure('CV_NO_LEADER', 'no leader is known'),
      },
    });
    expect(stdout).toContain('CV_NO_LEADER: no leader is known\n  next: ');
    expect(stdout).not.toContain('conclave status');
  });

  test('swap and the process are told of a manager too', async () => {
    const { stdout } = await runCommand(['status'], {
      answers: {
        'local.status': localOf({
          swap: 'on: memory of this process may reach a disk',
          process: 'hardened; no capability',
        }),
        'cluster.status': clusterOf(),
      },
    });
    expect(stdout).toContain('swap          on: memory of this process may reach a disk\n');
    expect(stdout).toContain('process       hardened; no capability\n');
  });

  test('a worker knows only itself', async () => {
    const worker = localOf({
      role: 'worker',
      connectedManager: '10.0.0.5:7420',
      runningTasks: 2,
      heldVersions: 1,
      medium: 'tmpfs noswap',
    });
    const { calls, code, stdout } = await runCommand(['status'], {
      answers: { 'local.status': worker },
    });
    expect(code).toBe(0);
    expect(calls.map(({ method }) => method)).toEqual(['local.status']);
    expect(stdout).toContain('holds         2 running tasks, 1 secret version\n');
    expect(stdout).toContain('memory        tmpfs noswap\n');
  });

  test.each([
    ['not-initialized', 'Run `conclave init` or `conclave join`.'],
    ['failed', 'Read the log of the daemon.'],
  ])('%s', async (state, next) => {
    const { code, stdout } = await runCommand(['status'], {
      answers: { 'local.status': localOf({ state, role: '', nodeId: '' }) },
    });
    expect(code).toBe(75);
    expect(stdout).toContain(next);
  });

  test('YAML', async () => {
    const { stdout } = await runCommand(['status', '-o', 'yaml'], {
      answers: { 'local.status': localOf(), 'cluster.status': clusterOf() },
    });
    expect(stdout).toContain('local:\n  state: ready\n');
  });
});
