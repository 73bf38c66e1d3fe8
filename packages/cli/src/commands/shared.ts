import { limits } from '@conclave/kernel';
import type { Call, OptionSpec } from '../command-spec.js';
import { parseCount } from '../flags.js';

const VERSION_MAX = 0xffff_ffff;

/** Option of every command that changes the cluster. */
export const IDEMPOTENCY_OPTION: OptionSpec = {
  flags: '--idempotency-key <key>',
  help: `up to ${limits.IDEMPOTENCY_KEY_BYTES_MAX} letters; a repetition with the same key is done once`,
};

/** Option of commands that may override a refusal. */
export const FORCE_OPTION: OptionSpec = { flags: '--force', help: 'although it is in use' };

/** Option of reads that need not be linearizable. */
export const STALE_OPTION: OptionSpec = {
  flags: '--stale',
  help: 'let this manager answer from what it has, without asking the leader',
};

/** Options of a write as the client takes them. */
export function writeOptions(call: Call): {
  idempotencyKey: string | undefined;
  signal: AbortSignal;
} {
  return { idempotencyKey: call.flags.text('idempotencyKey'), signal: call.tools.signal };
}

/** An argument that the parser has made sure of. */
export function argument(call: Call, offset: number): string {
  return call.arguments[offset] ?? '';
}

/** `3` or `v3`. @throws CV_ARGUMENT_INVALID */
export function parseVersion(text: string): number {
  return parseCount('VERSION', text.replace(/^v/, ''), { min: 1, max: VERSION_MAX });
}

/** `1 task`, `2 tasks`. */
export function plural(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`;
}
