import type { State } from '@conclave/state';
import type { CommittedInput, RingStatusInput, RotateRingRequest } from '@conclave/wire';
import { commit } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';

/** Asks for a new version of the key ring. @throws CV_ROTATION_RUNNING */
export async function rotateRing(
  deps: ControlDependencies,
  { idempotencyKey }: RotateRingRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const done = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Cluster.RotateRing', idempotencyKey, asked: {} }),
    body: { kind: 'ring.rotate' },
  });
  return { index: done.index };
}

/** Which version is in use, and how far a rotation is. */
export function ringStatus(state: State): RingStatusInput {
  const cluster = state.cluster();
  if (cluster === undefined) return {};
  const { ringKeyId: keyId, ringRotatedAtMs: rotatedAtMs, ringRotation: rotation } = cluster;
  if (rotation === undefined) return { keyId, rotatedAtMs };
  const isMoving = rotation.phase === 'rewrapping';
  return {
    keyId,
    rotatedAtMs,
    phase: rotation.phase,
    startedAtMs: rotation.startedAtMs,
    // A walk over all secrets, but only while somebody watches a rotation.
    remaining: isMoving ? state.countOtherKeys(keyId) : 0,
    waitingFor: isMoving ? [] : state.managersWithoutRing(rotation.generation),
  };
}
