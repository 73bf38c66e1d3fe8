import { required } from '@conclave/kernel';
import type { AdminRole } from '@conclave/kernel';
import { loadWire } from '@conclave/wire';
import type { Admin, Committed, CreateAdminResponse, RenewResponse } from '@conclave/wire';
import { readStream, write, writeDeadline } from './calls.js';
import type { CallOptions, ClientContext, WriteOptions } from './context.js';

/** The public half of a key, and a signature that shows who has the other half. */
export interface ProvenKey {
  /** SPKI of a P-256 key. */
  readonly publicKey: Uint8Array;
  readonly proof: Uint8Array;
}

/** What a new administrator may do. */
export interface AdminSpec {
  readonly name: string;
  /** At least one. */
  readonly roles: readonly AdminRole[];
  /** Operators: secrets that it may give to services, as names, `name/*` or `*`; default none. */
  readonly uses?: readonly string[] | undefined;
  /** Milliseconds that each of its certificates lives, 1 s to 7 days; default: a setting of the cluster. */
  readonly ttlMs?: number | undefined;
  readonly key: ProvenKey;
}

/** An administrator that was just made: all that its context needs besides the private key. */
export type CreatedAdmin = Omit<CreateAdminResponse, 'admin'> & { readonly admin: Admin };

/** Administrators with certificates of their own. */
export interface AdminsApi {
  /** @throws CV_NAME_TAKEN, CV_LIMIT_EXCEEDED */
  create(spec: AdminSpec, options?: WriteOptions): Promise<CreatedAdmin>;
  list(options?: CallOptions): AsyncIterable<Admin>;
  /** Ends one, by name or id. @throws CV_ADMIN_NOT_FOUND */
  revoke(admin: string, options?: WriteOptions): Promise<Committed>;
  /**
   * The next certificate of whoever calls; only with a certificate. Sent once: it has no second
   * effect that would need a key.
   */
  renew(key: ProvenKey, options?: CallOptions): Promise<RenewResponse>;
}

/** Administrators over `context`'s port. */
export function createAdminsApi(context: ClientContext): AdminsApi {
  const { Admins: wire, Identity } = loadWire();
  return {
    create: async (spec, options = {}) => {
      const { name, roles, uses = [], ttlMs = 0, key } = spec;
      const request = (idempotencyKey: string) => ({
        name,
        roles: [...roles],
        uses: [...uses],
        ttlMs,
        ...key,
        idempotencyKey,
      });
      const made = await write(context, { method: wire.Create, request }, options);
      return { ...made, admin: required(made.admin, 'the created administrator') };
    },
    list: (options = {}) => readStream(context, { method: wire.List, request: {} }, options),
    revoke: (admin, options = {}) => {
      const request = (key: string) => ({ admin, idempotencyKey: key });
      return write(context, { method: wire.Revoke, request }, options);
    },
    renew: (key, options = {}) =>
      context.port.unary(Identity.Renew, key, {
        deadlineMs: writeDeadline(context, options),
        signal: options.signal,
      }),
  };
}
