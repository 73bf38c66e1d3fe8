import { limits } from '@conclave/kernel';
import type { CommandResult, TokenRow } from './rows.js';
import type { CommandOf, Scope } from './scope.js';
import { done, refused } from './scope.js';

/** Why a token admits nobody at `atMs`; undefined when it does. */
export function tokenFault(row: TokenRow | undefined, atMs: number): string | undefined {
  if (row === undefined) return 'is unknown';
  if (row.isRevoked) return 'was revoked';
  if (row.usesLeft <= 0) return 'has no uses left';
  if (row.expiresAtMs <= atMs) return 'has expired';
  return undefined;
}

/** Creates a join token. The oldest ones that admit nobody any more make room. */
export function createToken(scope: Scope, command: CommandOf<'token.create'>): CommandResult {
  const { tables, journal, index } = scope;
  if (tables.tokens.has(command.token.id)) {
    return refused('CV_ARGUMENT_INVALID', 'id: a token with this id exists', { field: 'id' });
  }
  if (tables.tokens.size >= limits.TOKEN_COUNT_MAX) {
    const spent = [...tables.tokens.values()].find(
      (row) => tokenFault(row, command.atMs) !== undefined,
    );
    if (spent === undefined) {
      return refused('CV_LIMIT_EXCEEDED', `more than ${limits.TOKEN_COUNT_MAX} join tokens`, {
        limit: limits.TOKEN_COUNT_MAX,
      });
    }
    journal.remove(tables.tokens, spent.id);
  }
  journal.put(tables.tokens, { ...command.token, objectVersion: index });
  return done(scope, { id: command.token.id });
}

/** Makes a token admit nobody any more. */
export function revokeToken(scope: Scope, command: CommandOf<'token.revoke'>): CommandResult {
  const { tables, journal, index } = scope;
  const row = tables.tokens.get(command.id);
  if (row === undefined) return refused('CV_TOKEN_NOT_FOUND', 'no token has this id');
  if (row.isRevoked) return done(scope, { id: row.id, unchanged: true });
  journal.put(tables.tokens, { ...row, isRevoked: true, objectVersion: index });
  return done(scope, { id: row.id, unchanged: false });
}

/** Makes every token admit nobody any more. */
export function endTokens({ tables, journal, index }: Scope): void {
  for (const token of tables.tokens.values()) {
    if (token.isRevoked) continue;
    journal.put(tables.tokens, { ...token, isRevoked: true, objectVersion: index });
  }
}
