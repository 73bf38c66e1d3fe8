import { checkFileMode, checkTarget, ConclaveError, isId, limits } from '@conclave/kernel';
import type { Binding, OnChange, ServiceSpec, TaskAssignment, TaskSecret } from '@conclave/wire';

import { STOP_GRACE_MS_DEFAULT, STOP_GRACE_MS_MAX } from '../limits.js';
import type { AssignedTask, BoundFile, ChangeAction } from './assigned-task.js';

const MODE_DEFAULT = 0o400;
const ID_MAX = 0xffff_fffe;
const VERSION_MAX = 0xffff_ffff;

/**
 * Reads a task as a manager sent it. A manager may name secrets, but not where files are written:
 * everything that becomes a path, an owner or a mode is checked here again.
 * @throws CV_PROTOCOL, CV_ARGUMENT_INVALID naming the rule that is broken
 */
export function checkTask(message: TaskAssignment): AssignedTask {
  const { id, spec, secrets, undeliverable, desiredState } = message;
  if (!isId(id)) fail('a task id is malformed');
  if (desiredState === 'SHUTDOWN' || desiredState === 'REMOVE') return { kind: 'end' };
  if (desiredState !== 'RUNNING') fail('a task has an unknown desired state');
  if (spec === null) return fail('a task has no spec');
  const hasSecrets = undeliverable === '' && spec.bindings.length > 0;
  // A task that binds secrets and is given none, without a reason, is not one to start.
  if (hasSecrets && secrets.length === 0) return { kind: 'end' };
  const graceMs = spec.stopGraceMs ?? STOP_GRACE_MS_DEFAULT;
  if (graceMs > STOP_GRACE_MS_MAX) fail('stop_grace_ms is too large');
  return {
    kind: 'run',
    plan: planOf(message, spec),
    stopGraceMs: graceMs,
    files: undeliverable === '' ? checkFiles(spec.bindings, secrets) : [],
    undeliverable,
  };
}

function planOf(message: TaskAssignment, spec: ServiceSpec) {
  return {
    taskId: message.id,
    serviceName: message.serviceName,
    slot: message.slot,
    runtime: spec.runtime === '' ? 'process' : spec.runtime,
    command: [...spec.command],
    env: { ...spec.env },
    workingDirectory: spec.workingDirectory,
    user: spec.user,
    stopSignal: spec.stopSignal,
  };
}

function checkFiles(bindings: readonly Binding[], secrets: readonly TaskSecret[]): BoundFile[] {
  if (bindings.length > limits.BINDING_COUNT_MAX) fail('a task has too many bindings');
  if (secrets.length !== bindings.length) fail('secrets and bindings of a task do not match');
  const seen = new Set<number>();
  const targets = new Set<string>();
  const files: BoundFile[] = [];
  for (const secret of secrets) {
    const binding = bindings[secret.binding];
    if (binding === undefined || seen.has(secret.binding)) {
      return fail('a secret names no binding of its task, or one twice');
    }
    seen.add(secret.binding);
    const isMissing = secret.version === 0;
    // An optional secret that does not exist yet has no id.
    const isNamed = isId(secret.secretId) || (isMissing && secret.secretId === '');
    if (!isNamed || secret.secretId !== binding.secretId) {
      fail('a secret is not the one that its binding names');
    }
    if (binding.version !== 0 && !isMissing && secret.version !== binding.version) {
      fail('a secret is not of the version that its binding pins');
    }
    checkTarget(binding.target);
    if (targets.has(binding.target)) fail('two files of a task have the same target');
    targets.add(binding.target);
    if (!isMissing) files.push(checkFile(binding, secret));
    else if (!binding.optional) fail('a required secret has no version');
  }
  return files;
}

function checkFile(binding: Binding, secret: TaskSecret): BoundFile {
  const { target, uid, gid, mode = MODE_DEFAULT } = binding;
  if (!isWithin(secret.version, VERSION_MAX)) fail('a version is out of range');
  checkFileMode(mode);
  if (!isWithin(uid ?? 0, ID_MAX) || !isWithin(gid ?? 0, ID_MAX)) {
    fail('the owner of a file is out of range');
  }
  const { secretId, version } = secret;
  return { target, secretId, version, uid, gid, mode, onChange: checkAction(binding.onChange) };
}

function checkAction(message: OnChange | null): ChangeAction {
  switch (message?.kind ?? '') {
    case '':
    case 'none':
      return { kind: 'none' };
    case 'signal':
      return { kind: 'signal', signal: message?.signal ?? '' };
    case 'exec':
      return { kind: 'exec', command: message?.command ?? '' };
    case 'restart':
      return { kind: 'restart' };
    default:
      return fail('an on-change action is unknown');
  }
}

const isWithin = (value: number, max: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= max;

function fail(rule: string): never {
  throw new ConclaveError('CV_PROTOCOL', `assignment refused: ${rule}`);
}
