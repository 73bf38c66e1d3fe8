import {
  ADMIN_ROLES,
  checkObjectName,
  checkSecretPattern,
  createId,
  limits,
} from '@conclave/kernel';
import { encodeAdminTranscript, verifyKeyProof } from '@conclave/pki';
import type { AdminRow } from '@conclave/state';
import type {
  AdminInput,
  CommittedInput,
  CreateAdminRequest,
  CreateAdminResponseInput,
  ListAdminsRequest,
  RevokeAdminRequest,
} from '@conclave/wire';
import { commit, demandCaller, textOf } from './commit.js';
import type { CallContext, ControlDependencies } from './dependencies.js';
import { requestOf } from './fingerprint.js';
import { checkCount, invalid, wholeNumber } from './invalid.js';
import { trustedRoots } from '../keys/root-demand.js';
import { adminOf, clusterOf, idForRemoval } from './lookups.js';
import { readState } from './reading.js';

/** Milliseconds: shorter than that nobody can use. */
const TTL_MS_MIN = 1_000;

/** The handlers of the service `Admins`. */
export interface AdminsHandlers {
  create(request: CreateAdminRequest, call: CallContext): Promise<CreateAdminResponseInput>;
  list(request: ListAdminsRequest, call: CallContext): AsyncGenerator<AdminInput, void>;
  revoke(request: RevokeAdminRequest, call: CallContext): Promise<CommittedInput>;
}

/** Handlers over `deps`. Writes need the leader. */
export function createAdminsHandlers(deps: ControlDependencies): AdminsHandlers {
  return {
    create: (request, call) => create(deps, request, call),
    list: () => listAdmins(deps),
    revoke: (request, call) => revokeAdmin(deps, request, call),
  };
}

type AdminSpec = Pick<AdminRow, 'name' | 'roles' | 'uses' | 'ttlMs'>;

async function create(
  deps: ControlDependencies,
  request: CreateAdminRequest,
  call: CallContext,
): Promise<CreateAdminResponseInput> {
  const spec = specOf(request, clusterOf(deps.state()).settings.certificates.adminLifeMs);
  const publicKey = provenKey(request);
  const asked = { ...spec, publicKey: [...publicKey] };
  const { idempotencyKey } = request;
  const identity = requestOf(call, { method: 'Admins.Create', idempotencyKey, asked });
  const creation = { spec, publicKey, call };
  const first = await tryCreate(deps, { ...creation, identity });
  if ('response' in first) return first.response;
  demandCaller(call);
  // An earlier try recorded a certificate that nobody has: it goes, a new one takes its place.
  const body = { kind: 'admin.revoke', id: first.lostId } as const;
  await commit(deps, { call, request: undefined, body });
  const second = await tryCreate(deps, { ...creation, identity: undefined });
  if ('response' in second) return second.response;
  throw invalid('idempotency_key', 'was used already');
}

function specOf(request: CreateAdminRequest, lifeMs: number): AdminSpec {
  const { name, uses } = request;
  checkObjectName('administrator', name);
  const roles = ADMIN_ROLES.filter((role) => request.roles.includes(role));
  if (roles.length === 0 || request.roles.length > roles.length) {
    throw invalid('roles', `must be some of: ${ADMIN_ROLES.join(', ')}; each once`);
  }
  checkCount('uses', uses.length, limits.ADMIN_USES_MAX);
  for (const pattern of uses) checkSecretPattern(pattern);
  if (uses.length > 0 && !roles.includes('operator')) {
    throw invalid('uses', 'are for the role operator: no other one binds secrets to services');
  }
  const ttlMs = wholeNumber('ttl_ms', request.ttlMs || lifeMs, [
    TTL_MS_MIN,
    limits.ADMIN_TTL_MS_MAX,
  ]);
  return { name, roles, uses: [...uses], ttlMs };
}

function provenKey({ name, publicKey, proof }: CreateAdminRequest): Uint8Array {
  if (verifyKeyProof(publicKey, encodeAdminTranscript(name, publicKey), proof)) {
    return Uint8Array.from(publicKey);
  }
  throw invalid('proof', 'of the public key does not check');
}

interface AdminCreation {
  readonly spec: AdminSpec;
  readonly publicKey: Uint8Array;
  readonly call: CallContext;
  readonly identity: ReturnType<typeof requestOf>;
}

async function tryCreate(
  deps: ControlDependencies,
  { spec, publicKey, call, identity }: AdminCreation,
): Promise<{ readonly response: CreateAdminResponseInput } | { readonly lostId: string }> {
  const id = createId(deps.random);
  const issued = await deps.issue({ adminId: id, ttlMs: spec.ttlMs, spkiDer: publicKey });
  const admin: Omit<AdminRow, 'objectVersion'> = {
    id,
    ...spec,
    certificate: issued.row,
    previousCertificate: undefined,
    previousUntilMs: 0,
    isRevoked: false,
    createdAtMs: deps.clock.now(),
    createdBy: call.actor,
  };
  const body = { kind: 'admin.create', admin } as const;
  const done = await commit(deps, { call, request: identity, body });
  const madeId = textOf(done, 'id');
  if (madeId !== id) return { lostId: madeId };
  const state = deps.state();
  const cluster = clusterOf(state);
  return {
    response: {
      admin: adminMessage(admin),
      certificate: issued.der,
      rootCertificates: trustedRoots(cluster),
      clusterId: cluster.id,
      addresses: [...state.nodes()]
        .map((node) => node.manager?.clusterAddress ?? '')
        .filter((address) => address !== ''),
      index: done.index,
    },
  };
}

async function* listAdmins(deps: ControlDependencies): AsyncGenerator<AdminInput, void> {
  const state = await readState(deps);
  for (const row of state.admins()) yield adminMessage(row);
}

async function revokeAdmin(
  deps: ControlDependencies,
  request: RevokeAdminRequest,
  call: CallContext,
): Promise<CommittedInput> {
  const { admin, idempotencyKey } = request;
  const id = await idForRemoval(deps, { reference: admin, idempotencyKey }, adminOf);
  const done = await commit(deps, {
    call,
    request: requestOf(call, { method: 'Admins.Revoke', idempotencyKey, asked: { admin } }),
    body: { kind: 'admin.revoke', id },
  });
  return { index: done.index };
}

function adminMessage(row: Omit<AdminRow, 'objectVersion'>): AdminInput {
  return {
    id: row.id,
    name: row.name,
    roles: [...row.roles],
    uses: [...row.uses],
    serial: row.certificate.serial,
    expiresAtMs: row.certificate.notAfterMs,
    ttlMs: row.ttlMs,
    revoked: row.isRevoked,
    createdAtMs: row.createdAtMs,
    createdBy: row.createdBy,
  };
}
