import { isCovered, limits, LOCAL_ADMIN_ID } from '@conclave/kernel';
import { refuseCertificate } from './certificates.js';
import type { AdminRow, BindingSpec, CommandResult } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';
import type { Tables } from './tables.js';

/** True when the administrator cannot come back: revoked, or its last certificate has run out. */
export function isSpent(row: AdminRow, atMs: number): boolean {
  return row.isRevoked || row.certificate.notAfterMs <= atMs;
}

/** Creates an administrator. Ones that are spent make room for its name and for its row. */
export function createAdmin(scope: Scope, command: CommandOf<'admin.create'>): CommandResult {
  const { tables, journal, index } = scope;
  const { admin, atMs } = command;
  if (tables.admins.has(admin.id)) {
    return refused('CV_ARGUMENT_INVALID', 'id: an administrator with this id exists', {
      field: 'id',
    });
  }
  const namesake = tables.adminByName(admin.name);
  if (namesake !== undefined && !isSpent(namesake, atMs)) {
    return refused('CV_NAME_TAKEN', 'an administrator with this name exists', {
      id: namesake.id,
    });
  }
  if (namesake !== undefined) journal.remove(tables.admins, namesake.id);
  const refusal = makeRoom(scope, command) ?? refuseCertificate(scope, admin.id, admin.certificate);
  if (refusal !== undefined) return refusal;
  journal.put(tables.admins, { ...admin, objectVersion: index });
  return done(scope, { id: admin.id });
}

function makeRoom(scope: Scope, { atMs }: CommandOf<'admin.create'>): CommandResult | undefined {
  const { tables, journal } = scope;
  if (tables.admins.size < limits.ADMIN_COUNT_MAX) return undefined;
  const spent = [...tables.admins.values()].find((row) => isSpent(row, atMs));
  if (spent !== undefined) {
    journal.remove(tables.admins, spent.id);
    return undefined;
  }
  return refused('CV_LIMIT_EXCEEDED', `more than ${limits.ADMIN_COUNT_MAX} administrators`, {
    limit: limits.ADMIN_COUNT_MAX,
  });
}

/** Gives an administrator its next certificate; the one it used stays accepted for a while. */
export function renewAdmin(scope: Scope, command: CommandOf<'admin.renew'>): CommandResult {
  const { tables, journal, index } = scope;
  const { id, usedSerial, certificate, previousUntilMs } = command;
  const row = tables.admins.get(id);
  const previousCertificate = [row?.certificate, row?.previousCertificate].find(
    (known) => known?.serial === usedSerial,
  );
  if (row === undefined || row.isRevoked || previousCertificate === undefined) {
    return refused('CV_UNAUTHENTICATED', 'the certificate is not accepted any more', { id });
  }
  const refusal = refuseCertificate(scope, id, certificate);
  if (refusal !== undefined) return refusal;
  journal.put(tables.admins, {
    ...row,
    certificate,
    previousCertificate,
    previousUntilMs,
    objectVersion: index,
  });
  return done(scope, { id });
}

/** Ends an administrator: nothing that it asks for is accepted behind this entry. */
export function revokeAdmin(scope: Scope, command: CommandOf<'admin.revoke'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.admins.get(command.id);
  if (row === undefined) return refused('CV_ADMIN_NOT_FOUND', 'no administrator has this id');
  if (row.isRevoked) return done(scope, { id: row.id, unchanged: true });
  journal.put(tables.admins, { ...row, isRevoked: true, objectVersion: index });
  return done(scope, { id: row.id, unchanged: false });
}

/** Ends all administrators. */
export function endAdmins({ tables, journal, index }: Scope): void {
  for (const admin of tables.admins.values()) {
    if (admin.isRevoked) continue;
    journal.put(tables.admins, { ...admin, isRevoked: true, objectVersion: index });
  }
}

/**
 * Why the author of an entry may change nothing: an administrator who was ended by an earlier one.
 * Order in the log is what counts, whatever a manager had admitted meanwhile.
 */
export function refuseAuthor({ tables, command }: Scope): CommandResult | undefined {
  const { by } = command;
  if (by.kind !== 'admin' || by.id === LOCAL_ADMIN_ID) return undefined;
  if (tables.admins.get(by.id)?.isRevoked === false) return undefined;
  return refused('CV_UNAUTHENTICATED', 'this administrator is not accepted any more');
}

/**
 * Why the author of an entry may not give these secrets to a service. To run services is one right
 * and to hand secrets to them another: whoever decides what a task does can read what it is given.
 */
export function refuseUse(
  { tables, command }: { readonly tables: Tables; readonly command: Scope['command'] },
  bindings: readonly BindingSpec[],
): CommandResult | undefined {
  const { by } = command;
  if (by.kind !== 'admin' || by.id === LOCAL_ADMIN_ID) return undefined;
  const row = tables.admins.get(by.id);
  if (row?.roles.includes('admin') === true) return undefined;
  for (const [place, { secretName }] of bindings.entries()) {
    if (row?.uses.some((pattern) => isCovered(secretName, pattern)) === true) continue;
    const field = `bindings[${place}]`;
    return refused('CV_SECRET_USE_FORBIDDEN', `${field}: this identity may not use the secret`, {
      field,
      secret: secretName,
    });
  }
  return undefined;
}
