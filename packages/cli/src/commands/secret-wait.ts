import { ConclaveError, isConclaveError } from '@conclave/kernel';
import type {
  ConclaveClient,
  DeliveryProgress,
  SecretUse,
  SetSecretResponse,
} from '@conclave/client';
import type { Call, OptionSpec } from '../command-spec.js';
import { checkDoneOptions, printDone } from '../output/print.js';
import { plural } from './shared.js';

/** Options of commands that can wait for a change to arrive. */
export const WAIT_OPTIONS: readonly OptionSpec[] = [
  { flags: '-w, --wait', help: 'until every running task has it and has reloaded' },
  { flags: '--wait-timeout <duration>', help: 'how long --wait waits (60s)' },
];

/** Failed or late tasks that an error names. */
const NAMED_TASKS_MAX = 3;

const place = (use: SecretUse): string =>
  `task ${use.taskId} on ${use.nodeHostname === '' ? use.nodeId : use.nodeHostname}`;

function named(uses: readonly SecretUse[]): string {
  const names = uses.slice(0, NAMED_TASKS_MAX).map((use) => {
    const detail = use.outcome === 'failed' && use.detail !== '' ? ` (${use.detail})` : '';
    return place(use) + detail;
  });
  const more = uses.length - names.length;
  return names.join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function summary(progress: DeliveryProgress): string {
  const { bindingCount, deliveredCount, failures, reloadCount, reloadedCount } = progress;
  if (bindingCount === 0) return 'no running task uses it';
  const parts = [`delivered ${deliveredCount}/${bindingCount}`];
  if (reloadCount > 0) parts.push(`reloaded ${reloadedCount}/${reloadCount}`);
  if (failures.length > 0) parts.push(`failed ${failures.length}`);
  if (progress.isSuperseded) parts.push('superseded by a newer change');
  return parts.join(' · ');
}

/** What is wrong at the end of the wait, if anything. */
function problem(name: string, progress: DeliveryProgress): ConclaveError | undefined {
  const hint = `See \`conclave secret status ${name}\`.`;
  const { failures, isComplete, waiting } = progress;
  if (failures.length > 0) {
    const count = plural(failures.length, 'task');
    const message = `v${progress.version} is committed, but ${count} failed: ${named(failures)}`;
    return new ConclaveError('CV_EXECUTOR_FAILED', message, { hint });
  }
  if (isComplete) return undefined;
  const message = `v${progress.version} is committed, but has not arrived at ${named(waiting)}`;
  return new ConclaveError('CV_DEADLINE', message, { hint });
}

/** One line on the terminal that is written over again. */
function progressLine(call: Call, head: string): (progress: DeliveryProgress) => void {
  const { stderr } = call.io;
  if (!stderr.isTerminal) return () => undefined;
  return (progress) => {
    void stderr.write(`\r\u001b[K${head} · ${summary(progress)}`).catch(() => undefined);
  };
}

async function usesBefore(call: Call, client: ConclaveClient, name: string): Promise<SecretUse[]> {
  const uses: SecretUse[] = [];
  try {
    const options = { signal: call.tools.signal };
    for await (const use of client.secrets.status(name, options)) uses.push(use);
  } catch (error) {
    if (!isConclaveError(error) || error.code !== 'CV_SECRET_NOT_FOUND') throw error;
  }
  return uses;
}

function dataOf(
  response: SetSecretResponse,
  progress?: DeliveryProgress,
): Readonly<Record<string, unknown>> {
  const { affectedTasks, id, index, name, unchanged, version } = response;
  const data = { id, name, version, unchanged, index, affectedTasks };
  if (progress === undefined) return data;
  const { bindingCount, deliveredCount, reloadCount, reloadedCount } = progress;
  const failedCount = progress.failures.length;
  const { isComplete, isSuperseded } = progress;
  const delivery = { bindingCount, deliveredCount, reloadCount, reloadedCount, failedCount };
  return { ...data, delivery: { ...delivery, isComplete, isSuperseded } };
}

async function waitAndPrint(
  call: Call,
  client: ConclaveClient,
  input: { response: SetSecretResponse; before: readonly SecretUse[]; startedAt: number },
): Promise<void> {
  const { before, response, startedAt } = input;
  const { name, unchanged, version } = response;
  const head = `${name} v${version}  ${unchanged ? 'unchanged' : 'committed'}`;
  const progress = await client.secrets.waitForDelivery(name, version, {
    // An unchanged value moves nothing: what ran with it before is not to reload.
    before: unchanged ? [] : before,
    deadlineMs: call.flags.durationMs('waitTimeout'),
    signal: call.tools.signal,
    onProgress: progressLine(call, head),
  });
  if (call.io.stderr.isTerminal) await call.io.stderr.write('\r\u001b[K');
  const seconds = ((call.tools.clock.monotonic() - startedAt) / 1_000).toFixed(1);
  const text = `${head} · ${summary(progress)} · ${seconds} s`;
  await printDone(call, { text, data: dataOf(response, progress), id: response.id });
  const error = problem(name, progress);
  if (error !== undefined) throw error;
}

/**
 * Moves the pointer of a secret by `change`, says so, and with `--wait` follows the new version
 * until it has arrived.
 * @throws CV_EXECUTOR_FAILED when a task reports a failure, CV_DEADLINE when one is late
 */
export async function changeAndReport(
  call: Call,
  name: string,
  change: (client: ConclaveClient) => Promise<SetSecretResponse>,
): Promise<void> {
  checkDoneOptions(call);
  call.flags.durationMs('waitTimeout');
  const client = await call.client();
  const isWaiting = call.flags.isOn('wait');
  const before = isWaiting ? await usesBefore(call, client, name) : [];
  const startedAt = call.tools.clock.monotonic();
  const response = await change(client);
  if (isWaiting) return waitAndPrint(call, client, { response, before, startedAt });
  const what = response.unchanged ? 'unchanged, the value is the same' : 'committed';
  const tasks =
    response.affectedTasks === 0 ? '' : `, ${plural(response.affectedTasks, 'task')} to follow`;
  const text = `${response.name} v${response.version}  ${what} at index ${response.index}${tasks}`;
  return printDone(call, { text, data: dataOf(response), id: response.id });
}
