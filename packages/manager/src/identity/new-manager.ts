import { ConclaveError } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';
import type { State } from '@conclave/state';
import type { JoinResponseInput } from '@conclave/wire';

/** Milliseconds within which a new manager must accept a connection. */
const DIAL_BACK_MS = 3_000;
/** Draws of a Raft id before giving up: one collision in 10^8 is expected at most. */
const RAFT_ID_DRAWS = 8;
const RAFT_ID_BELOW = 2 ** 52 - 1;

/** A Raft id that no manager of this cluster has or had. */
export function drawRaftId(state: State, random: Random): number {
  for (let draw = 0; draw < RAFT_ID_DRAWS; draw += 1) {
    const raftId = 1 + random.below(RAFT_ID_BELOW);
    if (!state.isRetiredRaftId(raftId)) return raftId;
  }
  throw new ConclaveError('CV_INTERNAL', 'no free Raft id was drawn');
}

/** The managers that a new member may turn to. */
export function managersBut(
  nodeId: string,
  state: State,
): NonNullable<JoinResponseInput['managers']> {
  return [...state.nodes()].flatMap(({ id, manager }) =>
    manager === undefined || id === nodeId
      ? []
      : [
          {
            nodeId: id,
            raftId: manager.raftId,
            address: manager.clusterAddress,
            signingPublicKey: manager.signingPublicKey,
            joinAddress: manager.joinAddress,
          },
        ],
  );
}

/** @throws CV_PEER_UNREACHABLE when nothing answers at the cluster address of a new manager */
export async function demandReachable(
  dial: (address: string, timeoutMs: number) => Promise<boolean>,
  address: string,
): Promise<void> {
  if (await dial(address, DIAL_BACK_MS)) return;
  throw new ConclaveError(
    'CV_PEER_UNREACHABLE',
    'this host does not answer at the cluster address it advertises',
    { hint: 'Give an address that the managers can reach: --advertise HOST:PORT.' },
  );
}
