import type { Actor, Secret, SecretEvent, SecretUse } from '@conclave/client';
import { age, pairs, time } from '../output/text.js';
import type { View } from '../output/view.js';

const who = (actor: Actor | null): string =>
  actor === null ? '-' : actor.id === '' ? actor.kind : `${actor.kind} ${actor.id}`;

/** Secrets of `secret ls` and `secret get`. */
export const SECRET_VIEW: View<Secret> = {
  fields: [
    'id',
    'name',
    'objectVersion',
    'currentVersion',
    'versions',
    'labels',
    'description',
    'createdAtMs',
    'updatedAtMs',
    'usedBy',
  ],
  columns: [
    { title: 'NAME', cell: (row) => row.name },
    { title: 'VERSION', cell: (row) => `v${row.currentVersion}` },
    { title: 'CHANGED', cell: (row, nowMs) => age(row.updatedAtMs, nowMs) },
    { title: 'USED BY', cell: (row) => (row.usedBy.length === 0 ? '-' : row.usedBy.join(',')) },
    { title: 'LABELS', cell: (row) => pairs(row.labels) },
  ],
  nameOf: (row) => row.name,
  idOf: (row) => row.id,
};

/** Lines of `secret history`. */
export const SECRET_EVENT_VIEW: View<SecretEvent> = {
  fields: ['revision', 'what', 'version', 'atMs', 'by', 'index'],
  columns: [
    { title: 'REVISION', cell: (row) => String(row.revision) },
    { title: 'WHAT', cell: (row) => row.what },
    { title: 'VERSION', cell: (row) => (row.version === 0 ? '-' : `v${row.version}`) },
    { title: 'AT', cell: (row) => time(row.atMs) },
    { title: 'BY', cell: (row) => who(row.by) },
    { title: 'INDEX', cell: (row) => String(row.index) },
  ],
  nameOf: (row) => `v${row.version}`,
  idOf: (row) => String(row.revision),
  sortKey: (row) => String(row.revision),
};

/** Lines of `secret status`: one binding of one live task each. */
export const SECRET_USE_VIEW: View<SecretUse> = {
  fields: [
    'serviceName',
    'taskId',
    'nodeId',
    'nodeHostname',
    'target',
    'wantedVersion',
    'deliveredVersion',
    'outcome',
    'detail',
    'atMs',
    'taskState',
    'pinned',
  ],
  columns: [
    { title: 'SERVICE', cell: (row) => row.serviceName },
    { title: 'TASK', cell: (row) => row.taskId },
    { title: 'NODE', cell: (row) => (row.nodeHostname === '' ? '-' : row.nodeHostname) },
    { title: 'TARGET', cell: (row) => row.target },
    { title: 'WANTED', cell: (row) => `v${row.wantedVersion}${row.pinned ? ' (pinned)' : ''}` },
    {
      title: 'HAS',
      cell: (row) => (row.deliveredVersion === 0 ? '-' : `v${row.deliveredVersion}`),
    },
    { title: 'OUTCOME', cell: (row) => (row.outcome === '' ? 'waiting' : row.outcome) },
    { title: 'SINCE', cell: (row, nowMs) => age(row.atMs, nowMs) },
    { title: 'DETAIL', cell: (row) => row.detail },
  ],
  nameOf: (row) => row.taskId,
  idOf: (row) => row.taskId,
  sortKey: (row) => `${row.serviceName}/${row.nodeHostname}/${row.taskId}/${row.target}`,
};
