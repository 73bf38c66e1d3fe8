import type { ExposedVersion, Node } from '@conclave/client';
import { pairs, time } from '../output/text.js';
import type { View } from '../output/view.js';

function roleOf(node: Node): string {
  if (node.waitsForApproval) return `${node.role} (waits for approval)`;
  if (node.wantedRole !== '' && node.wantedRole !== node.role) {
    return `${node.role} (to be ${node.wantedRole})`;
  }
  if (node.role !== 'manager') return node.role;
  if (node.isLeader) return 'manager (leader)';
  return node.membership === '' || node.membership === 'voter'
    ? 'manager'
    : `manager (${node.membership})`;
}

/** Nodes of `node ls` and `node inspect`. */
export const NODE_VIEW: View<Node> = {
  fields: [
    'id',
    'hostname',
    'role',
    'wantedRole',
    'waitsForApproval',
    'state',
    'availability',
    'labels',
    'objectVersion',
    'address',
    'joinAddress',
    'membership',
    'isLeader',
    'createdAtMs',
    'stateAtMs',
    'message',
    'platformOs',
    'version',
    'certificateSerial',
    'certificateNotAfterMs',
    'taskCount',
    'raftId',
  ],
  columns: [
    { title: 'ID', cell: (row) => row.id },
    { title: 'HOSTNAME', cell: (row) => row.hostname },
    { title: 'ROLE', cell: roleOf },
    { title: 'STATE', cell: (row) => row.state },
    { title: 'AVAILABILITY', cell: (row) => row.availability },
    { title: 'TASKS', cell: (row) => String(row.taskCount) },
    { title: 'ADDRESS', cell: (row) => (row.address === '' ? '-' : row.address) },
    { title: 'VERSION', cell: (row) => row.version },
    { title: 'LABELS', cell: (row) => pairs(row.labels) },
  ],
  nameOf: (row) => row.hostname,
  idOf: (row) => row.id,
};

/** Lines of `node exposure`: a secret version that the node was given a right to. */
export const EXPOSURE_VIEW: View<ExposedVersion> = {
  fields: ['secretId', 'secretName', 'version', 'firstAtMs', 'lastAtMs'],
  columns: [
    { title: 'SECRET', cell: (row) => row.secretName },
    { title: 'VERSION', cell: (row) => `v${row.version}` },
    { title: 'FIRST', cell: (row) => time(row.firstAtMs) },
    { title: 'LAST', cell: (row) => time(row.lastAtMs) },
  ],
  nameOf: (row) => `${row.secretName}@${row.version}`,
  idOf: (row) => row.secretId,
  sortKey: (row) => `${row.secretName} ${row.version}`,
};
