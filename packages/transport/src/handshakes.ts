import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { ConclaveError, equalBytes, isConclaveError } from '@conclave/kernel';
import type { Clock } from '@conclave/kernel';
import { identityOf, managerName, rootPin, verifyChain } from '@conclave/pki';
import type { CertificateIdentity } from '@conclave/pki';
import type { Handshake } from './connector.js';
import { secureContextOptions, tlsRange } from './identity.js';
import type { IdentitySource } from './identity.js';

/** Whom a channel has to find at the other end. Always a manager of one cluster. */
export interface ExpectedManager {
  readonly clusterId: string;
  /** This very manager; absent: any. */
  readonly nodeId?: string | undefined;
}

/** Certificates that a peer may send: its own, a cross-signed root and the roots. */
const CHAIN_COUNT_MAX = 5;

function mismatch(message: string): ConclaveError {
  return new ConclaveError('CV_CA_MISMATCH', message);
}

function leafOf(socket: TLSSocket): Uint8Array {
  const der = socket.getPeerCertificate().raw as Buffer | undefined;
  if (der === undefined) throw mismatch('the manager presented no certificate');
  return new Uint8Array(der);
}

/**
 * What the first root says that issued the certificate, or certified the root that did, else the
 * failure under the last one.
 */
function verifyUnderRoots(
  {
    leafDer,
    crossDer,
  }: { readonly leafDer: Uint8Array; readonly crossDer: Uint8Array | undefined },
  rootsDer: readonly Uint8Array[],
  now: number,
): CertificateIdentity {
  let failure: unknown = mismatch('there is no root to trust');
  const direct = rootsDer.map((rootDer) => ({ rootDer }));
  const crossed = crossDer === undefined ? [] : rootsDer.map((rootDer) => ({ rootDer, crossDer }));
  for (const way of [...direct, ...crossed]) {
    try {
      return verifyChain({ ...way, leafDer, now, usage: 'server' });
    } catch (error) {
      if (!isConclaveError(error) || error.code !== 'CV_CA_MISMATCH') throw error;
      failure = error;
    }
  }
  throw failure;
}

/** What the peer sent behind its own certificate, when that is not its root itself. */
function crossOf(socket: TLSSocket): Uint8Array | undefined {
  const leaf = socket.getPeerCertificate(true);
  const issuer = leaf.issuerCertificate as DetailedPeerCertificate | undefined;
  const isSelfSigned = issuer?.issuerCertificate === issuer;
  return issuer === undefined || isSelfSigned ? undefined : new Uint8Array(issuer.raw);
}

function checkExpected(identity: CertificateIdentity, expect: ExpectedManager): void {
  if (identity.clusterId !== expect.clusterId) {
    throw mismatch('the manager belongs to another cluster');
  }
  if (expect.nodeId !== undefined && identity.id !== expect.nodeId) {
    throw new ConclaveError('CV_UNAUTHENTICATED', 'another node answers at this address', {
      details: { nodeId: identity.id },
    });
  }
}

/**
 * The handshake of members and administrators. OpenSSL's verdict about chain, name and purpose
 * counts, and so does our own reading of the certificate: both have to agree.
 */
export function memberHandshake(
  source: IdentitySource,
  expect: ExpectedManager,
  clock: Clock,
): Handshake {
  return {
    options: () => {
      const identity = source.current();
      const [own] = identity.certificatesDer;
      if (own !== undefined && clock.now() > identityOf(own).notAfterMs) {
        throw new ConclaveError('CV_CERTIFICATE_EXPIRED', 'the own certificate has expired');
      }
      return {
        ...secureContextOptions(identity, 'chain'),
        servername: managerName(expect.clusterId),
        // The verdict is read below, where it becomes an error of ours; nothing is sent before.
        rejectUnauthorized: false,
      };
    },
    verify: (socket) => {
      const { rootsDer } = source.current();
      const presented = { leafDer: leafOf(socket), crossDer: crossOf(socket) };
      const identity = verifyUnderRoots(presented, rootsDer, clock.now());
      checkExpected(identity, expect);
      if (!socket.authorized) {
        throw mismatch(
          `the certificate of the manager is refused: ${String(socket.authorizationError)}`,
        );
      }
    },
  };
}

/** The certificate with one of these pins among those that the peer sent. */
function pinnedRoot(socket: TLSSocket, pins: readonly Uint8Array[]): Uint8Array {
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  for (let count = 0; count < CHAIN_COUNT_MAX && certificate !== undefined; count += 1) {
    const der = new Uint8Array(certificate.raw);
    if (count > 0 && hasPin(der, pins)) return der;
    const issuer: DetailedPeerCertificate | undefined = certificate.issuerCertificate;
    certificate = issuer === certificate ? undefined : issuer;
  }
  throw mismatch('the manager presented the certificate of another cluster');
}

function hasPin(der: Uint8Array, pins: readonly Uint8Array[]): boolean {
  try {
    const own = rootPin(der);
    return pins.some((pin) => equalBytes(own, pin));
  } catch {
    return false; // not a root of a cluster at all
  }
}

/**
 * The handshake of who wants to join: without a certificate of its own and without a root. The pin
 * of the token names the root; the manager has to present it and to be certified under it. Who
 * comes back may know more than one.
 */
export function joinHandshake(pins: readonly Uint8Array[], clock: Clock): Handshake {
  return {
    options: () => ({ ...tlsRange(), ca: [], rejectUnauthorized: false }),
    verify: (socket) => {
      const rootDer = pinnedRoot(socket, pins);
      verifyChain({ leafDer: leafOf(socket), rootDer, now: clock.now(), usage: 'server' });
    },
  };
}

/** The handshake with whoever answers: nobody is recognised. */
export function strangerHandshake(): Handshake {
  return {
    options: () => ({ ...tlsRange(), ca: [], rejectUnauthorized: false }),
    verify: () => undefined,
  };
}
