import { equalBytes } from '@conclave/kernel';
import type { KeyRing } from '@conclave/sealed';
import type { ClusterRow } from '@conclave/state';

/** The part of a key ring by which one sees what it holds. */
export type RingContents = Pick<KeyRing, 'versions' | 'commitment'>;

/** What committed state wants of the key ring of every manager. */
export interface RingDemand {
  /** Generation that a manager with such a ring announces. */
  readonly generation: number;
  /** True when the ring holds everything that is in use or about to be. */
  readonly isMetBy: (ring: RingContents) => boolean;
  /** The only version that may be left; undefined: others may still be needed. */
  readonly only: number | undefined;
}

/** Reads the demand off the row of the cluster. */
export function ringDemandOf(cluster: ClusterRow): RingDemand {
  const { ringRotation: rotation, ringCommitment, ringKeyId, ringGeneration } = cluster;
  const holds = (ring: RingContents, keyId: number, commitment: Uint8Array): boolean =>
    ring.versions.includes(keyId) && equalBytes(ring.commitment(keyId), commitment);
  const hasCurrent = (ring: RingContents): boolean => holds(ring, ringKeyId, ringCommitment);
  if (rotation === undefined) {
    return { generation: ringGeneration, isMetBy: hasCurrent, only: ringKeyId };
  }
  if (rotation.phase === 'offering') {
    return { generation: ringGeneration, isMetBy: hasCurrent, only: undefined };
  }
  const { keyId, commitment, generation, phase } = rotation;
  return {
    generation,
    isMetBy: (ring) => hasCurrent(ring) && holds(ring, keyId, commitment),
    only: phase === 'retiring' ? keyId : undefined,
  };
}
