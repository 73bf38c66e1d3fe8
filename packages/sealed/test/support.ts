import type { Random } from '@conclave/kernel';
import { createSigningKey, encodeToken, SecretBytes } from '../src/index.js';
import type { ParsedToken } from '../src/index.js';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const CLUSTER = 'clusteraaaaaaaaaaaaaaaaaaa';
export const NODE = 'nodebbbbbbbbbbbbbbbbbbbbbb';
export const SECRET = 'secretcccccccccccccccccccc';

export function ascii(text: string): Uint8Array {
  return encoder.encode(text);
}

export function secretOf(text: string): SecretBytes {
  return SecretBytes.take(encoder.encode(text));
}

export function secretFrom(bytes: Uint8Array): SecretBytes {
  return SecretBytes.take(Uint8Array.from(bytes));
}

export function textOf(secret: SecretBytes): string {
  return secret.use((view) => decoder.decode(view));
}

export function bytesOf(secret: SecretBytes): Uint8Array {
  return secret.use((view) => Uint8Array.from(view));
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

/** A copy with one bit changed. */
export function flipped(bytes: Uint8Array, offset: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[offset] = (changed[offset] ?? 0) ^ 1;
  return changed;
}

/** The code and reason of the error that `work` throws; fails when it does not throw. */
export function refusal(work: () => unknown): { code: unknown; reason: unknown } {
  try {
    work();
  } catch (error) {
    const { code, details } = error as { code?: unknown; details?: Record<string, unknown> };
    return { code, reason: details?.['reason'] };
  }
  throw new Error('nothing was thrown');
}

/** A token with a fresh seed: its text, and what the cluster keeps. */
export function createToken({
  random,
  ...parts
}: Omit<ParsedToken, 'seed'> & { readonly random: Random }): {
  readonly text: Uint8Array;
  readonly publicKey: Uint8Array;
} {
  const { publicKey, privateKey: seed } = createSigningKey(random);
  const text = bytesOf(encodeToken({ ...parts, seed }));
  seed.wipe();
  return { text, publicKey };
}
