import { encodeTranscript } from '@conclave/pki';

/** What a promoted worker says of itself; covered by the signature of its new key. */
export interface PromotionTranscript {
  readonly clusterId: string;
  readonly nodeId: string;
  /** Of the worker's certificate in use. */
  readonly serial: string;
  /** SPKI of the new TLS key. */
  readonly publicKey: Uint8Array;
  readonly clusterAddress: string;
  readonly joinAddress: string;
  readonly staticPublicKey: Uint8Array;
  readonly signingPublicKey: Uint8Array;
}

/** The bytes that a promoted worker signs with its new key. */
export function encodePromotionTranscript(transcript: PromotionTranscript): Uint8Array {
  return encodeTranscript([
    'CV-MANAGER-1',
    transcript.clusterId,
    transcript.nodeId,
    transcript.serial,
    transcript.publicKey,
    transcript.clusterAddress,
    transcript.joinAddress,
    transcript.staticPublicKey,
    transcript.signingPublicKey,
  ]);
}
