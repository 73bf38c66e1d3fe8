import { findTool } from '@conclave/memfs';

import type { TaskPlan, TaskUser } from '../executor.js';

/** What our own shells get; nothing of the agent's environment. */
export const TOOL_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
};

const TASK_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Where every task finds its secrets. */
export const SECRETS_DIR = '/run/secrets';

/** The tools that must be on the host. */
export const TOOLS: readonly string[] = [
  'unshare',
  'nsenter',
  'setpriv',
  'setsid',
  'mount',
  'umount',
  'env',
  'sh',
];

/** The environment of a task, sorted: its own variables, and ours, which it cannot replace. */
export function taskEnvironment(plan: TaskPlan): Record<string, string> {
  const variables: Record<string, string> = {
    HOME: '/',
    PATH: TASK_PATH,
    ...plan.env,
    CONCLAVE_SECRETS_DIR: SECRETS_DIR,
    CONCLAVE_SERVICE: plan.serviceName,
    CONCLAVE_SLOT: String(plan.slot),
    CONCLAVE_TASK_ID: plan.taskId,
  };
  return Object.fromEntries(Object.entries(variables).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** How to get into namespaces that the task's command is started in, by our own shell. */
export function enterWords(isRoot: boolean): string[] {
  const mounts = ['--mount', '--propagation', 'private'];
  return isRoot
    ? [findTool('unshare'), ...mounts]
    : [findTool('unshare'), '--user', '--map-root-user', ...mounts];
}

/** How to get into the namespaces of a running supervisor. */
export function joinWords(isRoot: boolean, supervisorPid: number): string[] {
  const target = [findTool('nsenter'), '--target', String(supervisorPid)];
  return isRoot
    ? [...target, '--mount', '--']
    : [...target, '--user', '--mount', '--preserve-credentials', '--'];
}

/**
 * The words that give up every right and become the task: no capability, no new privileges, its
 * user, its environment alone. Without the rights of root the user namespace of the supervisor is
 * left for one more, so that the task has no rights over the mounts and may not look into ours.
 */
export function taskWords(
  plan: TaskPlan,
  user: TaskUser,
  how: { readonly isRoot: boolean; readonly command: readonly string[] },
): string[] {
  const noRights = ['--no-new-privs', '--inh-caps=-all', '--ambient-caps=-all'];
  const become = how.isRoot
    ? [
        findTool('setpriv'),
        `--reuid=${user.uid}`,
        `--regid=${user.gid}`,
        '--clear-groups',
        '--bounding-set=-all',
        ...noRights,
      ]
    : [
        findTool('unshare'),
        '--user',
        `--map-user=${user.uid}`,
        `--map-group=${user.gid}`,
        findTool('setpriv'),
        '--no-new-privs',
      ];
  const folder = plan.workingDirectory === '' ? '/' : plan.workingDirectory;
  const variables = Object.entries(taskEnvironment(plan)).map(
    ([name, value]) => `${name}=${value}`,
  );
  const environment = [findTool('env'), '-i', '--default-signal', `--chdir=${folder}`, '--'];
  return [...become, ...environment, ...variables, ...how.command];
}
