import { encodeBase32, limits } from '@conclave/kernel';
import { createToken, TOKEN_ID_BYTES } from '@conclave/sealed';
import type { State, TokenRow } from '@conclave/state';
import type {
  CommittedInput,
  CreateTokenRequest,
  CreateTokenResponseInput,
  ListTokensRequest,
  RevokeTokenRequest,
  TokenInput,
} from '@conclave/wire';
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
  /** The text in the answer is a credential: whoever sends it wipes it afterwards. */
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

type TokenSpec = Pick<TokenRow, 'needsApproval' | 'role' | 'usesLeft'> & { readonly ttlMs: number };

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
  };
  const { idempotencyKey } = request;
  const identity = requestOf(call, { method: 'Tokens.Create', idempotencyKey, asked: spec });
  const first = await tryCreate(deps, { spec, call, identity });
  if ('response' in first) return first.response;
  demandCaller(call);
  // An earlier try made a token whose text nobody has: it goes, and a new one takes its place.
  await commit(deps, {
    call,
    request: undefined,
    body: { kind: 'token.revoke', id: first.lostId },
  });
  const second = await tryCreate(deps, { spec, call, identity: undefined });
  if ('response' in second) return second.response;
  throw invalid('idempotency_key', 'was used already');
}

interface TokenCreation {
  readonly spec: TokenSpec;
  readonly call: CallContext;
  readonly identity: ReturnType<typeof requestOf>;
}

async function tryCreate(
  deps: ControlDependencies,
  { spec, call, identity }: TokenCreation,
): Promise<{ readonly response: CreateTokenResponseInput } | { readonly lostId: string }> {
  const { needsApproval, role, usesLeft, ttlMs } = spec;
  const idBytes = deps.random.bytes(TOKEN_ID_BYTES);
  const id = encodeBase32(idBytes);
  const { random } = deps;
  const { text, publicKey } = createToken({ role, pin: deps.rootPin(), id: idBytes, random });
  let isAnswered = false;
  try {
    const nowMs = deps.clock.now();
    const token: Omit<TokenRow, 'objectVersion'> = {
      id,
      role,
      publicKey,
      expiresAtMs: nowMs + ttlMs,
      usesLeft,
      needsApproval,
      isRevoked: false,
      admittedNodes: [],
      createdAtMs: nowMs,
      createdBy: call.actor,
    };
    const body = { kind: 'token.create', token } as const;
    const done = await commit(deps, { call, request: identity, body });
    const madeId = textOf(done, 'id');
    if (madeId !== id) return { lostId: madeId };
    const joinAddresses = joinAddressesOf(deps.state());
    isAnswered = true;
    return { response: { token: tokenMessage(token), text, joinAddresses, index: done.index } };
  } finally {
    if (!isAnswered) text.fill(0);
  }
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
    expiresAtMs: row.expiresAtMs,
    createdAtMs: row.createdAtMs,
    createdBy: row.createdBy,
    revoked: row.isRevoked,
    admittedNodes: [...row.admittedNodes],
  };
}
