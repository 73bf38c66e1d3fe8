import type { AdminCredentials, ConclaveClient } from '@conclave/client';
import type { Call } from './command-spec.js';
import { withCredentials } from './credentials.js';
import { oneLine } from './output/text.js';

/** The part of its life behind which a certificate is renewed by the way. */
const DUE_SHARE = 0.5;
/** The part of its life behind which a person is told that this fails. */
const LATE_SHARE = 0.75;
/** Milliseconds that a command waits for a renewal that nobody asked for. */
const PATIENCE_MS = 5_000;

/** What a renewal has led to. */
export type Renewed =
  | { readonly kind: 'renewed'; readonly expiresAtMs: number }
  /** It was not due. */
  | { readonly kind: 'kept' }
  /** Another command does it at the moment. */
  | { readonly kind: 'busy' };

/** Which context, over which client, and when. */
export interface ContextRenewal {
  readonly name: string;
  readonly client: ConclaveClient;
  /** Decides by what is in the context when no other command can change it any more. */
  readonly isDue: (credentials: AdminCredentials) => Promise<boolean> | boolean;
  readonly deadlineMs?: number;
}

/**
 * Gets the next certificate for a context and puts it there; one command at a time.
 * @throws CV_UNAUTHENTICATED when the administrator was ended, CV_OUTPUT_FAILED before anything is
 *   asked for when the context cannot be written
 */
export async function renewContext(
  { tools }: Pick<Call, 'tools'>,
  { client, deadlineMs, isDue, name }: ContextRenewal,
): Promise<Renewed> {
  const { contexts, signal } = tools;
  let renewed: Renewed = { kind: 'kept' };
  const isAlone = await contexts.renew(name, async (content) =>
    withCredentials(content, async (credentials) => {
      if (!(await isDue(credentials))) return undefined;
      const { certificateOf, renewCredentials } = await import('@conclave/client');
      const next = await renewCredentials(client, credentials, { signal, deadlineMs });
      renewed = { kind: 'renewed', expiresAtMs: certificateOf(next).notAfterMs };
      return next.content;
    }),
  );
  return isAlone ? renewed : { kind: 'busy' };
}

/**
 * Renews the certificate of the context in use behind a command that has worked, once half of its
 * life is over. Never fails: late in its life the person is told why it did not work.
 */
export async function renewByTheWay(call: Call, client: ConclaveClient): Promise<void> {
  const { io, tools } = call;
  if (io.env['CONCLAVE_RENEW'] === 'never' || tools.signal.aborted) return;
  const target = await call.target();
  if (target.kind !== 'context') return;
  const { name } = target;
  const { lifeShare } = await import('@conclave/client');
  const shareOf = (credentials: AdminCredentials): number =>
    lifeShare(credentials, tools.clock.now());
  let share = 0;
  try {
    share = await withCredentials(await tools.contexts.read(name), shareOf);
    if (share < DUE_SHARE) return;
    await renewContext(call, {
      name,
      client,
      isDue: (credentials) => shareOf(credentials) >= DUE_SHARE,
      deadlineMs: PATIENCE_MS,
    });
  } catch (error) {
    if (share < LATE_SHARE) return;
    const why = error instanceof Error ? oneLine(error.message) : '';
    const text = `warning: the certificate of context ${name} ends soon and was not renewed: ${why}\n`;
    await io.stderr.write(text).catch(() => undefined);
  }
}
