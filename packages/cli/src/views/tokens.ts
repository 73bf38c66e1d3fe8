import type { Token } from '@conclave/client';
import { remaining } from '../output/text.js';
import type { View } from '../output/view.js';

function stateOf(token: Token, nowMs: number): string {
  if (token.revoked) return 'revoked';
  if (token.expiresAtMs <= nowMs) return 'expired';
  return token.usesLeft === 0 ? 'used' : 'open';
}

/** Which hosts it admits. */
function hostsOf({ addressRanges, hostnamePattern }: Token): string {
  const limits = [...addressRanges, ...(hostnamePattern === '' ? [] : [hostnamePattern])];
  return limits.length === 0 ? 'any host' : limits.join(' ');
}

/** Tokens of `token ls`; their texts are not kept anywhere. */
export const TOKEN_VIEW: View<Token> = {
  fields: [
    'id',
    'role',
    'usesLeft',
    'needsApproval',
    'addressRanges',
    'hostnamePattern',
    'expiresAtMs',
    'createdAtMs',
    'createdBy',
    'revoked',
    'admittedNodes',
  ],
  columns: [
    { title: 'ID', cell: (row) => row.id },
    {
      title: 'ROLE',
      cell: ({ needsApproval, role }) => (needsApproval ? `${role} (approval)` : role),
    },
    { title: 'STATE', cell: stateOf },
    { title: 'USES LEFT', cell: (row) => String(row.usesLeft) },
    { title: 'FOR', cell: hostsOf },
    { title: 'EXPIRES', cell: (row, nowMs) => remaining(row.expiresAtMs, nowMs) },
    { title: 'ADMITTED', cell: (row) => String(row.admittedNodes.length) },
  ],
  nameOf: (row) => row.id,
  idOf: (row) => row.id,
  sortKey: (row) => `${String(row.createdAtMs)} ${row.id}`,
};
