import { limits } from '@conclave/kernel';
import type { Command } from './commands.js';
import type { CommandResult } from './rows.js';
import type { Scope } from './scope.js';
import { refused } from './scope.js';
import type { Tables } from './tables.js';

/** What the request of a command was answered with before; undefined when it is new. */
export function recallRequest(
  tables: Tables,
  request: Command['request'],
): CommandResult | undefined {
  const known = request === undefined ? undefined : tables.requests.get(request.key);
  if (known === undefined || request === undefined) return undefined;
  if (known.fingerprint === request.fingerprint) return known.result;
  return refused('CV_IDEMPOTENCY_REUSED', 'the idempotency key was used for another request', {
    field: 'idempotency-key',
  });
}

/**
 * Remembers the answer to a request that was carried out, and forgets the oldest one when there are
 * too many. Refusals are not remembered: they changed nothing, and what was refused for a stale
 * seal is proposed again under the same key.
 */
export function rememberRequest(scope: Scope, result: CommandResult): void {
  const { request } = scope.command;
  if (request === undefined || !result.ok) return;
  const { requests } = scope.tables;
  scope.journal.put(requests, { ...request, result, index: scope.index });
  if (requests.size <= limits.IDEMPOTENCY_KEYS_MAX) return;
  const oldest = requests.takeOldestKey();
  if (oldest !== undefined) scope.journal.remove(requests, oldest);
}
