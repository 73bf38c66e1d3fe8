import { encodeFields, openSealed, sealToRecipient } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import type { ClientContext } from './context.js';

/** Calls of the local service that carry a secret. */
export type SecretCall = 'join' | 'unlock';

/** What a secret on its way to the daemon of this host is sealed for. */
export function localContext(call: SecretCall): Uint8Array {
  return encodeFields(['CV-LOCAL-1', call]);
}

/**
 * The secret of a call, sealed to the daemon: what the buffers of a connection hold of it opens
 * nothing. Does not wipe it.
 */
export async function sealToDaemon(
  { random }: ClientContext,
  publicKey: Uint8Array,
  { call, secret }: { readonly call: SecretCall; readonly secret: SecretBytes },
): Promise<Uint8Array> {
  await openSealed();
  const context = localContext(call);
  return sealToRecipient({ publicKey, context, plaintext: secret, random, isPadded: true });
}
