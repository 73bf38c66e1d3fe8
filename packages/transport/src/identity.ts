import type { SecureContextOptions } from 'node:tls';
import { toPem } from '@conclave/pki';

/** What this process presents and whom it trusts. The private key is the holder's to wipe. */
export interface TlsIdentity {
  /** DER, the own certificate first, then what leads to a root. */
  readonly certificatesDer: readonly Uint8Array[];
  /** PEM text of the private key, as bytes. */
  readonly privateKeyPem: Uint8Array;
  /** DER of every root that peers may chain to; two while the root is rotated. */
  readonly rootsDer: readonly Uint8Array[];
}

/** Gives the identity in force; new connections use the new one at once, open ones stay. */
export interface IdentitySource {
  current(): TlsIdentity;
  /** Calls `listener` after each replacement, until the returned function is called. */
  onChange(listener: () => void): () => void;
}

/** An {@link IdentitySource} whose owner replaces the identity after a renewal. */
export class ReplaceableIdentity implements IdentitySource {
  #identity: TlsIdentity;
  readonly #listeners = new Set<() => void>();

  constructor(identity: TlsIdentity) {
    this.#identity = identity;
  }

  current(): TlsIdentity {
    return this.#identity;
  }

  replace(identity: TlsIdentity): void {
    this.#identity = identity;
    for (const listener of this.#listeners) listener();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}

/** Groups for the key exchange: with a post-quantum half where OpenSSL has it, from 3.5 on. */
export function tlsGroups(opensslVersion: string): string {
  const [major = 0, minor = 0] = opensslVersion.split('.').map(Number);
  const isHybrid = major > 3 || (major === 3 && minor >= 5);
  return isHybrid ? 'X25519MLKEM768:X25519:P-256' : 'X25519:P-256';
}

/** Versions and groups of every connection, either side. */
export function tlsRange(): SecureContextOptions {
  return {
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ecdhCurve: tlsGroups(process.versions.openssl),
  };
}

/**
 * The TLS settings of a side that has an identity: TLS 1.3 and our roots, nothing of the system's.
 * Who joins knows only a pin of the root, so the join listener presents the root as well.
 */
export function secureContextOptions(
  identity: TlsIdentity,
  presents: 'chain' | 'chain-and-roots',
): SecureContextOptions {
  const roots = identity.rootsDer.map((der) => toPem('CERTIFICATE', der));
  const chain = identity.certificatesDer.map((der) => toPem('CERTIFICATE', der));
  // A link to an older root is for members; who joins compares the roots themselves.
  const shown = presents === 'chain' ? chain : [...chain.slice(0, 1), ...roots];
  const { buffer, byteOffset, byteLength } = identity.privateKeyPem;
  return {
    ...tlsRange(),
    cert: Buffer.concat(shown),
    key: Buffer.from(buffer, byteOffset, byteLength),
    ca: roots.map((pem) => Buffer.from(pem)),
  };
}
