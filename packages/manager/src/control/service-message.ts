import type { BindingSpec, OnChange, ServiceRow, ServiceSpec, State } from '@conclave/state';
import type { BindingInput, OnChangeInput, ServiceInput, ServiceSpecInput } from '@conclave/wire';
import { isWanted } from '../scheduling/task-kinds.js';
import { weightOfTexts } from './pages.js';

/** Everything but the spec and its messages. */
const FIXED_BYTES_MAX = 400;

/** A service with the counts of its tasks. */
export function serviceMessage(state: State, row: ServiceRow): ServiceInput {
  const wanted = state.tasksOfService(row.id).filter(isWanted);
  const isGlobal = row.spec.mode === 'global';
  return {
    id: row.id,
    spec: specMessage(row.spec),
    objectVersion: row.objectVersion,
    specVersion: row.specVersion,
    createdAtMs: row.createdAtMs,
    updatedAtMs: row.updatedAtMs,
    runningTasks: wanted.filter((task) => task.state === 'RUNNING').length,
    desiredTasks: row.isRemoving ? 0 : isGlobal ? wanted.length : row.spec.replicas,
    updateState: row.updateState,
    updateMessage: row.isRemoving ? 'being removed' : row.updateMessage,
  };
}

/** Bytes that the message of a service takes, at most: its spec may have many texts. */
export function weightOfService(service: ServiceInput): number {
  return FIXED_BYTES_MAX + weightOfTexts(JSON.stringify(service.spec), service.updateMessage ?? '');
}

/** A spec in the form in which it can be sent back: what is read is accepted unchanged. */
export function specMessage(spec: ServiceSpec): ServiceSpecInput {
  const { bindings, command, constraints, env, labels, restart, update, ...plain } = spec;
  return {
    ...plain,
    command: [...command],
    env: { ...env },
    bindings: bindings.map(bindingMessage),
    constraints: [...constraints],
    restart: { ...restart },
    update: { ...update },
    labels: { ...labels },
  };
}

function bindingMessage(binding: BindingSpec): BindingInput {
  const { onChange, isOptional, ...plain } = binding;
  return { ...plain, onChange: onChangeMessage(onChange), optional: isOptional };
}

function onChangeMessage(onChange: OnChange): OnChangeInput {
  return {
    kind: onChange.kind,
    signal: onChange.kind === 'signal' ? onChange.signal : '',
    command: onChange.kind === 'exec' ? onChange.command : '',
  };
}
