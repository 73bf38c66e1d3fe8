import { byteLength, checkLabels, checkObjectName, ConclaveError, limits } from '@conclave/kernel';
import type { RestartSpec, ServiceRow, ServiceSpec, State, UpdateSpec } from '@conclave/state';
import type { RestartPolicy, ServiceSpec as SpecMessage, UpdatePolicy } from '@conclave/wire';
import { CONSTRAINT_ATTRIBUTES, parseConstraint } from '../scheduling/constraints.js';
import { RESTART_ATTEMPTS_MAX } from '../scheduling/restart-policy.js';
import { bindingsOf, USER_ID_MAX } from './binding-spec.js';
import { checkBytes, checkCount, checkPlain, invalid, oneOf, wholeNumber } from './invalid.js';
import { signalName } from './signals.js';

const DAY_MS = 24 * 3_600_000;
/** Milliseconds between the end of a task and its restart. */
const RESTART_DELAY_MS_DEFAULT = 5_000;
const STOP_GRACE_MS_DEFAULT = 10_000;
const STOP_GRACE_MS_MAX = 3_600_000;
const WINDOW_MS_MAX: number = 30 * DAY_MS;
const PATH_BYTES_MAX = 4_096;
const CONSTRAINT_BYTES_MAX = 512;
const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const USER = /^\d{1,10}(?::\d{1,10})?$/;

/**
 * A checked spec with every default filled in.
 * @param before the service that is updated; its name and mode cannot change
 * @throws CV_ARGUMENT_INVALID, CV_NAME_INVALID, CV_UNSUPPORTED, CV_SECRET_NOT_FOUND,
 *   CV_VERSION_NOT_FOUND, each naming the field
 */
export function serviceSpecOf(
  state: State,
  message: SpecMessage | null,
  before?: ServiceRow,
): ServiceSpec {
  if (message === null) throw invalid('spec', 'is missing');
  const mode = oneOf('spec.mode', message.mode, ['replicated', 'global']);
  checkIdentity(message, mode, before);
  checkLabels(message.labels);
  return {
    name: message.name,
    runtime: runtimeOf(message),
    command: commandOf(message.command),
    image: '',
    env: environmentOf(message.env),
    workingDirectory: workingDirectoryOf(message.workingDirectory),
    user: userOf(message.user),
    mode,
    ...replicasOf(message, mode),
    bindings: bindingsOf(state, message.bindings, before?.spec.bindings ?? []),
    constraints: constraintsOf(message.constraints),
    restart: restartOf(message.restart),
    update: updateOf(message.update),
    stopSignal: signalName('spec.stop_signal', message.stopSignal || 'TERM'),
    stopGraceMs: wholeNumber('spec.stop_grace_ms', message.stopGraceMs ?? STOP_GRACE_MS_DEFAULT, [
      0,
      STOP_GRACE_MS_MAX,
    ]),
    labels: message.labels,
  };
}

function checkIdentity(
  message: SpecMessage,
  mode: ServiceSpec['mode'],
  before: ServiceRow | undefined,
): void {
  checkObjectName('service', message.name);
  if (before === undefined) return;
  if (message.name !== before.spec.name) throw invalid('spec.name', 'cannot change');
  if (mode !== before.spec.mode) throw invalid('spec.mode', 'cannot change');
}

function runtimeOf(message: SpecMessage): ServiceSpec['runtime'] {
  const runtime = oneOf('spec.runtime', message.runtime, ['process', 'container']);
  if (runtime === 'container') {
    throw new ConclaveError(
      'CV_UNSUPPORTED',
      'spec.runtime "container" is not supported: this version runs processes only',
      { details: { field: 'spec.runtime' } },
    );
  }
  if (message.image !== '') throw invalid('spec.image', 'is only for the runtime "container"');
  return runtime;
}

function commandOf(words: readonly string[]): readonly string[] {
  const field = 'spec.command';
  if (words.length === 0 || words[0] === '') throw invalid(field, 'is missing');
  checkCount(field, words.length, limits.COMMAND_WORD_COUNT_MAX);
  let size = 0;
  for (const word of words) {
    if (word.includes('\0')) throw invalid(field, 'may not contain NUL');
    size += byteLength(word) + 1;
  }
  if (size > limits.COMMAND_BYTES_MAX) {
    throw invalid(field, `is over ${limits.COMMAND_BYTES_MAX} bytes`);
  }
  return words;
}

