import { randomBytes, randomInt } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';

import { createId, SILENT_LOGGER } from '@conclave/kernel';
import type { Clock, Random, Timers } from '@conclave/kernel';
import { MountedTaskFiles, openMemoryAreas, SystemMountHost } from '@conclave/memfs';
import type { MemoryAreas, TaskFile } from '@conclave/memfs';
import { SecretBytes } from '@conclave/sealed';

import { ProcessExecutor } from '../src/index.js';
import type { ProcessExecutorOptions, TaskExit, TaskPlan } from '../src/index.js';

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => Math.floor(performance.now()),
};

export const realTimers: Timers = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    return { cancel: () => clearInterval(timer) };
  },
};

export const realRandom: Random = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
  below: (limit) => randomInt(limit),
};

/** A reason to skip the tests that start tasks for real, or undefined. */
export function reasonToSkip(): string | undefined {
  const isRoot = process.geteuid?.() === 0;
  const probe = spawnSync('unshare', isRoot ? ['--mount', 'true'] : ['--user', '--mount', 'true']);
  return probe.status === 0 ? undefined : 'no mount namespaces here';
}

export interface Host {
  readonly areas: MemoryAreas;
  readonly files: MountedTaskFiles;
  readonly executor: ProcessExecutor;
  /** Another agent on the same run folder, as after a restart. */
  restart(changes?: Partial<ProcessExecutorOptions>): Promise<Host>;
  /** Ends and removes everything. */
  close(): Promise<void>;
}

async function openHostAt(
  runDir: string,
  changes: Partial<ProcessExecutorOptions> = {},
): Promise<Host> {
  const host = new SystemMountHost({ timers: realTimers });
  const parts = { host, timers: realTimers, clock: realClock, logger: SILENT_LOGGER, runDir };
  const areas = await openMemoryAreas(parts);
  const files = new MountedTaskFiles({ ...parts, areas });
  const executor = new ProcessExecutor({
    files,
    runDir: areas.runDir,
    hasTaskMounts: areas.method !== 'folder',
    agent: { uid: process.geteuid?.() ?? -1, gid: process.getegid?.() ?? -1 },
    timers: realTimers,
    random: realRandom,
    logger: SILENT_LOGGER,
    ...changes,
  });
  return {
    areas,
    files,
    executor,
    restart: async (again = {}) => {
      executor.close();
      return await openHostAt(runDir, again);
    },
    close: async () => {
      executor.close();
      const last = await openHostAt(runDir);
      for (const task of files.list()) {
        await last.executor.clear(task);
        await last.files.remove(task);
      }
      await areas.remove(areas.tasksDir);
      rmSync(runDir, { recursive: true, force: true });
    },
  };
}

export async function openHost(): Promise<Host> {
  const runDir = mkdtempSync('/dev/shm/conclave-agent-');
  chownSync(runDir, process.geteuid?.() ?? -1, process.getegid?.() ?? -1);
  return await openHostAt(runDir);
}

export function planOf(script: string, rest: Partial<TaskPlan> = {}): TaskPlan {
  return {
    taskId: createId(realRandom),
    serviceName: 'web',
    slot: 3,
    runtime: 'process',
    command: ['sh', '-c', script],
    env: {},
    workingDirectory: '',
    user: '',
    stopSignal: '',
    ...rest,
  };
}

/** Prepares, writes the files and starts. */
export async function startTask(
  { executor, files }: Host,
  plan: TaskPlan,
  secrets: Readonly<Record<string, string>> = { password: 'hunter-2' },
): Promise<void> {
  const user = await executor.prepare(plan);
  await files.create(plan.taskId);
  await files.write(plan.taskId, filesOf(secrets, user));
  await executor.start(plan);
}

export function filesOf(
  secrets: Readonly<Record<string, string>>,
  user: { readonly uid: number; readonly gid: number },
): TaskFile[] {
  return Object.entries(secrets).map(([target, text]) => ({
    target,
    uid: user.uid,
    gid: user.gid,
    mode: 0o400,
    value: SecretBytes.take(new TextEncoder().encode(text)),
  }));
}

/** Everything that a task printed so far. */
export async function outputOf(host: Host, taskId: string, tailLines = 0): Promise<string> {
  const pieces: Buffer[] = [];
  const options = { tailLines, follow: false, signal: new AbortController().signal };
  for await (const { bytes } of host.executor.logs(taskId, options)) {
    pieces.push(Buffer.from(bytes));
  }
  return Buffer.concat(pieces).toString();
}

/** Follows the output until it contains `text`; returns what came. */
export async function outputUntil(host: Host, taskId: string, text: string): Promise<string> {
  const stop = new AbortController();
  const deadline = setTimeout(() => stop.abort(), 10_000);
  let seen = '';
  const options = { tailLines: 0, follow: true, signal: stop.signal };
  for await (const { bytes } of host.executor.logs(taskId, options)) {
    seen += Buffer.from(bytes).toString();
    if (seen.includes(text)) break;
  }
  clearTimeout(deadline);
  if (!seen.includes(text)) throw new Error(`"${text}" did not come; there was: ${seen}`);
  return seen;
}

/** Runs a plan to its end. */
export async function runTask(host: Host, plan: TaskPlan): Promise<[TaskExit, string]> {
  await startTask(host, plan);
  const exit = await host.executor.wait(plan.taskId);
  return [exit, await outputOf(host, plan.taskId)];
}
