import { encodeBase32, equalBytes, limits } from '@conclave/kernel';
import { SIGNING_PUBLIC_KEY_BYTES, TOKEN_ID_BYTES } from '@conclave/sealed';
import type { State, TokenRow } from '@conclave/state';
import type {
  CommittedInput,
  CreateTokenRequest,
  CreateTokenResponseInput,
  ListTokensRequest,
  RevokeTokenRequest,
  TokenInput,
} from '@conclave/wire';
import { checkTokenLimits } from '../identity/token-limits.js';
import type { TokenLimits } from '../identity/token-limits.js';
import { commit, demandCaller, textOf } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { invalid, oneOf, wholeNumber } from './invalid.js';
import { readState } from './reading.js';

const HOUR_MS = 3_600_000;
const TTL_MS_DEFAULT = { worker: 24 * HOUR_MS, manager: HOUR_MS } as const;
/** Milliseconds: shorter than that nobody can type. */
const TTL_MS_MIN = 1_000;
/** Characters of a token's id: 8 bytes in base32. */
const TOKEN_ID_PATTERN = /^[a-z2-7]{13}$/;

/** The handlers of the service `Tokens`. */
export interface TokensHandlers {
  create(request: CreateTokenRequest, call: CallContext): Promise<CreateTokenResponseInput>;
  list(request: ListTokensRequest, call: CallContext): AsyncGenerator<TokenInput, void>;
  revoke(request: RevokeTokenRequest, call: CallContext): Promise<CommittedInput>;
}

/** Handlers over `deps`. Writes need the leader. */
export function createTokensHandlers(deps: ControlDependencies): TokensHandlers {
  return {
    create: (request, call) => create(deps, request, call),
    list: () => listTokens(deps),
    revoke: (request, call) => revokeToken(deps, request, call),
  };
}

type TokenSpec = Pick<TokenRow, 'needsApproval' | 'role' | 'usesLeft'> &
  TokenLimits & { readonly ttlMs: number };

/** What the caller made: the text of the token has the private half. */
type TokenKey = Pick<TokenRow, 'id' | 'publicKey'>;

async function create(
  deps: ControlDependencies,
  request: CreateTokenRequest,
  call: CallContext,
): Promise<CreateTokenResponseInput> {
  if (request.role === '') throw invalid('role', 'is missing: "worker" or "manager"');
  const role = oneOf('role', request.role, ['worker', 'manager']);
  const spec: TokenSpec = {
    role,
    needsApproval: request.needsApproval,
    usesLeft: wholeNumber('uses', request.uses || 1, [1, limits.TOKEN_USES_MAX]),
    ttlMs: wholeNumber('ttl_ms', request.ttlMs || TTL_MS_DEFAULT[role], [
      TTL_MS_MIN,
      limits.TOKEN_TTL_MS_MAX,
    ]),
    addressRanges: [...request.addressRanges],
    hostnamePattern: request.hostnamePattern,
  };
  checkTokenLimits(spec);
  const key = keyOf(request);
  const { idempotencyKey } = request;
  const identity = requestOf(call, { method: 'Tokens.Create', idempotencyKey, asked: spec });
  const first = await tryCreate(deps, { spec, key, call, identity });
  if ('response' in first) return first.response;
  const own = deps.state().tokenById(key.id);
  // This very request has come through before: only its answer was lost.
  if (own !== undefined && equalBytes(own.publicKey, key.publicKey)) return answerOf(deps, own);
  demandCaller(call);
  // An earlier command made a token whose text nobody has: it goes, and this one takes its place.
  await commit(deps, {
    call,
    request: undefined,
    body: { kind: 'token.revoke', id: first.lostId },
  });
  const second = await tryCreate(deps, { spec, key, call, identity: undefined });
  if ('response' in second) return second.response;
  throw invalid('idempotency_key', 'was used already');
}

function keyOf({ id, publicKey }: CreateTokenRequest): TokenKey {
  if (id.length !== TOKEN_ID_BYTES) throw invalid('id', `must have ${TOKEN_ID_BYTES} bytes`);
  if (publicKey.length !== SIGNING_PUBLIC_KEY_BYTES) {
    throw invalid('public_key', `must have ${SIGNING_PUBLIC_KEY_BYTES} bytes`);
  }
  return { id: encodeBase32(id), publicKey: Uint8Array.from(publicKey) };
}

interface TokenCreation {
  readonly spec: TokenSpec;
  readonly key: TokenKey;
  readonly call: CallContext;
  readonly identity: ReturnType<typeof requestOf>;
}

async function tryCreate(
  deps: ControlDependencies,
  { spec, key, call, identity }: TokenCreation,
): Promise<{ readonly response: CreateTokenResponseInput } | { readonly lostId: string }> {
  const { ttlMs, ...allowed } = spec;
  const nowMs = deps.clock.now();
  const token: Omit<TokenRow, 'objectVersion'> = {
    ...key,
    ...allowed,
    expiresAtMs: nowMs + ttlMs,
    isRevoked: false,
    admittedNodes: [],
    createdAtMs: nowMs,
    createdBy: call.actor,
  };
  const done = await commit(deps, {
    call,
    request: identity,
    body: { kind: 'token.create', token },
  });
  const madeId = textOf(done, 'id');
  if (madeId !== key.id) return { lostId: madeId };
  return { response: answerOf(deps, { ...token, objectVersion: done.index }) };
}

function answerOf(deps: ControlDependencies, row: TokenRow): CreateTokenResponseInput {
  return {
    token: tokenMessage(row),
    pin: deps.rootPin(),
    joinAddresses: joinAddressesOf(deps.state()),
    index: row.objectVersion,
  };
}

function joinAddressesOf(state: State): string[] {
  return [...state.nodes()]
    .map((node) => node.manager?.joinAddress ?? '')
    .filter((address) => address !== '');
}

async function* listTokens(deps: ControlDependencies): AsyncGenerator<TokenInput, void> {
  const state = await readState(deps);
  for (const row of state.tokens()) yield tokenMessage(row);
}

async function revokeToken(
  deps: ControlDependencies,
  request: RevokeTokenRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const { id, idempotencyKey } = request;
  if (!TOKEN_ID_PATTERN.test(id)) {
    throw invalid('id', id === '' ? 'is missing' : 'is not the id of a token');
  }
  const done = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Tokens.Revoke', idempotencyKey, asked: { id } }),
    body: { kind: 'token.revoke', id },
  });
  return { index: done.index };
}

function tokenMessage(row: Omit<TokenRow, 'objectVersion'>): TokenInput {
  return {
    id: row.id,
    role: row.role,
    usesLeft: row.usesLeft,
    needsApproval: row.needsApproval,
    addressRanges: [...row.addressRanges],
    hostnamePattern: row.hostnamePattern,
    expiresAtMs: row.expiresAtMs,
    createdAtMs: row.createdAtMs,
    createdBy: row.createdBy,
    revoked: row.isRevoked,
    admittedNodes: [...row.admittedNodes],
  };
}
