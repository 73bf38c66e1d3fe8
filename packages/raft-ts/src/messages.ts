import type { Message, MessageBase, MessageType } from './message-types.js';
import type { NodeId } from './numbers.js';
import type { Entry } from './types.js';

/** The one empty payload; payloads are read-only, so sharing it is safe. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);
/** The one empty list of entries. */
export const NO_ENTRIES: readonly Entry[] = Object.freeze([]);
/** The one empty list of messages. */
export const NO_MESSAGES: readonly Message[] = Object.freeze([]);

/** A message while it is being put together; not modified any more once it is handed out. */
export type MessageDraft = {
  -readonly [K in keyof MessageBase]: MessageBase[K];
} & { readonly type: MessageType };

/**
 * The one place where messages are made: all fields, always in the same order, so that engines see
 * a single object shape and `step` stays fast.
 *
 * @param type the type
 * @param to the receiver
 */
export function draft(type: MessageType, to: NodeId): MessageDraft {
  return {
    type,
    from: 0,
    to,
    term: 0,
    logTerm: 0,
    index: 0,
    entries: NO_ENTRIES,
    commit: 0,
    vote: 0,
    snapshot: undefined,
    reject: false,
    rejectHint: 0,
    context: NO_BYTES,
    responses: NO_MESSAGES,
  };
}

/**
 * Creates a message with zero values for what is not given. For transports and tests.
 *
 * @param type the type
 * @param fields what differs from zero; not kept, but what it refers to is
 */
export function message<T extends MessageType>(
  type: T,
  fields: Partial<MessageBase> = {},
): Extract<Message, { type: T }> {
  const made = draft(type, fields.to ?? 0);
  made.from = fields.from ?? 0;
  made.term = fields.term ?? 0;
  made.logTerm = fields.logTerm ?? 0;
  made.index = fields.index ?? 0;
  made.entries = fields.entries ?? NO_ENTRIES;
  made.commit = fields.commit ?? 0;
  made.vote = fields.vote ?? 0;
  made.snapshot = fields.snapshot;
  made.reject = fields.reject ?? false;
  made.rejectHint = fields.rejectHint ?? 0;
  made.context = fields.context ?? NO_BYTES;
  made.responses = fields.responses ?? NO_MESSAGES;
  return made as Extract<Message, { type: T }>;
}
