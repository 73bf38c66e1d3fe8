import { required } from '@conclave/kernel';
import { SecretBytes } from '@conclave/sealed';
import { loadWire } from '@conclave/wire';
import type { Committed, CreateTokenResponse, Token } from '@conclave/wire';
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
}

/** A token that was just made. */
export interface CreatedToken {
  readonly token: Token;
  /** The token itself, ASCII: a credential that the cluster cannot show again. Wipe it. */
  readonly text: SecretBytes;
  /** Where it can be used, `host:port`. */
  readonly joinAddresses: readonly string[];
  readonly index: number;
}

/** Join tokens. */
export interface TokensApi {
  create(spec: TokenSpec, options?: WriteOptions): Promise<CreatedToken>;
  list(options?: CallOptions): AsyncIterable<Token>;
  /** @throws CV_TOKEN_NOT_FOUND */
  revoke(id: string, options?: WriteOptions): Promise<Committed>;
}

function createdToken(response: CreateTokenResponse): CreatedToken {
  const { index, joinAddresses, text } = response;
  return {
    token: required(response.token, 'the created token'),
    text: SecretBytes.take(text),
    joinAddresses,
    index,
  };
}

/** Join tokens over `context`'s port. */
export function createTokensApi(context: ClientContext): TokensApi {
  const wire = loadWire().Tokens;
  return {
    create: async (spec, options = {}) => {
      const request = (key: string) => ({
        role: spec.role,
        uses: spec.uses ?? 0,
        ttlMs: spec.ttlMs ?? 0,
        needsApproval: spec.needsApproval ?? false,
        idempotencyKey: key,
      });
      return createdToken(await write(context, { method: wire.Create, request }, options));
    },
    list: (options = {}) => readStream(context, { method: wire.List, request: {} }, options),
    revoke: (id, options = {}) => {
      const request = (key: string) => ({ id, idempotencyKey: key });
      return write(context, { method: wire.Revoke, request }, options);
    },
  };
}
