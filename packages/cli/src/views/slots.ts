import type { KeySlot } from '@conclave/client';
import { age } from '../output/text.js';
import type { View } from '../output/view.js';

function opensWith({ detail, kind, recoveryId }: KeySlot): string {
  if (kind === 'recovery') return `recovery key ${recoveryId}`;
  if (kind === 'command') return detail;
  return detail === 'tpm' ? 'the TPM of this host' : 'a key file: a copy of this disk opens it';
}

/** How key slots are shown. */
export const SLOT_VIEW: View<KeySlot> = {
  fields: ['id', 'kind', 'detail', 'createdAtMs', 'recoveryId'],
  columns: [
    { title: 'ID', cell: ({ id }) => id },
    { title: 'KIND', cell: ({ kind }) => kind },
    { title: 'OPENS WITH', cell: (slot) => opensWith(slot) },
    { title: 'CREATED', cell: ({ createdAtMs }, nowMs) => age(createdAtMs, nowMs) },
  ],
  nameOf: ({ kind }) => kind,
  idOf: ({ id }) => id,
};
