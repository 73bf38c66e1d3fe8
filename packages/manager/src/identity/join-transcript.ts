import { encodeTranscript } from '@conclave/pki';

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
  return encodeTranscript([
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
