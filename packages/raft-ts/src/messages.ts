import type { Message, MessageBase, MessageType } from './message-types.js';
import type { Entry, Snapshot } from './types.js';

/** The one empty payload; payloads are read-only, so sharing it is safe. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);
/** The one empty list of entries. */
export const NO_ENTRIES: readonly Entry[] = Object.freeze([]);
/** The one empty list of messages. */
export const NO_MESSAGES: readonly Message[] = Object.freeze([]);

/**
 * Creates a message of any type with zero values for what is not given. For transports and tests.
 *
 * Every message of this package comes out of here, with all fields in the same order, so that
 * engines see a single object shape.
 *
 * @param type the type, taken over as it is
 * @param fields what differs from zero; not kept, but what it refers to is
 */
export function message<T extends MessageType>(
  type: T,
  fields: Partial<MessageBase> = {},
): Extract<Message, { type: T }> {
  const made: MessageBase & { readonly type: MessageType } = {
    type,
    from: fields.from ?? 0,
    to: fields.to ?? 0,
    term: fields.term ?? 0,
    logTerm: fields.logTerm ?? 0,
    index: fields.index ?? 0,
    entries: fields.entries ?? NO_ENTRIES,
    commit: fields.commit ?? 0,
    vote: fields.vote ?? 0,
    snapshot: fields.snapshot as Snapshot | undefined,
    reject: fields.reject ?? false,
    rejectHint: fields.rejectHint ?? 0,
    context: fields.context ?? NO_BYTES,
    responses: fields.responses ?? NO_MESSAGES,
  };
  return made as Extract<Message, { type: T }>;
}
