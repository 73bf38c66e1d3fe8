import type { Admin } from '@conclave/client';
import { remaining } from '../output/text.js';
import type { View } from '../output/view.js';

function stateOf(admin: Admin, nowMs: number): string {
  if (admin.revoked) return 'revoked';
  return admin.expiresAtMs <= nowMs ? 'expired' : 'active';
}

/** Administrators of `admin ls`. */
export const ADMIN_VIEW: View<Admin> = {
  fields: [
    'id',
    'name',
    'roles',
    'uses',
    'serial',
    'expiresAtMs',
    'ttlMs',
    'revoked',
    'createdAtMs',
    'createdBy',
  ],
  columns: [
    { title: 'ID', cell: (row) => row.id },
    { title: 'NAME', cell: (row) => row.name },
    { title: 'ROLES', cell: (row) => row.roles.join(', ') },
    { title: 'MAY USE', cell: (row) => row.uses.join(', ') },
    { title: 'STATE', cell: stateOf },
    { title: 'EXPIRES', cell: (row, nowMs) => remaining(row.expiresAtMs, nowMs) },
  ],
  nameOf: (row) => row.name,
  idOf: (row) => row.id,
};
