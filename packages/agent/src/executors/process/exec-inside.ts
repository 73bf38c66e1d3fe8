import { spawn } from 'node:child_process';

import { ConclaveError } from '@conclave/kernel';
import type { Timers } from '@conclave/kernel';
import { findTool } from '@conclave/memfs';

import { EXEC_MS_MAX } from '../../limits.js';
import type { TaskPlan, TaskUser } from '../executor.js';
import { joinWords, taskWords, TOOL_ENVIRONMENT } from './command-line.js';
import { RUN_WORDS, wordVariables } from './launcher.js';
import { lendDescriptors } from './lend-descriptors.js';
import type { OutputLog } from './output-log.js';
import { kill } from './running-task.js';
import { statusOfSignal } from './signals.js';

/** What {@link execInside} needs. */
export interface ExecRequest {
  /** The plan of the task with the command to run instead. */
  readonly plan: TaskPlan;
  readonly user: TaskUser;
  readonly isRoot: boolean;
  readonly supervisorPid: number;
  /** True while the supervisor lives: it is the only way into the task. */
  readonly isTaskThere: () => boolean;
  /** What it prints goes to the output of the task. */
  readonly outputs: Readonly<Record<'stdout' | 'stderr', OutputLog>>;
  readonly timers: Timers;
}

/**
 * Runs a command inside a running task: its mounts, its user, its environment. Resolves with the
 * status; above 128 it was ended by a signal.
 * @throws CV_DEADLINE when it took over EXEC_MS_MAX and was killed, CV_EXECUTOR_FAILED
 */
export async function execInside(request: ExecRequest): Promise<number> {
  const gone = 'the task has no supervisor to enter by';
  if (!request.isTaskThere()) throw new ConclaveError('CV_EXECUTOR_FAILED', gone);
  const status = await run(request);
  const isEntered = status === 0 || request.isTaskThere();
  if (!isEntered) throw new ConclaveError('CV_EXECUTOR_FAILED', gone);
  return status;
}

function run(request: ExecRequest): Promise<number> {
  const { plan, user, isRoot, outputs, timers } = request;
  const words = taskWords(plan, user, { isRoot, command: plan.command });
  const [program = '', ...join] = joinWords(isRoot, request.supervisorPid);
  const args = [...join, findTool('sh'), '-c', RUN_WORDS, 'conclave-exec', String(words.length)];
  const opens = [() => outputs.stdout.openForTask(), () => outputs.stderr.openForTask()];
  return new Promise((resolve, reject) => {
    const child = lendDescriptors(opens, (descriptors) =>
      spawn(program, args, {
        cwd: '/',
        env: { ...TOOL_ENVIRONMENT, ...wordVariables(words) },
        stdio: ['ignore', ...descriptors],
        detached: true,
      }),
    );
    let isLate = false;
    const timer = timers.after(EXEC_MS_MAX, () => {
      isLate = true;
      if (child.pid !== undefined) kill(-child.pid, 'SIGKILL');
    });
    child.once('error', (cause) => {
      timer.cancel();
      reject(new ConclaveError('CV_EXECUTOR_FAILED', 'the command was not started', { cause }));
    });
    child.once('exit', (code, signal) => {
      timer.cancel();
      if (isLate) {
        reject(new ConclaveError('CV_DEADLINE', `the command took over ${EXEC_MS_MAX} ms`));
      } else {
        resolve(code ?? (signal === null ? 255 : statusOfSignal(signal)));
      }
    });
  });
}
