import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Addresses that share their first bits. */
export interface AddressRange {
  readonly network: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly bitCount: number;
}

const RANGE = /^([0-9A-Fa-f.:]+)(?:\/(0|[1-9][0-9]{0,2}))?$/;
const MAPPED = /^::ffff:([0-9.]+)$/i;

/**
 * An address or a range in CIDR form. Undefined for anything else, also for IPv4 written as IPv6,
 * which would say the same twice.
 */
export function parseRange(text: string): AddressRange | undefined {
  const [, network = '', bits] = RANGE.exec(text) ?? [];
  const family = familyOf(network);
  if (family === undefined || isMapped(network)) return undefined;
  const bitCountMax = family === 'ipv4' ? 32 : 128;
  const bitCount = bits === undefined ? bitCountMax : Number(bits);
  return bitCount <= bitCountMax ? { network, family, bitCount } : undefined;
}

/** True when `address` lies in the range. Nothing lies in an undefined one. */
export function rangeContains(range: AddressRange | undefined, address: string): boolean {
  if (range === undefined) return false;
  // A socket that takes both families shows IPv4 as IPv6; a link-local address names its link.
  const plain = MAPPED.exec(address)?.[1] ?? address.split('%')[0] ?? '';
  const family = familyOf(plain);
  if (family !== range.family) return false;
  const list = new BlockList();
  list.addSubnet(range.network, range.bitCount, range.family);
  return list.check(plain, family);
}

/** True for IPv4 written as IPv6, in any of its spellings. */
function isMapped(address: string): boolean {
  if (!isIPv6(address)) return false;
  const list = new BlockList();
  list.addSubnet('::ffff:0:0', 96, 'ipv6');
  return list.check(address, 'ipv6');
}

/** Which kind of IP address this is; undefined for anything else. */
export function familyOf(address: string): AddressRange['family'] | undefined {
  if (isIPv4(address)) return 'ipv4';
  return isIPv6(address) ? 'ipv6' : undefined;
}
