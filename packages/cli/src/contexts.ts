import type { SecretBytes } from '@conclave/sealed';
import { usageError } from './flags.js';

/** Stands for the daemon of this host where the name of a context may stand. */
export const LOCAL_CONTEXT = 'local';

/** The contexts of one person: credentials of administrators, by name. */
export interface ContextStore {
  /** Where a context is or would be, for messages. */
  place(name: string): string;
  /** Sorted by name. */
  names(): Promise<readonly string[]>;
  /**
   * The credentials as they were written; the caller wipes them.
   * @throws CV_CONTEXT_NOT_FOUND
   * @throws CV_CONTEXT_INVALID when somebody else may read them
   */
  read(name: string): Promise<SecretBytes>;
  /** Writes the credentials, for this person only; replaces older ones at once or not at all. */
  write(name: string, content: SecretBytes): Promise<void>;
  /**
   * Replaces the credentials by what `next` makes of them, and keeps them when that is nothing. It is
   * asked when there is room for its answer; it wipes what it gets. False: another command is at it.
   * @throws CV_CONTEXT_NOT_FOUND, CV_CONTEXT_INVALID, CV_OUTPUT_FAILED
   */
  renew(
    name: string,
    next: (content: SecretBytes) => Promise<SecretBytes | undefined>,
  ): Promise<boolean>;
  /** @throws CV_CONTEXT_NOT_FOUND */
  remove(name: string): Promise<void>;
  /** The context that `context use` chose; empty: none. */
  current(): Promise<string>;
  /** Chooses a context, or with an empty name none. */
  choose(name: string): Promise<void>;
}

/** Private keys that wait for a certificate. */
export type KeyShelf = Pick<ContextStore, 'read' | 'write' | 'remove'>;

const NAME = /^[A-Za-z0-9]+(?:[-_]+[A-Za-z0-9]+)*$/;
const NAME_LENGTH_MAX = 63;

/**
 * A name of a context, which is a file name as well.
 * @throws CV_ARGUMENT_INVALID for another form and for "local"
 */
export function checkContextName(name: string): string {
  if (!NAME.test(name) || name.length > NAME_LENGTH_MAX) {
    throw usageError(
      `the name of a context has 1 to ${NAME_LENGTH_MAX} letters and digits with inner "-" or "_"`,
    );
  }
  if (name === LOCAL_CONTEXT) {
    throw usageError(`"${LOCAL_CONTEXT}" always is the daemon of this host`);
  }
  return name;
}
