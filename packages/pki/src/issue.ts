import 'reflect-metadata';

import { generateKeyPairSync, webcrypto } from 'node:crypto';

import { X509CertificateGenerator } from '@peculiar/x509';
import type { Extension, JsonName } from '@peculiar/x509';

import { assert, ConclaveError, toHex } from '@conclave/kernel';
import type { Random } from '@conclave/kernel';

import { checkLabel } from './names.js';
import type { CertificateRole } from './names.js';
import { issuedBy, leafExtensions, rootExtensions } from './profile.js';
import { readPublicKey, spkiHashOf } from './public-key.js';
import { readRoot } from './root.js';

/** Bytes of a certificate serial. */
export const SERIAL_BYTES = 16;
/** Milliseconds by which a certificate is valid earlier, for hosts whose clock is behind. */
export const CERTIFICATE_SKEW_MS: number = 10 * 60_000;
/** Milliseconds that a root is valid: ten years. */
export const ROOT_LIFE_MS: number = 3652 * 24 * 3_600_000;

/** The library's name for it needs browser declarations, which most packages do not load. */
type WebCrypto = NonNullable<Parameters<typeof X509CertificateGenerator.create>[1]>;

const ROOT_CURVE = 'P-384';
const SIGNING = { name: 'ECDSA', hash: 'SHA-384' };
const SECOND_MS = 1000;

/** Arguments of {@link createRoot}. */
export interface RootRequest {
  readonly clusterId: string;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  readonly random: Random;
}

/** A new root of trust. */
export interface CreatedRoot {
  readonly certificateDer: Uint8Array;
  /** PKCS #8; the caller seals it and wipes this copy. */
  readonly privateKeyPkcs8: Uint8Array;
  /** SHA-256 of the public key info, as it stands in join tokens. */
  readonly pin: Uint8Array;
}

/** Arguments of {@link crossSign}. */
export interface CrossSignRequest {
  /** The root that signs. */
  readonly byDer: Uint8Array;
  /** Its private key, PKCS #8; not wiped here. */
  readonly byPrivateKey: Uint8Array;
  /** The root whose key is certified. */
  readonly rootDer: Uint8Array;
  readonly random: Random;
}

/** Whom a certificate names. */
export type CertificateSubject =
  | { readonly kind: 'node'; readonly role: 'manager' | 'worker'; readonly id: string }
  | { readonly kind: 'admin'; readonly id: string };

