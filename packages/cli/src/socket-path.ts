import type { Io } from './io.js';

/**
 * Where the local daemon listens: what was asked for, else `CONCLAVE_SOCKET`, else the place of the
 * system's daemon for root and of one's own for others.
 */
export function socketPath(io: Io, asked: string | undefined): string {
  const chosen = asked ?? io.env['CONCLAVE_SOCKET'] ?? '';
  if (chosen !== '') return chosen;
  if (io.userId === 0) return '/run/conclave/conclave.sock';
  const runtime = io.env['XDG_RUNTIME_DIR'] ?? '';
  // The same folder as the daemon's own default.
  const folder = runtime === '' ? `/dev/shm/conclave-${io.userId}` : runtime;
  return `${folder}/conclave/conclave.sock`;
}
