import { toHex } from '@conclave/kernel';
import type { Clock, Random } from '@conclave/kernel';
import { identityOf, issueCertificate, SERIAL_BYTES } from '@conclave/pki';
import type { CertificateSubject } from '@conclave/pki';
import type { KeyRing } from '@conclave/sealed';
import type { CertificateRow, ClusterRow } from '@conclave/state';

/** Milliseconds that a replaced certificate stays accepted. */
export const CERTIFICATE_OVERLAP_MS: number = 10 * 60_000;

/** What is issued: the certificate and its row. */
export interface IssuedCertificate {
  readonly der: Uint8Array;
  readonly row: CertificateRow;
}

/** Who gets a certificate. */
export type IssueHolder =
  | { readonly nodeId: string; readonly role: 'manager' | 'worker' }
  | { readonly adminId: string; readonly ttlMs: number };

/** Who gets a certificate, and for which public key (SPKI). */
export type IssueSubject = IssueHolder & { readonly spkiDer: Uint8Array };

function nameOf(subject: IssueHolder): CertificateSubject {
  if ('adminId' in subject) return { kind: 'admin', id: subject.adminId };
  return { kind: 'node', role: subject.role, id: subject.nodeId };
}

function lifeMsOf(subject: IssueHolder, { settings }: ClusterRow): number {
  if ('adminId' in subject) return subject.ttlMs;
  const { managerLifeMs, workerLifeMs } = settings.certificates;
  return subject.role === 'manager' ? managerLifeMs : workerLifeMs;
}

/** Signs certificates of nodes and administrators; unwraps the root's key for the time of one signature. */
export class Issuer {
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * A certificate for `spkiDer`, whose possession the caller has checked.
   * @throws CV_ARGUMENT_INVALID when the public key is not P-256
   */
  async issue(
    cluster: ClusterRow,
    ring: KeyRing,
    subject: IssueSubject,
  ): Promise<IssuedCertificate> {
    const now = this.#clock.now();
    const rootKey = ring.openCaKey({
      clusterId: cluster.id,
      serial: rootSerial(cluster.rootGeneration),
      envelope: cluster.rootKeySealed,
    });
    try {
      // The signing call is asynchronous: the borrowed bytes are used before it yields.
      const der = await rootKey.use((rootPrivateKey) =>
        issueCertificate({
          rootDer: cluster.rootCertificate,
          rootPrivateKey,
          clusterId: cluster.id,
          subject: nameOf(subject),
          spkiDer: subject.spkiDer,
          serial: this.#random.bytes(SERIAL_BYTES),
          notBefore: now,
          notAfter: now + lifeMsOf(subject, cluster),
        }),
      );
      return { der, row: certificateRow(der, cluster.rootGeneration) };
    } finally {
      rootKey.wipe();
    }
  }
}

/** Names the key of a root inside its envelope. */
export function rootSerial(generation: number): string {
  return String(generation);
}

/** The row that a certificate is recorded as, issued by the root of this number. */
export function certificateRow(der: Uint8Array, root: number): CertificateRow {
  const { serial, notAfterMs, notBeforeMs, spkiHash } = identityOf(der);
  return { serial, notBeforeMs, notAfterMs, publicKeyHash: toHex(spkiHash), root };
}
