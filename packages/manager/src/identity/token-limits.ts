import { byteLength, limits } from '@conclave/kernel';
import type { TokenRow } from '@conclave/state';
import { checkCount, invalid } from '../control/invalid.js';
import { parseRange, rangeContains } from './address-range.js';

/** What a token says of who may join with it. */
export type TokenLimits = Pick<TokenRow, 'addressRanges' | 'hostnamePattern'>;

/** A host that wants to join. */
export interface JoiningPlace {
  /** As its connection shows it: IPv4, IPv6, or IPv4 written as IPv6. */
  readonly address: string;
  readonly hostname: string;
}

const PATTERN = /^[A-Za-z0-9.*-]*$/;
/** Bytes of a pattern: as many as a host name may have. */
const PATTERN_BYTES_MAX = 255;

/** @throws CV_ARGUMENT_INVALID for a range or pattern that could never be meant */
export function checkTokenLimits({ addressRanges, hostnamePattern }: TokenLimits): void {
  checkCount('address_ranges', addressRanges.length, limits.TOKEN_RANGES_MAX);
  for (const range of addressRanges) {
    if (parseRange(range) !== undefined) continue;
    throw invalid('address_ranges', 'must be addresses or ranges such as 10.0.0.0/8 or fd00::/8');
  }
  if (byteLength(hostnamePattern) > PATTERN_BYTES_MAX || !PATTERN.test(hostnamePattern)) {
    throw invalid('hostname_pattern', 'must be letters, digits, ".", "-", and "*" for any of them');
  }
}

/** Why a token does not admit this host; undefined when it does. */
export function limitFault(token: TokenLimits, place: JoiningPlace): string | undefined {
  const { addressRanges, hostnamePattern } = token;
  const isNear =
    addressRanges.length === 0 ||
    addressRanges.some((range) => rangeContains(parseRange(range), place.address));
  if (!isNear) return 'does not admit this address';
  const isNamed = hostnamePattern === '' || matches(hostnamePattern, place.hostname);
  return isNamed ? undefined : 'does not admit this host name';
}

/** Host names do not tell upper from lower case. Takes time in proportion to the two lengths. */
function matches(pattern: string, hostname: string): boolean {
  const [head = '', ...parts] = pattern.toLowerCase().split('*');
  const name = hostname.toLowerCase();
  const tail = parts.pop();
  if (tail === undefined) return name === head;
  if (!name.startsWith(head) || !name.endsWith(tail)) return false;
  let from = head.length;
  for (const part of parts) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return from + tail.length <= name.length;
}
