import type { State } from '@conclave/state';
import type { CommittedInput, RootStatusInput, RotateRootRequest } from '@conclave/wire';
import { commit } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';

/** Asks for another root certificate. @throws CV_ROTATION_RUNNING while the key ring is rotated */
export async function rotateRoot(
  deps: ControlDependencies,
  { idempotencyKey, distrustsFormer }: RotateRootRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const done = await commit(deps, {
    call,
    request: requestOf(call, {
      method: 'Cluster.RotateRoot',
      idempotencyKey,
      asked: { distrustsFormer },
    }),
    body: { kind: 'root.rotate', distrustsFormer },
  });
  return { index: done.index };
}

/** Which root is in force, and how far a rotation is. */
export function rootStatus(state: State, nowMs: number): RootStatusInput {
  const cluster = state.cluster();
  if (cluster === undefined) return {};
  const { rootGeneration: generation, rootRotation: rotation, rootStep } = cluster;
  if (rotation === undefined) return { generation };
  return {
    generation,
    phase: rotation.phase,
    startedAtMs: rotation.startedAtMs,
    waitingFor: rotation.phase === 'making' ? [] : state.nodesBehindRoot(rootStep, nowMs),
  };
}
