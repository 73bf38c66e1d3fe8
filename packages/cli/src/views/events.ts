import type { WatchEvent } from '@conclave/client';
import type { View } from '../output/view.js';

/** Lines of `events`. */
export const EVENT_VIEW: View<WatchEvent> = {
  fields: ['index', 'action', 'kind', 'id', 'name', 'state'],
  columns: [
    { title: 'INDEX', cell: (row) => String(row.index) },
    { title: 'WHAT', cell: (row) => `${row.kind} ${row.action}` },
    { title: 'NAME', cell: (row) => (row.name === '' ? row.id : row.name) },
    { title: 'STATE', cell: (row) => row.state },
  ],
  nameOf: (row) => (row.name === '' ? row.id : row.name),
  idOf: (row) => row.id,
};
