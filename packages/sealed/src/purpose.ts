import { InvariantViolation } from '@conclave/kernel';

import type { Field } from './fields.js';

/**
 * What a ciphertext is for. The number is part of the associated data and never reused: 4, 8 and 9
 * were for designs that were dropped.
 */
export const PURPOSE = {
  value: 1,
  dekWrap: 2,
  caKeyWrap: 3,
  storageEntry: 5,
  snapshotChunk: 6,
  hardState: 7,
  agentFrame: 10,
  backupChunk: 11,
  intake: 12,
  localKeyFile: 13,
  ringFile: 14,
  recipient: 15,
  heldValue: 16,
  epochFile: 17,
} as const;

/** A number of {@link PURPOSE}. */
export type Purpose = (typeof PURPOSE)[keyof typeof PURPOSE];

type FieldKind = 'text' | 'number' | 'bytes';

interface PurposeRow {
  /** Kinds of the fields in order; the comment names them. */
  readonly fields: readonly FieldKind[];
  /** True when the envelope also carries a commitment to its key. */
  readonly isCommitting: boolean;
}

const ROWS: Readonly<Record<Purpose, PurposeRow>> = {
  // cluster id, secret id, secret version, padded size
  [PURPOSE.value]: { fields: ['text', 'text', 'number', 'number'], isCommitting: false },
  // cluster id, secret id, secret version
  [PURPOSE.dekWrap]: { fields: ['text', 'text', 'number'], isCommitting: false },
  // cluster id, serial of the CA
  [PURPOSE.caKeyWrap]: { fields: ['text', 'text'], isCommitting: false },
  // cluster id, node id, epoch, index, term, entry type, previous hash
  [PURPOSE.storageEntry]: {
    fields: ['text', 'text', 'number', 'number', 'number', 'text', 'bytes'],
    isCommitting: false,
  },
  // cluster id, node id, epoch, last index, last term, chunk number,
  // state hash (empty except in the final chunk)
  [PURPOSE.snapshotChunk]: {
    fields: ['text', 'text', 'number', 'number', 'number', 'number', 'bytes'],
    isCommitting: false,
  },
  // cluster id, node id, epoch, write counter
  [PURPOSE.hardState]: { fields: ['text', 'text', 'number', 'number'], isCommitting: false },
  // stream sequence, context of the frame (its own tuple)
  [PURPOSE.agentFrame]: { fields: ['number', 'bytes'], isCommitting: false },
  // hash of the backup's header, chunk number
  [PURPOSE.backupChunk]: { fields: ['bytes', 'number'], isCommitting: true },
  // cluster id, context of the request
  [PURPOSE.intake]: { fields: ['text', 'bytes'], isCommitting: true },
  // cluster id, node id
  [PURPOSE.localKeyFile]: { fields: ['text', 'text'], isCommitting: true },
  // cluster id, node id, ring generation
  [PURPOSE.ringFile]: { fields: ['text', 'text', 'number'], isCommitting: true },
  // id and version of the value in the memory of an agent
  [PURPOSE.heldValue]: { fields: ['text'], isCommitting: false },
  // cluster id, node id
  [PURPOSE.epochFile]: { fields: ['text', 'text'], isCommitting: true },
  // context of the recipient
  [PURPOSE.recipient]: { fields: ['bytes'], isCommitting: true },
};

/** True when envelopes of this purpose carry a key commitment. */
export function isCommitting(purpose: Purpose): boolean {
  return ROWS[purpose].isCommitting;
}

/** Throws InvariantViolation unless `fields` have exactly the kinds of their purpose. */
export function checkFields(purpose: Purpose, fields: readonly Field[]): void {
  const kinds = ROWS[purpose].fields;
  let isExact = fields.length === kinds.length;
  for (const [offset, field] of fields.entries()) isExact &&= kindOf(field) === kinds[offset];
  if (!isExact) {
    throw new InvariantViolation(`purpose ${purpose} takes the fields: ${kinds.join(', ')}`);
  }
}

function kindOf(field: Field): FieldKind {
  if (typeof field === 'string') return 'text';
  return typeof field === 'number' ? 'number' : 'bytes';
}
