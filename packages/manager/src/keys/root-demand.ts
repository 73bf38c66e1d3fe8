import type { ClusterRow, State } from '@conclave/state';

/** What committed state wants a node to trust. */
export interface RootDemand {
  /** Grows with every change. */
  readonly step: number;
  /** The step that the node said it has taken. */
  readonly reached: number;
  /** DER; the root in force first: a node needs a certificate under it. */
  readonly certificates: readonly Uint8Array[];
  /** The key of the newer root, certified by the older one; empty when there is one root. */
  readonly cross: Uint8Array;
}

const NONE = new Uint8Array(0);

/** Reads the demand on a node off committed state; undefined before there is any. */
export function rootDemandOf(state: State, nodeId: string): RootDemand | undefined {
  const cluster = state.cluster();
  if (cluster === undefined) return undefined;
  return {
    step: cluster.rootStep,
    reached: state.nodeById(nodeId)?.rootStep ?? 0,
    certificates: trustedRoots(cluster),
    cross: cluster.rootRotation?.crossCertificate ?? NONE,
  };
}

/** The roots whose certificates count, in DER: the one in force, then the next or the last one. */
export function trustedRoots({ rootCertificate, rootRotation }: ClusterRow): Uint8Array[] {
  if (rootRotation?.phase === 'spreading' && rootRotation.next !== undefined) {
    return [rootCertificate, rootRotation.next.certificate];
  }
  if (rootRotation?.phase === 'renewing')
    return [rootCertificate, rootRotation.previousCertificate];
  return [rootCertificate];
}

/** Leads from former roots to the one in force: each key certified by the root before. */
export function crossCertificates({ formerRoots }: ClusterRow): Uint8Array[] {
  return formerRoots.map((root) => root.crossCertificate);
}

/** The roots under which a certificate that has ended may be recovered: that in force first. */
export function recoveryRoots({ formerRoots, rootCertificate }: ClusterRow): Uint8Array[] {
  return [rootCertificate, ...formerRoots.map((root) => root.certificate)];
}
