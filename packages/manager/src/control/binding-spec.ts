import {
  checkFileMode,
  checkSecretName,
  checkTarget,
  ConclaveError,
  isConclaveError,
  limits,
} from '@conclave/kernel';
import type { BindingSpec, OnChange, SecretRow, State } from '@conclave/state';
import type { Binding, OnChange as OnChangeMessage } from '@conclave/wire';
import { checkBytes, checkCount, invalid, oneOf, wholeNumber } from './invalid.js';
import { reloadSignalName } from './signals.js';

/** Who may read, where nothing is said: the owner. */
const MODE_DEFAULT = 0o400;
/** The largest user or group id; the one above means "none" to the kernel. */
export const USER_ID_MAX: number = 2 ** 32 - 2;
/** Bytes of the command that announces a new value. */
const RELOAD_COMMAND_BYTES_MAX = 4_096;

/**
 * The checked bindings of a spec, every default filled in, secrets named by id.
 * @throws CV_ARGUMENT_INVALID, CV_NAME_INVALID, CV_SECRET_NOT_FOUND, CV_VERSION_NOT_FOUND
 */
export function bindingsOf(
  state: State,
  messages: readonly Binding[],
  known: readonly BindingSpec[],
): BindingSpec[] {
  checkCount('spec.bindings', messages.length, limits.BINDING_COUNT_MAX);
  const targets = new Set<string>();
  return messages.map((message, place) => {
    const field = `spec.bindings[${place}]`;
    const binding = bindingOf(state, message, field);
    if (targets.has(binding.target)) {
      throw invalid(`${field}.target`, 'is the target of another binding');
    }
    targets.add(binding.target);
    demandVersionExists(state, { binding, known, field });
    return binding;
  });
}

function bindingOf(state: State, message: Binding, field: string): BindingSpec {
  const { id, name } = boundSecret(state, message, field);
  const target = message.target === '' ? lastSegment(name) : message.target;
  const mode = message.mode ?? MODE_DEFAULT;
  inField(field, () => {
    checkTarget(target);
    checkFileMode(mode);
  });
  return {
    secretId: id,
    secretName: name,
    version: wholeNumber(`${field}.version`, message.version, [0, 2 ** 32 - 1]),
    target,
    uid: userId(`${field}.uid`, message.uid),
    gid: userId(`${field}.gid`, message.gid),
    mode,
    onChange: onChangeOf(message.onChange, `${field}.on_change`),
    isOptional: message.optional,
  };
}

/** The secret of a binding; one that does not exist yet has no id, and only an optional one may. */
function boundSecret(
  state: State,
  message: Binding,
  field: string,
): Pick<SecretRow, 'id' | 'name'> {
  inField(field, () => {
    checkSecretName(message.secretName);
  });
  const secret = state.secretByName(message.secretName);
  if (secret === undefined) {
    // A version of what does not exist is a mistake: nobody can know its number.
    const mayWait = message.optional && message.secretId === '' && message.version === 0;
    if (mayWait) return { id: '', name: message.secretName };
    throw new ConclaveError(
      'CV_SECRET_NOT_FOUND',
      `${field}.secret_name: no secret has this name`,
      { details: { field: `${field}.secret_name` } },
    );
  }
  if (message.secretId === '' || message.secretId === secret.id) return secret;
  throw invalid(`${field}.secret_id`, 'is not the id of the secret with this name');
}

function demandVersionExists(
  state: State,
  place: {
    readonly binding: BindingSpec;
    readonly known: readonly BindingSpec[];
    readonly field: string;
  },
): void {
  const { binding, known, field } = place;
  const { secretId, version } = binding;
  if (version === 0) return;
  // A pin that the service has already may stay, also when its version was destroyed by force.
  if (known.some((old) => old.secretId === secretId && old.version === version)) return;
  const pinned = state.secretVersions(secretId).find((info) => info.version === version);
  if (pinned?.isDestroyed === false) return;
  throw new ConclaveError(
    'CV_VERSION_NOT_FOUND',
    `${field}.version: secret ${binding.secretName} has no live version ${version}`,
    { details: { field: `${field}.version` } },
  );
}

function onChangeOf(message: OnChangeMessage | null, field: string): OnChange {
  if (message === null) return { kind: 'none' };
  const kind = oneOf(`${field}.kind`, message.kind, ['none', 'signal', 'exec', 'restart']);
  if (message.signal !== '' && kind !== 'signal') {
    throw invalid(`${field}.signal`, 'is only for kind "signal"');
  }
  if (message.command !== '' && kind !== 'exec') {
    throw invalid(`${field}.command`, 'is only for kind "exec"');
  }
  switch (kind) {
    case 'none':
    case 'restart':
      return { kind };
    case 'signal':
      return { kind, signal: reloadSignalName(`${field}.signal`, message.signal) };
    case 'exec':
      return { kind, command: reloadCommand(`${field}.command`, message.command) };
  }
}

function reloadCommand(field: string, command: string): string {
  if (command.trim() === '') throw invalid(field, 'is empty');
  checkBytes(field, command, RELOAD_COMMAND_BYTES_MAX);
  if (command.includes('\0')) throw invalid(field, 'may not contain NUL');
  return command;
}

function userId(field: string, id: number | undefined): number | undefined {
  return id === undefined ? undefined : wholeNumber(field, id, [0, USER_ID_MAX]);
}

function lastSegment(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}

/** Runs a check of the kernel and says in which of many like fields it failed. */
function inField(field: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!isConclaveError(error)) throw error;
    throw new ConclaveError(error.code, `${field}: ${error.message}`, { details: { field } });
  }
}
