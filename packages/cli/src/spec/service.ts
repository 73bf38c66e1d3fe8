import { limits } from '@conclave/kernel';
import type { BindingInput, ServiceSpec, ServiceSpecInput } from '@conclave/client';
import type { OptionSpec } from '../command-spec.js';
import { usageError } from '../flags.js';
import type { Flags } from '../flags.js';
import { formatBinding, parseBinding, parseOnChange, parseSignal, targetOf } from './binding.js';

type Environment = Readonly<Record<string, string | undefined>>;
type RestartInput = NonNullable<ServiceSpecInput['restart']>;
type UpdateInput = NonNullable<ServiceSpecInput['update']>;

const ATTEMPTS_MAX = 1_000_000;
const USER = /^\d{1,10}(?::\d{1,10})?$/;
const CONSTRAINT = /^([A-Za-z][A-Za-z0-9._/-]*)\s*(==|!=)\s*(\S(?:.*\S)?)$/;

/** Options that say the same in `service create` and `service update`. */
export const SPEC_OPTIONS: readonly OptionSpec[] = [
  { flags: '--on-change <action>', help: 'for every --secret that does not say its own on-change' },
  { flags: '--replicas <n>', help: 'tasks to run (1)' },
  { flags: '--replicas-max-per-node <n>', help: 'at most so many on one node; 0: no limit' },
  { flags: '--restart-condition <when>', help: 'none, on-failure or any (any)' },
  { flags: '--restart-delay <duration>', help: 'pause before a restart (5s)' },
  { flags: '--restart-attempts <n>', help: 'restarts within the window; 0: no limit' },
  { flags: '--restart-window <duration>', help: 'what attempts are counted in; 0s: for ever' },
  { flags: '--update-parallelism <n>', help: 'tasks replaced at a time (1)' },
  { flags: '--update-delay <duration>', help: 'pause between them (0s)' },
  { flags: '--update-order <order>', help: 'stop-first or start-first (stop-first)' },
  { flags: '--update-failure-action <action>', help: 'pause, continue or rollback (pause)' },
  { flags: '--stop-signal <name>', help: 'asks a task to end (TERM)' },
  { flags: '--stop-grace <duration>', help: 'time to end before it is killed (10s)' },
  { flags: '--user <uid[:gid]>', help: 'numbers; default: one of its own per task' },
  { flags: '--workdir <path>', help: 'working directory' },
  { flags: '--image <reference>', help: 'a container; refused, this version runs processes only' },
];

function setIf<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}

function restartOf(flags: Flags, base: RestartInput | undefined): RestartInput | undefined {
  const change: RestartInput = {
    ...setIf('condition', flags.choice('restartCondition', ['none', 'on-failure', 'any'])),
    ...setIf('delayMs', flags.durationMs('restartDelay')),
    ...setIf('attemptsMax', flags.count('restartAttempts', { min: 0, max: ATTEMPTS_MAX })),
    ...setIf('windowMs', flags.durationMs('restartWindow')),
  };
  return Object.keys(change).length === 0 ? base : { ...base, ...change };
}

function updateOf(flags: Flags, base: UpdateInput | undefined): UpdateInput | undefined {
  const bounds = { min: 1, max: limits.REPLICA_COUNT_MAX };
  const change: UpdateInput = {
    ...setIf('parallelism', flags.count('updateParallelism', bounds)),
    ...setIf('delayMs', flags.durationMs('updateDelay')),
    ...setIf('order', flags.choice('updateOrder', ['stop-first', 'start-first'])),
    ...setIf(
      'failureAction',
      flags.choice('updateFailureAction', ['pause', 'continue', 'rollback']),
    ),
  };
  return Object.keys(change).length === 0 ? base : { ...base, ...change };
}

function userOf(flags: Flags): string | undefined {
  const user = flags.text('user');
  if (user !== undefined && !USER.test(user)) throw usageError('--user must be UID or UID:GID');
  return user;
}

