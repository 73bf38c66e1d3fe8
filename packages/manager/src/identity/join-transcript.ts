import { concatBytes } from '@conclave/kernel';

/** What a joining host says of itself; every field is covered by both of its signatures. */
export interface JoinTranscript {
  readonly clusterId: string;
  readonly nonce: Uint8Array;
  /** BLAKE2b-256 of the certificate that the manager presented. */
  readonly serverCertificateHash: Uint8Array;
  readonly tokenId: Uint8Array;
  /** SPKI of the new TLS key. */
  readonly publicKey: Uint8Array;
  readonly hostname: string;
  readonly platformOs: string;
  readonly version: string;
  readonly clusterAddress: string;
  readonly joinAddress: string;
  readonly staticPublicKey: Uint8Array;
  readonly signingPublicKey: Uint8Array;
}

const LABEL = 'CV-JOIN-1';

/**
 * The bytes that a joining host signs with its token and with its new key. Each field has its
 * length in front, so that no two requests share a transcript.
 * @source the join protocol of docs/internals/identity.md
 */
export function encodeJoinTranscript(transcript: JoinTranscript): Uint8Array {
  return encodeFields([
    LABEL,
    transcript.clusterId,
    transcript.nonce,
    transcript.serverCertificateHash,
    transcript.tokenId,
    transcript.publicKey,
    transcript.hostname,
    transcript.platformOs,
    transcript.version,
    transcript.clusterAddress,
    transcript.joinAddress,
    transcript.staticPublicKey,
    transcript.signingPublicKey,
  ]);
}

/** The bytes that a member signs with its new key to renew its certificate. */
export function encodeRenewTranscript(fields: {
  readonly clusterId: string;
  readonly nodeId: string;
  readonly serial: string;
  readonly publicKey: Uint8Array;
}): Uint8Array {
  return encodeFields([
    'CV-RENEW-1',
    fields.clusterId,
    fields.nodeId,
    fields.serial,
    fields.publicKey,
  ]);
}

function encodeFields(fields: readonly (string | Uint8Array)[]): Uint8Array {
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
