import { randomBytes } from 'node:crypto';

import type { Random } from '@conclave/kernel';

import { createRoot, generateNodeKey, issueCertificate } from '../src/index.js';
import type { CertificateSubject, CreatedRoot, NodeKey } from '../src/index.js';

export const CLUSTER = 'clusteraaaaaaaaaaaaaaaaaaa';
export const NODE = 'nodebbbbbbbbbbbbbbbbbbbbbb';
export const HOUR_MS = 3_600_000;
/** Whole seconds, so that times in certificates compare exactly. */
export const NOW: number = Math.floor(Date.now() / 1000) * 1000;

export const MANAGER: CertificateSubject = { kind: 'node', role: 'manager', id: NODE };
export const WORKER: CertificateSubject = { kind: 'node', role: 'worker', id: NODE };
export const ADMIN: CertificateSubject = { kind: 'admin', id: 'alice' };

/** Keys come from OpenSSL anyway, so these tests use plain randomness too. */
export const random: Random = {
  bytes: (count) => new Uint8Array(randomBytes(count)),
  below: (limit) => randomBytes(4).readUInt32BE() % limit,
};

export function newRoot(clusterId: string = CLUSTER): Promise<CreatedRoot> {
  return createRoot({ clusterId, now: NOW, random });
}

export interface IssueOptions {
  readonly clusterId?: string;
  readonly key?: NodeKey;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly serial?: Uint8Array;
  readonly spkiDer?: Uint8Array;
}

export interface Issued {
  readonly der: Uint8Array;
  readonly key: NodeKey;
}

export async function issue(
  root: CreatedRoot,
  subject: CertificateSubject,
  options: IssueOptions = {},
): Promise<Issued> {
  const key = options.key ?? generateNodeKey();
  const der = await issueCertificate({
    rootDer: root.certificateDer,
    rootPrivateKey: root.privateKeyPkcs8,
    clusterId: options.clusterId ?? CLUSTER,
    subject,
    spkiDer: options.spkiDer ?? key.spkiDer,
    serial: options.serial ?? random.bytes(16),
    notBefore: options.notBefore ?? NOW,
    notAfter: options.notAfter ?? NOW + HOUR_MS,
  });
  return { der, key };
}

/** The code of the error that `work` throws or rejects with; fails when there is none. */
export async function refusal(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  throw new Error('nothing was thrown');
}