/** What the options say about fields that stand alone. */
function plainFields(flags: Flags, base: ServiceSpecInput): ServiceSpecInput {
  const signal = flags.text('stopSignal');
  const replicas = { min: 0, max: limits.REPLICA_COUNT_MAX };
  const restart = restartOf(flags, base.restart ?? undefined);
  const update = updateOf(flags, base.update ?? undefined);
  return {
    ...setIf('replicas', flags.count('replicas', replicas)),
    ...setIf('replicasPerNodeMax', flags.count('replicasMaxPerNode', replicas)),
    ...setIf('restart', restart),
    ...setIf('update', update),
    ...setIf('stopSignal', signal === undefined ? undefined : parseSignal('--stop-signal', signal)),
    ...setIf('stopGraceMs', flags.durationMs('stopGrace')),
    ...setIf('user', userOf(flags)),
    ...setIf('workingDirectory', flags.text('workdir')),
    ...setIf('image', flags.text('image')),
  };
}

/** Reads `--secret` texts; `--on-change` is for those that say nothing about it. */
export function parseBindings(
  option: string,
  texts: readonly string[],
  flags: Flags,
): readonly BindingInput[] {
  const action = flags.text('onChange');
  const onChange = action === undefined ? undefined : parseOnChange('--on-change', action);
  return texts.map((text, offset) => {
    const binding = parseBinding(`${option} number ${offset + 1}`, text);
    return onChange === undefined || binding.onChange !== undefined
      ? binding
      : { ...binding, onChange };
  });
}

/** @throws CV_ARGUMENT_INVALID when two bindings would be one file */
export function checkTargets(bindings: readonly BindingInput[]): void {
  const seen = new Map<string, string>();
  for (const binding of bindings) {
    const target = targetOf(binding);
    const other = seen.get(target);
    if (other !== undefined) {
      throw usageError(
        `${other} and ${binding.secretName ?? ''} would both be the file ${target}`,
        `Give one a target: ${formatBinding({ ...binding, target: 'NAME' })}`,
      );
    }
    seen.set(target, binding.secretName ?? '');
  }
}

/** `ATTRIBUTE==VALUE` or `ATTRIBUTE!=VALUE`, spaces around the operator allowed. */
export function parseConstraints(option: string, texts: readonly string[]): readonly string[] {
  return texts.map((text, offset) => {
    const [, key, operator, value] = CONSTRAINT.exec(text.trim()) ?? [];
    if (key === undefined || operator === undefined || value === undefined) {
      throw usageError(
        `${option} number ${offset + 1} must be ATTRIBUTE==VALUE or ATTRIBUTE!=VALUE`,
        'Attributes are node.id, node.hostname, node.role, node.platform.os and node.labels.KEY.',
      );
    }
    return `${key}${operator}${value}`;
  });
}

/** `KEY=VALUE`, or `KEY` alone for the value that the variable has here. */
export function environmentLookup(env: Environment): (key: string) => string | undefined {
  return (key) => (Object.hasOwn(env, key) ? env[key] : undefined);
}

/** Checks what only the whole shows. @throws CV_ARGUMENT_INVALID */
export function finishSpec(spec: ServiceSpecInput): ServiceSpecInput {
  const isContainer = (spec.image ?? '') !== '';
  if (!isContainer && (spec.command ?? []).length === 0) {
    throw usageError(
      'a service needs a command',
      'Write it after two dashes: conclave service create web -- ./server --port 80',
    );
  }
  checkTargets(spec.bindings ?? []);
  return { ...spec, runtime: isContainer ? 'container' : 'process' };
}

/** A new spec from the options, or `base` with what the options change. */
export function applySpecOptions(
  flags: Flags,
  base: ServiceSpec | ServiceSpecInput,
): ServiceSpecInput {
  const spec: ServiceSpecInput = { ...base };
  return { ...spec, ...plainFields(flags, spec) };
}
