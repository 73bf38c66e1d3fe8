import { ConclaveError } from '@conclave/kernel';
import type { ProvenKey } from './admins.js';

const FORMAT = 1;
/** Characters of a request that is read; one has about 250. */
export const REQUEST_LENGTH_MAX: number = 4_096;

/** What somebody who wants to be an administrator hands over: public, one line of JSON. */
export function encodeRequest({ publicKey, proof }: ProvenKey): string {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const request = { format: FORMAT, publicKey: base64(publicKey), proof: base64(proof) };
  return `${JSON.stringify(request)}\n`;
}

/**
 * Reads what {@link encodeRequest} made. Whether the proof holds is for the cluster to say.
 * @throws CV_ARGUMENT_INVALID for anything else
 */
export function decodeRequest(text: string): ProvenKey {
  const { format, proof, publicKey } = parse(text);
  if (format !== FORMAT || typeof proof !== 'string' || typeof publicKey !== 'string') {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'this is no request of an administrator', {
      hint: 'Make one with: conclave context create NAME',
    });
  }
  const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));
  return { publicKey: bytes(publicKey), proof: bytes(proof) };
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = text.length > REQUEST_LENGTH_MAX ? null : JSON.parse(text);
    return (value ?? {}) as Readonly<Record<string, unknown>>;
  } catch {
    return {};
  }
}
