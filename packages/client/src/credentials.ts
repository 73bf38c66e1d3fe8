import { ConclaveError } from '@conclave/kernel';
import {
  CERTIFICATE_SKEW_MS,
  encodeAdminTranscript,
  encodeRenewTranscript,
  generateNodeKey,
  identityOf,
  isKeyOf,
  proveKey,
} from '@conclave/pki';
import type { CertificateIdentity } from '@conclave/pki';
import { SecretBytes } from '@conclave/sealed';
import type { ProvenKey } from './admins.js';
import type { ConclaveClient } from './client.js';
import type { CallOptions } from './context.js';

/** All that an administrator needs to reach a cluster over the network. */
export interface AdminCredentials {
  readonly clusterId: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** Cluster addresses of managers, `host:port`. */
  readonly addresses: readonly string[];
  readonly certificateDer: Uint8Array;
  readonly rootsDer: readonly Uint8Array[];
  /** PEM. The owner of the credentials wipes it. */
  readonly privateKey: SecretBytes;
}

/** A new key of an administrator. */
export interface AdminKey {
  /** PEM. The caller wipes it. */
  readonly privateKey: SecretBytes;
  readonly proven: ProvenKey;
}

/** Bytes of credentials that are read; a context of nine managers has less than four thousand. */
export const CREDENTIALS_BYTES_MAX: number = 64 * 1024;
const FORMAT = 1;
const NEWLINE = 0x0a;

const base64 = (der: Uint8Array): string => Buffer.from(der).toString('base64');
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

function newKey(transcriptOf: (publicKey: Uint8Array) => Uint8Array): AdminKey {
  const { privateKeyPem, spkiDer } = generateNodeKey();
  const proof = proveKey(privateKeyPem, transcriptOf(spkiDer));
  return { privateKey: SecretBytes.take(privateKeyPem), proven: { publicKey: spkiDer, proof } };
}

/** A key for a new administrator of this name. It is made here and stays here. */
export function createAdminKey(name: string): AdminKey {
  return newKey((publicKey) => encodeAdminTranscript(name, publicKey));
}

/** What the certificate of the credentials says. */
export function certificateOf({
  certificateDer,
}: Pick<AdminCredentials, 'certificateDer'>): CertificateIdentity {
  return identityOf(certificateDer);
}

/** Which part of its life the certificate of the credentials has behind it, 0 to more than 1. */
export function lifeShare(
  credentials: Pick<AdminCredentials, 'certificateDer'>,
  nowMs: number,
): number {
  const { notAfterMs, notBeforeMs } = certificateOf(credentials);
  // The time by which it is valid earlier is for clocks that lag.
  const beginMs = notBeforeMs + CERTIFICATE_SKEW_MS;
  return (nowMs - beginMs) / (notAfterMs - beginMs);
}

/** The public part of credentials, for whoever has the private key already: one line of JSON. */
export function encodeGrant(granted: Omit<AdminCredentials, 'privateKey'>): string {
  const { clusterId, name, roles, addresses, certificateDer, rootsDer } = granted;
  return `${JSON.stringify({
    format: FORMAT,
    clusterId,
    name,
    roles,
    addresses,
    certificate: base64(certificateDer),
    roots: rootsDer.map(base64),
  })}\n`;
}

/**
 * Credentials as the bytes of a file: one line of JSON, then the private key in PEM, which never
 * becomes a string. The caller wipes them.
 */
export function encodeCredentials(credentials: AdminCredentials): SecretBytes {
  const { privateKey } = credentials;
  const head = new TextEncoder().encode(encodeGrant(credentials));
  const bytes = SecretBytes.allocate(head.length + privateKey.size);
  bytes.use((target) => {
    target.set(head);
    privateKey.use((key) => target.set(key, head.length));
  });
  return bytes;
}

/** Credentials that were renewed. */
export interface RenewedCredentials {
  readonly certificateDer: Uint8Array;
  /** The whole of them as {@link encodeCredentials} gives it. The caller wipes it. */
  readonly content: SecretBytes;
}

/**
 * Gets the next certificate for a new key, over a client that uses the credentials. The managers of
 * now take the place of those that the credentials name.
 * @throws CV_UNAUTHENTICATED when the administrator was ended
 */
export async function renewCredentials(
  client: ConclaveClient,
  credentials: AdminCredentials,
  options: CallOptions = {},
): Promise<RenewedCredentials> {
  const { clusterId, id, serial } = certificateOf(credentials);
  const { managers } = await client.cluster.status(options);
  const addresses = managers.map(({ address }) => address).filter((address) => address !== '');
  const { privateKey, proven } = newKey((publicKey) =>
    encodeRenewTranscript({ clusterId, id, serial, publicKey }),
  );
  try {
    const { certificate: certificateDer, rootCertificates: rootsDer } = await client.admins.renew(
      proven,
      options,
    );
    const next = { ...credentials, addresses, certificateDer, rootsDer, privateKey };
    return { certificateDer, content: encodeCredentials(next) };
  } finally {
    privateKey.wipe();
  }
}

function invalid(why: string, cause?: unknown): ConclaveError {
  return new ConclaveError('CV_CONTEXT_INVALID', `the context ${why}`, { cause });
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function parsed(line: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line));
    return (value ?? {}) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw invalid('is malformed', error);
  }
}

function fieldsOf(line: Uint8Array): Omit<AdminCredentials, 'privateKey'> {
  const { format, clusterId, name, roles, addresses, certificate, roots } = parsed(line);
  if (format !== FORMAT) throw invalid('has a format that this version does not know');
  const isWhole =
    [clusterId, name, certificate].every(isText) && [roles, addresses, roots].every(isTexts);
  if (!isWhole) throw invalid('lacks a part');
  return {
    clusterId: clusterId as string,
    name: name as string,
    roles: roles as string[],
    addresses: addresses as string[],
    certificateDer: bytesOf(certificate as string),
    rootsDer: (roots as string[]).map(bytesOf),
  };
}

function keyOf(pem: Uint8Array, certificateDer: Uint8Array): SecretBytes {
  if (!isKeyOf(pem, certificateDer)) throw invalid('has no key, or that of another certificate');
  const copy = new Uint8Array(new ArrayBuffer(pem.length));
  copy.set(pem);
  return SecretBytes.take(copy);
}

/**
 * Reads what {@link encodeCredentials} made, or with the key at hand what {@link encodeGrant} made;
 * the input is not wiped.
 * @throws CV_CONTEXT_INVALID for anything else
 */
export function decodeCredentials(bytes: SecretBytes, ownKey?: SecretBytes): AdminCredentials {
  return bytes.use((view) => {
    const end = view.indexOf(NEWLINE);
    if (end === -1 || view.length > CREDENTIALS_BYTES_MAX) throw invalid('is malformed');
    const fields = fieldsOf(view.subarray(0, end));
    const { certificateDer } = fields;
    const identity = identityOrNone(certificateDer);
    if (identity?.kind !== 'admin' || identity.clusterId !== fields.clusterId) {
      throw invalid('has no certificate of an administrator of its cluster');
    }
    const pem = view.subarray(end + 1);
    const privateKey =
      pem.length === 0 && ownKey !== undefined
        ? ownKey.use((own) => keyOf(own, certificateDer))
        : keyOf(pem, certificateDer);
    return { ...fields, privateKey };
  });
}

function identityOrNone(certificateDer: Uint8Array): CertificateIdentity | undefined {
  try {
    return identityOf(certificateDer);
  } catch {
    return undefined;
  }
}
