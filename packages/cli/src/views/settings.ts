import type { ClusterSettings } from '@conclave/client';
import type { View } from '../output/view.js';
import { formatDuration } from '../spec/duration.js';

/** The settings of `cluster inspect`. */
export const SETTINGS_VIEW: View<ClusterSettings> = {
  fields: [
    'objectVersion',
    'managerCertificateLifeMs',
    'workerCertificateLifeMs',
    'adminCertificateLifeMs',
  ],
  columns: [
    { title: 'MANAGER LIFE', cell: (row) => formatDuration(row.managerCertificateLifeMs) },
    { title: 'WORKER LIFE', cell: (row) => formatDuration(row.workerCertificateLifeMs) },
    { title: 'ADMIN LIFE', cell: (row) => formatDuration(row.adminCertificateLifeMs) },
  ],
  nameOf: () => 'cluster',
  idOf: (row) => String(row.objectVersion),
};
