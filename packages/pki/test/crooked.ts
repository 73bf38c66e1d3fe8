import 'reflect-metadata';

import { webcrypto } from 'node:crypto';

import { X509CertificateGenerator } from '@peculiar/x509';

import type { CreatedRoot } from '../src/index.js';
import { spkiOf } from '../src/certificate.js';
import { leafExtensions } from '../src/profile.js';
import { readRoot } from '../src/root.js';
import { CLUSTER, HOUR_MS, NODE, NOW } from './support.js';

/** In what a certificate differs from our profile. */
export interface Crookedness {
  readonly subject?: { [name: string]: string[] }[];
  readonly names?: {
    readonly role: 'manager' | 'worker' | 'admin';
    readonly id: string;
    readonly clusterId: string;
  };
  readonly curve?: string;
}

/** A certificate that the true root signed, but after another profile. */
export async function crooked(root: CreatedRoot, change: Crookedness): Promise<Uint8Array> {
  const { certificate, spkiDer: rootSpkiDer } = readRoot(root.certificateDer);
  const algorithm = { name: 'ECDSA', namedCurve: change.curve ?? 'P-256' };
  const pair = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const rootAlgorithm = { name: 'ECDSA', namedCurve: 'P-384' };
  const pkcs8 = root.privateKeyPkcs8;
  const signingKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, rootAlgorithm, false, [
    'sign',
  ]);
  const names = change.names ?? { role: 'worker' as const, id: NODE, clusterId: CLUSTER };
  const made = await X509CertificateGenerator.create({
    subject: change.subject ?? [{ O: [CLUSTER] }, { OU: ['worker'] }, { CN: [NODE] }],
    issuer: [{ O: [CLUSTER] }, { CN: ['root'] }],
    serialNumber: '0102',
    notBefore: new Date(NOW - HOUR_MS),
    notAfter: new Date(NOW + HOUR_MS),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-384' },
    publicKey: pair.publicKey,
    signingKey,
    extensions: leafExtensions({ ...names, spkiDer: spkiOf(certificate), rootSpkiDer }),
  });
  return new Uint8Array(made.rawData);
}