/** Arguments of {@link issueCertificate}. */
export interface IssueRequest {
  readonly rootDer: Uint8Array;
  /** PKCS #8 of the root; not wiped here. */
  readonly rootPrivateKey: Uint8Array;
  readonly clusterId: string;
  readonly subject: CertificateSubject;
  /** The public key only, in its plain P-256 form; its possession was proven before. */
  readonly spkiDer: Uint8Array;
  /** 16 random bytes, recorded by the cluster. */
  readonly serial: Uint8Array;
  /** Milliseconds since 1970 UTC; ten minutes are taken off for clock skew. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** A self-signed root for one cluster: P-384, ten years, names of that cluster only. */
export async function createRoot({ clusterId, now, random }: RootRequest): Promise<CreatedRoot> {
  checkLabel(clusterId, 'cluster id');
  const pair = generateKeyPairSync('ec', {
    namedCurve: ROOT_CURVE,
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  });
  const privateKeyPkcs8 = new Uint8Array(new ArrayBuffer(pair.privateKey.length));
  privateKeyPkcs8.set(pair.privateKey);
  pair.privateKey.fill(0);
  const spkiDer = new Uint8Array(pair.publicKey);
  const name = rootName(clusterId);
  const certificateDer = await signCertificate({
    subject: name,
    issuer: name,
    serial: random.bytes(SERIAL_BYTES),
    notBefore: now - CERTIFICATE_SKEW_MS,
    notAfter: now + ROOT_LIFE_MS,
    spkiDer,
    curve: ROOT_CURVE,
    extensions: rootExtensions(clusterId, spkiDer),
    rootPrivateKey: privateKeyPkcs8,
  });
  return { certificateDer, privateKeyPkcs8, pin: spkiHashOf(spkiDer) };
}

/**
 * The key of one root, certified by another root of the same cluster and for no longer than both
 * are valid: who trusts the other one may follow to this one.
 * @throws CV_UNAUTHENTICATED when one of them is not a root
 * @throws CV_ARGUMENT_INVALID when they are of two clusters
 */
export async function crossSign(request: CrossSignRequest): Promise<Uint8Array> {
  const by = readRoot(request.byDer);
  const root = readRoot(request.rootDer);
  const { clusterId, spkiDer } = root;
  if (by.clusterId !== clusterId) throw invalid('root certificate belongs to another cluster');
  return signCertificate({
    subject: rootName(clusterId),
    issuer: rootName(clusterId),
    serial: request.random.bytes(SERIAL_BYTES),
    notBefore: Math.max(root.notBeforeMs, by.notBeforeMs),
    notAfter: Math.min(root.notAfterMs, by.notAfterMs),
    spkiDer,
    curve: ROOT_CURVE,
    extensions: [...rootExtensions(clusterId, spkiDer), issuedBy(by.spkiDer)],
    rootPrivateKey: request.byPrivateKey,
  });
}

/**
 * A leaf certificate in DER after the fixed profile; nothing but the public key comes from outside.
 * @throws CV_ARGUMENT_INVALID for a malformed id, public key, serial or time, or a foreign root
 */
export async function issueCertificate(request: IssueRequest): Promise<Uint8Array> {
  const { clusterId, subject, spkiDer, serial, notBefore, notAfter } = request;
  const role: CertificateRole = subject.kind === 'admin' ? 'admin' : subject.role;
  checkLabel(clusterId, 'cluster id');
  checkLabel(subject.id, `${subject.kind} id`);
  readPublicKey(spkiDer);
  const root = readRoot(request.rootDer);
  if (root.clusterId !== clusterId) throw invalid('root certificate belongs to another cluster');
  if (serial.length !== SERIAL_BYTES) throw invalid('serial must have 16 bytes');
  if (!(notBefore < notAfter && notAfter <= root.notAfterMs)) {
    throw invalid('time of validity is empty or outlives the root certificate');
  }
  const { id } = subject;
  return signCertificate({
    subject: [{ O: [clusterId] }, { OU: [role] }, { CN: [id] }],
    issuer: rootName(clusterId),
    serial,
    notBefore: notBefore - CERTIFICATE_SKEW_MS,
    notAfter,
    spkiDer,
    curve: 'P-256',
    extensions: leafExtensions({ clusterId, role, id, spkiDer, rootSpkiDer: root.spkiDer }),
    rootPrivateKey: request.rootPrivateKey,
  });
}

interface SigningOrder {
  readonly subject: JsonName;
  readonly issuer: JsonName;
  readonly serial: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spkiDer: Uint8Array;
  readonly curve: 'P-256' | 'P-384';
  readonly extensions: Extension[];
  readonly rootPrivateKey: Uint8Array;
}

async function signCertificate(order: SigningOrder): Promise<Uint8Array> {
  const { subtle } = webcrypto;
  const [publicKey, signingKey] = await Promise.all([
    subtle.importKey('spki', order.spkiDer, ecdsa(order.curve), true, ['verify']),
    subtle.importKey('pkcs8', order.rootPrivateKey, ecdsa(ROOT_CURVE), false, ['sign']),
  ]);
  const certificate = await X509CertificateGenerator.create(
    {
      subject: order.subject,
      issuer: order.issuer,
      serialNumber: serialText(order.serial),
      notBefore: wholeSecond(order.notBefore),
      notAfter: wholeSecond(order.notAfter),
      signingAlgorithm: SIGNING,
      publicKey,
      signingKey,
      extensions: order.extensions,
    },
    webcrypto as WebCrypto,
  );
  return new Uint8Array(certificate.rawData);
}

function ecdsa(namedCurve: string): { name: string; namedCurve: string } {
  return { name: 'ECDSA', namedCurve };
}

function rootName(clusterId: string): JsonName {
  return [{ O: [clusterId] }, { CN: ['root'] }];
}

function serialText(serial: Uint8Array): string {
  assert(
    serial.some((byte) => byte !== 0),
    'a serial is not zero',
  );
  return toHex(serial);
}

function wholeSecond(timeMs: number): Date {
  return new Date(Math.floor(timeMs / SECOND_MS) * SECOND_MS);
}

function invalid(message: string): ConclaveError {
  return new ConclaveError('CV_ARGUMENT_INVALID', message);
}
