import { compareNatural, isOnNode } from '@conclave/state';
import type { BindingSpec, SecretRow, State, TaskRow } from '@conclave/state';
import type { SecretUseInput } from '@conclave/wire';

/**
 * Where a secret is used and how far its versions have come: one item per binding of a live task,
 * in the order of services and slots.
 */
export function* secretUses(state: State, secret: SecretRow): Generator<SecretUseInput, void> {
  for (const task of state.tasksUsingSecret(secret.id).toSorted(byServiceAndSlot)) {
    for (const binding of task.spec.bindings) {
      if (binding.secretId === secret.id) yield useOf(state, { secret, task, binding });
    }
  }
}

function useOf(
  state: State,
  { secret, task, binding }: { secret: SecretRow; task: TaskRow; binding: BindingSpec },
): SecretUseInput {
  const receipt = state
    .receiptsOfTask(task.id)
    .find((row) => row.target === binding.target && row.secretId === secret.id);
  const nodeId = isOnNode(task.state) ? task.nodeId : '';
  return {
    serviceName: task.serviceName,
    taskId: task.id,
    nodeId,
    nodeHostname: state.nodeById(nodeId)?.hostname ?? '',
    target: binding.target,
    wantedVersion: binding.version === 0 ? secret.currentVersion : binding.version,
    deliveredVersion: receipt?.version ?? 0,
    outcome: receipt?.outcome ?? '',
    detail: receipt?.detail ?? '',
    atMs: receipt?.atMs ?? 0,
    taskState: task.state,
    pinned: binding.version !== 0,
  };
}

/** Services by name, tasks by slot, then by node and id: the same for every reader. */
export function byServiceAndSlot(left: TaskRow, right: TaskRow): number {
  return (
    compareNatural(left.serviceName, right.serviceName) ||
    left.slot - right.slot ||
    left.createdAtMs - right.createdAtMs ||
    (left.id < right.id ? -1 : 1)
  );
}