function environmentOf(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const field = 'spec.env';
  const pairs = Object.entries(env);
  checkCount(field, pairs.length, limits.ENVIRONMENT_COUNT_MAX);
  let size = 0;
  for (const [name, value] of pairs) {
    if (!ENVIRONMENT_NAME.test(name)) {
      throw invalid(field, 'names must be letters, digits and "_", not beginning with a digit');
    }
    if (value.includes('\0')) throw invalid(field, 'may not contain NUL');
    size += byteLength(name) + byteLength(value) + 2;
  }
  if (size > limits.COMMAND_BYTES_MAX) {
    throw invalid(field, `is over ${limits.COMMAND_BYTES_MAX} bytes`);
  }
  return env;
}

function workingDirectoryOf(path: string): string {
  const field = 'spec.working_directory';
  if (path === '') return path;
  checkBytes(field, path, PATH_BYTES_MAX);
  checkPlain(field, path);
  if (!path.startsWith('/')) throw invalid(field, 'must be an absolute path');
  if (path.split('/').includes('..')) throw invalid(field, 'may not contain ".."');
  return path;
}

function userOf(user: string): string {
  if (user === '') return user;
  const ids = USER.test(user) ? user.split(':').map(Number) : [];
  const { TASK_UID_MIN, TASK_UID_MAX } = limits;
  if (ids.some((id) => id >= TASK_UID_MIN && id <= TASK_UID_MAX)) {
    const range = `${TASK_UID_MIN} to ${TASK_UID_MAX}`;
    throw invalid('spec.user', `may not be of ${range}: tasks without a user are given these`);
  }
  if (ids.length > 0 && ids.every((id) => id <= USER_ID_MAX)) return ids.join(':');
  throw invalid('spec.user', `must be "uid" or "uid:gid", numbers from 0 to ${USER_ID_MAX}`);
}

function replicasOf(
  message: SpecMessage,
  mode: ServiceSpec['mode'],
): Pick<ServiceSpec, 'replicas' | 'replicasPerNodeMax'> {
  if (mode === 'global') {
    // 0 is how an answer shows a global service: what was read can be sent back.
    if ((message.replicas ?? 0) > 0) {
      throw invalid('spec.replicas', 'is only for replicated services');
    }
    if (message.replicasPerNodeMax > 0) {
      throw invalid('spec.replicas_per_node_max', 'is only for replicated services');
    }
    return { replicas: 0, replicasPerNodeMax: 0 };
  }
  const most = limits.REPLICA_COUNT_MAX;
  return {
    replicas: checkReplicas('spec.replicas', message.replicas ?? 1),
    replicasPerNodeMax: wholeNumber('spec.replicas_per_node_max', message.replicasPerNodeMax, [
      0,
      most,
    ]),
  };
}

/** The number of replicas when it is one. @throws CV_ARGUMENT_INVALID */
export function checkReplicas(field: string, replicas: number): number {
  return wholeNumber(field, replicas, [0, limits.REPLICA_COUNT_MAX]);
}

function constraintsOf(texts: readonly string[]): readonly string[] {
  checkCount('spec.constraints', texts.length, limits.CONSTRAINT_COUNT_MAX);
  return texts.map((text, place) => {
    const field = `spec.constraints[${place}]`;
    checkBytes(field, text, CONSTRAINT_BYTES_MAX);
    checkPlain(field, text);
    const constraint = parseConstraint(text);
    if (constraint !== undefined) return constraint.text;
    throw invalid(
      field,
      `must be ATTRIBUTE==VALUE or ATTRIBUTE!=VALUE with one of: ${CONSTRAINT_ATTRIBUTES}`,
    );
  });
}

function restartOf(message: RestartPolicy | null): RestartSpec {
  const condition = oneOf('spec.restart.condition', message?.condition ?? '', [
    'any',
    'on-failure',
    'none',
  ]);
  return {
    condition,
    delayMs: duration('spec.restart.delay_ms', message?.delayMs ?? RESTART_DELAY_MS_DEFAULT),
    attemptsMax: wholeNumber('spec.restart.attempts_max', message?.attemptsMax ?? 0, [
      0,
      RESTART_ATTEMPTS_MAX,
    ]),
    windowMs: wholeNumber('spec.restart.window_ms', message?.windowMs ?? 0, [0, WINDOW_MS_MAX]),
  };
}

function updateOf(message: UpdatePolicy | null): UpdateSpec {
  const parallelism = wholeNumber('spec.update.parallelism', message?.parallelism ?? 0, [
    0,
    limits.REPLICA_COUNT_MAX,
  ]);
  return {
    parallelism: parallelism === 0 ? 1 : parallelism,
    delayMs: duration('spec.update.delay_ms', message?.delayMs ?? 0),
    order: oneOf('spec.update.order', message?.order ?? '', ['stop-first', 'start-first']),
    failureAction: oneOf('spec.update.failure_action', message?.failureAction ?? '', [
      'pause',
      'continue',
      'rollback',
    ]),
  };
}

function duration(field: string, ms: number): number {
  return wholeNumber(field, ms, [0, DAY_MS]);
}
