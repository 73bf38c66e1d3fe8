import type { ContextStore } from './contexts.js';
import { checkContextName, LOCAL_CONTEXT } from './contexts.js';
import type { Flags } from './flags.js';
import { usageError } from './flags.js';
import type { Io } from './io.js';
import { socketPath } from './socket-path.js';

/** Whom a command talks to. */
export type Target =
  | { readonly kind: 'local'; readonly socketPath: string }
  | { readonly kind: 'context'; readonly name: string };

/** What decides on the target of a command. */
export interface TargetSource {
  readonly io: Io;
  readonly flags: Flags;
  readonly contexts: ContextStore;
  /** The command changes this host and no other. */
  readonly isOfHost: boolean;
}

/** What the command line or, behind it, the environment says; empty: nothing. */
function askedContext({ flags, io }: TargetSource): string {
  const flag = flags.text('context');
  if (flag === undefined) {
    return flags.text('socket') === undefined ? (io.env['CONCLAVE_CONTEXT'] ?? '') : '';
  }
  if (flags.text('socket') !== undefined) {
    throw usageError('only one of --context and --socket can be given');
  }
  return flag;
}

/**
 * The daemon of this host or a context: what the command line says, else the environment, else what
 * `context use` chose. A socket that is named is meant, whatever is chosen.
 * @throws CV_ARGUMENT_INVALID when a command of this host is to go elsewhere
 */
export async function targetOf(source: TargetSource): Promise<Target> {
  const { contexts, flags, io, isOfHost } = source;
  const local = { kind: 'local', socketPath: socketPath(io, flags.text('socket')) } as const;
  const asked = askedContext(source);
  if (asked === LOCAL_CONTEXT) return local;
  if (asked !== '') {
    const name = checkContextName(asked);
    if (!isOfHost) return { kind: 'context', name };
    throw usageError(
      'this command changes the host it runs on and works only with its own daemon',
      'Run it on that host, without --context and CONCLAVE_CONTEXT.',
    );
  }
  const isSocketNamed = (flags.text('socket') ?? io.env['CONCLAVE_SOCKET'] ?? '') !== '';
  const chosen = isOfHost || isSocketNamed ? '' : await contexts.current();
  return chosen === '' ? local : { kind: 'context', name: checkContextName(chosen) };
}
