import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fchownSync, openSync } from 'node:fs';

import { ConclaveError } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';
import { findTool } from '@conclave/memfs';

import { START_MS_MAX, START_POLL_MS, WATCHDOG_SECONDS } from '../../limits.js';
import type { TaskPlan, TaskUser } from '../executor.js';
import { enterWords, taskWords, TOOL_ENVIRONMENT } from './command-line.js';
import { SUPERVISE, wordVariables } from './launcher.js';
import { lendDescriptors } from './lend-descriptors.js';
import type { OutputLog } from './output-log.js';
import { identify } from './process-table.js';
import type { ProcessIdentity } from './process-table.js';
import type { TaskNotes } from './task-notes.js';

/** What {@link startSupervisor} needs. */
export interface StartRequest {
  readonly plan: TaskPlan;
  readonly user: TaskUser;
  readonly notes: TaskNotes;
  readonly outputs: Readonly<Record<'stdout' | 'stderr', OutputLog>>;
  readonly viewPath: string;
  readonly runDir: string;
  readonly hasTaskMounts: boolean;
  readonly isRoot: boolean;
  readonly timers: Timers;
}

/** A supervisor and the main process that it started. */
export interface Started {
  readonly supervisor: ProcessIdentity;
  readonly main: ProcessIdentity;
}

/**
 * Starts the supervisor of a task in namespaces of its own, and through it the command. Nothing of
 * the task runs before the supervisor is noted down: it waits for a word, and ends without it when
 * the agent dies first. After an error something of the task may run: it is to be cleared.
 * @throws CV_EXECUTOR_FAILED, CV_MOUNT_DENIED with the step that failed
 */
export async function startSupervisor(request: StartRequest): Promise<Started> {
  const { notes } = request;
  notes.clear();
  const child = await spawnSupervisor(request);
  child.stdin?.on('error', () => undefined);
  const supervisor = noteDown(child, request);
  const started = startedOrFailed(child, request);
  child.stdin?.end('go\n');
  await started;
  child.unref();
  const failure = notes.readFailure();
  if (failure !== undefined) {
    throw new ConclaveError('CV_MOUNT_DENIED', `the task's namespace: ${failure}`);
  }
  const main = notes.readStarted();
  if (main === undefined) throw startFailure('its supervisor ended', notes);
  return { supervisor, main };
}

/** Nobody finds a supervisor again that is not noted down, so that it must not stay. */
function noteDown(child: ChildProcess, { notes, user }: StartRequest): ProcessIdentity {
  try {
    const supervisor = identify(child.pid ?? 0);
    if (supervisor === undefined) throw startFailure('its supervisor ended at once', notes);
    notes.writeSupervisor({ supervisor, user });
    return supervisor;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

async function spawnSupervisor(request: StartRequest): Promise<ChildProcess> {
  const { notes, outputs, user, plan, isRoot } = request;
  const words = taskWords(plan, user, { isRoot, command: plan.command });
  const [program = '', ...enter] = enterWords(isRoot);
  const tasks = request.hasTaskMounts ? 'mounted' : 'folder';
  const counts = [words.length, WATCHDOG_SECONDS].map(String);
  const parameters = [request.viewPath, request.runDir, tasks, ...counts];
  const args = [...enter, findTool('sh'), '-c', SUPERVISE, 'conclave-task', ...parameters];
  const opens = [
    () => outputs.stdout.openForTask(),
    () => openSync(notes.complaintPath, 'a', 0o600),
    () => outputs.stderr.openForTask(),
  ];
  const { child, isSpawned } = lendDescriptors(opens, (descriptors) => {
    const [out = -1, complaint = -1, err = -1] = descriptors;
    // A program may open /dev/stdout anew, by the rights of its own user.
    if (isRoot) for (const file of [out, err]) fchownSync(file, user.uid, user.gid);
    const started = spawn(program, args, {
      cwd: notes.folder,
      env: { ...TOOL_ENVIRONMENT, ...wordVariables(words) },
      stdio: ['pipe', out, complaint, err],
      detached: true,
    });
    return { child: started, isSpawned: spawned(started) };
  });
  await isSpawned;
  return child;
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.on('error', (cause) => {
      reject(new ConclaveError('CV_EXECUTOR_FAILED', 'no process could be started', { cause }));
    });
  });
}

/** Resolves when there is a note `started` or `failed`, or the supervisor has ended. */
function startedOrFailed(child: ChildProcess, request: StartRequest): Promise<void> {
  const { notes, timers } = request;
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void): void => {
      poll.cancel();
      timer.cancel();
      settle();
    };
    const poll = timers.every(START_POLL_MS, () => {
      try {
        const isThere = notes.readStarted() !== undefined || notes.readFailure() !== undefined;
        if (isThere) finish(resolve);
      } catch (cause) {
        const what = 'its notes cannot be read';
        finish(() => reject(new ConclaveError('CV_EXECUTOR_FAILED', what, { cause })));
      }
    });
    const timer = timers.after(START_MS_MAX, () => {
      finish(() => reject(startFailure('its namespace took too long', notes)));
    });
    child.once('exit', () => finish(resolve));
  });
}

function startFailure(what: string, notes: TaskNotes): ConclaveError {
  const complaint = notes.readComplaint();
  const said = complaint === '' ? '' : `: ${complaint}`;
  return new ConclaveError('CV_EXECUTOR_FAILED', `the task was not started, ${what}${said}`);
}
