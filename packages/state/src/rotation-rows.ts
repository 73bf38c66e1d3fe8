import type { Actor } from './actor.js';

/**
 * A change of the key ring to a new version, from phase to phase. Only the last one takes something
 * away; each may be begun again by another leader.
 */
export interface RingRotationRow {
  readonly phase:
    | 'offering' // the leader makes a version
    | 'spreading' // all managers get it; nothing is sealed under it yet
    | 'rewrapping' // new values are sealed under it, and what is there is moved to it
    | 'retiring'; // nothing refers to another version: all managers drop the others
  /** The new version; 0 while offering. */
  readonly keyId: number;
  /** What the new version is told by, so that no two managers mean different keys; else empty. */
  readonly commitment: Uint8Array;
  /** Of the ring that a manager must hold for the next phase; 0 while offering. */
  readonly generation: number;
  readonly startedAtMs: number;
  readonly startedBy: Actor;
}

/**
 * A change to another root certificate, from phase to phase. Every node whose certificate counts
 * follows each step and says so before the next one is taken, so that no two of them ever trust
 * nothing in common.
 */
export interface RootRotationRow {
  readonly phase:
    | 'making' // the leader makes a root
    | 'spreading' // all nodes come to trust it besides the one in force
    | 'renewing' // it is in force: all nodes get certificates under it, and use them
    | 'dropping'; // nobody uses the root before: all nodes stop trusting it
  /** While it spreads. */
  readonly next: RootRow | undefined;
  /** The root before, while certificates under it are in use; else empty. */
  readonly previousCertificate: Uint8Array;
  /** The key of the newer root, certified by the older one, while both are trusted; else empty. */
  readonly crossCertificate: Uint8Array;
  /** Another rotation was asked for, too late for this one to answer it. */
  readonly isRepeated: boolean;
  /** Somebody else may have the key of a root of before: none of them may vouch for a later one. */
  readonly distrustsFormer: boolean;
  readonly startedAtMs: number;
  readonly startedBy: Actor;
}

/** A root that was replaced. It is kept for workers that were off: it leads to the next one. */
export interface FormerRootRow {
  /** Its number. */
  readonly generation: number;
  /** DER. */
  readonly certificate: Uint8Array;
  /** The key of the next root, certified by this one. */
  readonly crossCertificate: Uint8Array;
}

/** A root certificate that is not in force yet. */
export interface RootRow {
  /** DER. */
  readonly certificate: Uint8Array;
  /** Its signing key (PKCS 8), sealed under the key ring. */
  readonly keySealed: Uint8Array;
  /** Version of the key ring that seals it. */
  readonly keyId: number;
}

/** The public half of a recovery key. */
export interface RecoveryRow {
  /** Grows with every recovery key, from 1. */
  readonly generation: number;
  readonly publicKey: Uint8Array;
  /** Shares that make the key; 0: it is whole. */
  readonly threshold: number;
  /** One hash per share, so that a wrong one can be named. */
  readonly shareHashes: readonly Uint8Array[];
}

/** A step of a recovery from a compromise. */
export type CompromiseStep = 'evict' | 'root' | 'ring' | 'recovery-key';

/** A node that was taken out because somebody else may have it. */
export interface EvictedNode {
  readonly id: string;
  readonly hostname: string;
  /** It had the log and the key ring: all values. */
  readonly isManager: boolean;
}

/**
 * A recovery from a compromise that is not over. What is done of it follows from the other fields of
 * the cluster; only what they do not tell is here.
 */
export interface CompromiseRow {
  /** In the order in which they were named. */
  readonly evicted: readonly EvictedNode[];
  /** Administrators end: when it begins, and those made since then when another root is in force. */
  readonly endsAdmins: boolean;
  /** Another root was asked for since the nodes have gone. */
  readonly isRootAsked: boolean;
  /** Another version of the key ring was asked for since the nodes have gone. */
  readonly isRingAsked: boolean;
  /** Of the newest recovery key that was staged since the nodes have gone; 0: none. */
  readonly recoveryGeneration: number;
  readonly startedAtMs: number;
  readonly startedBy: Actor;
}
