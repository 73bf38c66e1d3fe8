import { ConclaveError } from '@conclave/kernel';
import type { NodeRow } from '@conclave/state';

/**
 * Returns when the managers can go on without `nodeId`: more than half of the other voters are
 * READY.
 * @throws CV_LAST_MANAGER
 */
export function checkQuorumWithout(nodeId: string, nodes: Iterable<NodeRow>): void {
  const voters = [...nodes].filter(
    (node) => node.manager?.membership === 'voter' && node.id !== nodeId,
  );
  const alive = voters.filter((node) => node.state === 'READY');
  if (voters.length > 0 && alive.length > voters.length / 2) return;
  throw new ConclaveError(
    'CV_LAST_MANAGER',
    `without this manager ${alive.length} of ${voters.length} voters could be reached: no quorum`,
  );
}
