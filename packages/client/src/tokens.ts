import { required } from '@conclave/kernel';
import { createSigningKey, encodeToken, openSealed, TOKEN_ID_BYTES } from '@conclave/sealed';
import type { SecretBytes } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type { Committed, Token } from '@conclave/wire';
import { readStream, write } from './calls.js';
import type { CallOptions, ClientContext, WriteOptions } from './context.js';

/** What a new join token allows. */
export interface TokenSpec {
  readonly role: 'manager' | 'worker';
  /** Hosts that may join with it, 1..10 000; default 1. */
  readonly uses?: number | undefined;
  /** Milliseconds, up to 30 days; default 24 h for workers, 1 h for managers. */
  readonly ttlMs?: number | undefined;
  /** Who joins with it waits for `nodes.approve`; default false. */
  readonly needsApproval?: boolean | undefined;
  /** Addresses and ranges, `10.0.0.0/8`, from which hosts may join; default: any. */
  readonly addressRanges?: readonly string[] | undefined;
  /** What their host names must be like, `web-*`; default: anything. */
  readonly hostnamePattern?: string | undefined;
}

/** A token that was just made. */
export interface CreatedToken {
  readonly token: Token;
  /** The token itself, ASCII: a credential that was made here and that nobody else has. Wipe it. */
  readonly text: SecretBytes;
  /** Where it can be used, `host:port`. */
  readonly joinAddresses: readonly string[];
  readonly index: number;
}

/** Join tokens. */
export interface TokensApi {
  /** Makes the token here; the cluster gets its id and public key. */
  create(spec: TokenSpec, options?: WriteOptions): Promise<CreatedToken>;
  list(options?: CallOptions): AsyncIterable<Token>;
  /** @throws CV_TOKEN_NOT_FOUND */
  revoke(id: string, options?: WriteOptions): Promise<Committed>;
}

async function createToken(
  context: ClientContext,
  spec: TokenSpec,
  options: WriteOptions,
): Promise<CreatedToken> {
  await openSealed();
  const { role } = spec;
  const id = context.random.bytes(TOKEN_ID_BYTES);
  const { privateKey: seed, publicKey } = createSigningKey(context.random);
  try {
    const request = (key: string) => ({
      role,
      uses: spec.uses ?? 0,
      ttlMs: spec.ttlMs ?? 0,
      needsApproval: spec.needsApproval ?? false,
      addressRanges: [...(spec.addressRanges ?? [])],
      hostnamePattern: spec.hostnamePattern ?? '',
      id,
      publicKey,
      idempotencyKey: key,
    });
    const method = loadWire().Tokens.Create;
    const { index, joinAddresses, pin, token } = await write(context, { method, request }, options);
    return {
      token: required(token, 'the created token'),
      text: encodeToken({ role, pin, id, seed }),
      joinAddresses,
      index,
    };
  } finally {
    seed.wipe();
  }
}

/** Join tokens over `context`'s port. */
export function createTokensApi(context: ClientContext): TokensApi {
  const wire = loadWire().Tokens;
  return {
    create: (spec, options = {}) => createToken(context, spec, options),
    list: (options = {}) => readStream(context, { method: wire.List, request: {} }, options),
    revoke: (id, options = {}) => {
      const request = (key: string) => ({ id, idempotencyKey: key });
      return write(context, { method: wire.Revoke, request }, options);
    },
  };
}
