import { byteLength, limits, toHex } from '@conclave/kernel';
import { hashFields } from '@conclave/sealed';
import type { CommandBase } from '@conclave/state';
import type { CallContext } from './dependencies.js';
import { invalid } from './invalid.js';

/** What an idempotency key stands for. */
export interface RequestIdentity {
  /** `Secrets.Set` and the like. */
  readonly method: string;
  /** Key of the message; empty: the one of the call, if any. */
  readonly idempotencyKey: string;
  /** Everything that was asked for, without the key and without what is drawn anew per try. */
  readonly asked: Readonly<Record<string, unknown>>;
}

/**
 * The key with a fingerprint of the request, for the command; `undefined` without a key.
 * @throws CV_ARGUMENT_INVALID for a key over its limit
 */
export function requestOf(call: CallContext, identity: RequestIdentity): CommandBase['request'] {
  const key =
    identity.idempotencyKey === '' ? (call.idempotencyKey ?? '') : identity.idempotencyKey;
  if (key === '') return undefined;
  if (byteLength(key) > limits.IDEMPOTENCY_KEY_BYTES_MAX) {
    throw invalid('idempotency_key', `is over ${limits.IDEMPOTENCY_KEY_BYTES_MAX} bytes`);
  }
  const asked = JSON.stringify(identity.asked, sortedKeys);
  const fingerprint = toHex(hashFields(identity.method, asked));
  // Keys of different callers never meet.
  return { key: `${call.actor.kind}/${call.actor.id}/${key}`, fingerprint };
}

/** Makes objects that are equal give equal text, whatever the order of their keys. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)),
  );
}
