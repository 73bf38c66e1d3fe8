import { LOCAL_ADMIN_ID } from '@conclave/kernel';
import type { CertificateIdentity } from '@conclave/pki';

/** Who is at the other end of a connection to one of our listeners. */
export type Peer =
  /** On the cluster listener: proven by a certificate under our root. */
  | {
      readonly kind: 'certificate';
      readonly identity: CertificateIdentity;
      readonly address: string;
    }
  /** On the local socket: whoever may open it is the administrator of this host. */
  | { readonly kind: 'local' }
  /** On the join listener: nobody yet. */
  | { readonly kind: 'anonymous'; readonly address: string };

/** Who acts, as recorded with the change. */
export interface CallActor {
  readonly kind: 'admin' | 'node' | 'anonymous';
  readonly id: string;
}

/** The actor that a peer is, when it acts for itself. */
export function actorOf(peer: Peer): CallActor {
  switch (peer.kind) {
    case 'certificate':
      return { kind: peer.identity.kind, id: peer.identity.id };
    case 'local':
      return { kind: 'admin', id: LOCAL_ADMIN_ID };
    case 'anonymous':
      return { kind: 'anonymous', id: '' };
  }
}
