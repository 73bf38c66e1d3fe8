import { remaining } from '../output/text.js';
import type { View } from '../output/view.js';

/** One context as it is listed. */
export interface ContextRow {
  readonly name: string;
  readonly current: boolean;
  /** Name of the administrator that the certificate is for. */
  readonly admin: string;
  readonly roles: readonly string[];
  readonly clusterId: string;
  readonly addresses: readonly string[];
  readonly expiresAtMs: number;
}

/** Contexts of `context ls`. */
export const CONTEXT_VIEW: View<ContextRow> = {
  fields: ['name', 'current', 'admin', 'roles', 'clusterId', 'addresses', 'expiresAtMs'],
  columns: [
    { title: 'NAME', cell: (row) => (row.current ? `${row.name} *` : row.name) },
    { title: 'ADMIN', cell: (row) => row.admin },
    { title: 'ROLES', cell: (row) => row.roles.join(', ') },
    { title: 'CLUSTER', cell: (row) => row.clusterId },
    { title: 'EXPIRES', cell: (row, nowMs) => remaining(row.expiresAtMs, nowMs) },
    { title: 'MANAGERS', cell: (row) => row.addresses.join(' ') },
  ],
  nameOf: (row) => row.name,
  idOf: (row) => row.name,
};
