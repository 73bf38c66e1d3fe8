import { concatBytes } from '@conclave/kernel';

/**
 * Fields as the bytes that are signed. Each has its length in front, so that no two lists of fields
 * give the same bytes.
 */
export function encodeTranscript(fields: readonly (string | Uint8Array)[]): Uint8Array {
  const encoder = new TextEncoder();
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    const bytes = typeof field === 'string' ? encoder.encode(field) : field;
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, bytes.length);
    parts.push(size, bytes);
  }
  return concatBytes(...parts);
}

/** The bytes that the holder of a certificate signs with its new key to have it renewed. */
export function encodeRenewTranscript(fields: {
  readonly clusterId: string;
  /** Id of the node or administrator. */
  readonly id: string;
  /** Of the certificate in use. */
  readonly serial: string;
  readonly publicKey: Uint8Array;
}): Uint8Array {
  const { clusterId, id, serial, publicKey } = fields;
  return encodeTranscript(['CV-RENEW-1', clusterId, id, serial, publicKey]);
}

/** The bytes that a worker signs with the key of its ended certificate to get the next one. */
export function encodeRecoverTranscript(fields: {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Of the certificate that it shows. */
  readonly serial: string;
  readonly nonce: Uint8Array;
  /** BLAKE2b-256 of the certificate that the manager presents. */
  readonly serverCertificateHash: Uint8Array;
}): Uint8Array {
  const { clusterId, nodeId, serial, nonce, serverCertificateHash } = fields;
  return encodeTranscript([
    'CV-RECOVER-1',
    clusterId,
    nodeId,
    serial,
    nonce,
    serverCertificateHash,
  ]);
}

/** The bytes that a new administrator signs with its key: the name that it is to certify. */
export function encodeAdminTranscript(name: string, publicKey: Uint8Array): Uint8Array {
  return encodeTranscript(['CV-ADMIN-1', name, publicKey]);
}
