/**
 * What an administrator may be. Each role is a fixed set of calls, which the table of rights in
 * `transport` names; what no role names, nobody may do.
 */
export const ADMIN_ROLES = ['viewer', 'operator', 'secret-writer', 'auditor', 'admin'] as const;

/** One of {@link ADMIN_ROLES}. */
export type AdminRole = (typeof ADMIN_ROLES)[number];

/**
 * The id under which acts of whoever may open the local socket are recorded. Ids are drawn at
 * random and have 26 characters, so nobody else is ever called that.
 */
export const LOCAL_ADMIN_ID = 'local';
