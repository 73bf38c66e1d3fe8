import { isIPv6 } from 'node:net';
import { ConclaveError } from '@conclave/kernel';
import { isAddress } from '@conclave/manager';
import type { DaemonConfig } from './config.js';
import { outwardAddress } from './dial.js';

/** Where others reach the listeners of this host, and what to tell its administrator of it. */
export interface AdvertisedAddresses {
  readonly clusterAddress: string;
  readonly joinAddress: string;
  readonly notes: readonly string[];
}

const FORM = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/;
const LOOPBACK = /^(?:127\.[0-9.]+|\[::1\])$/;
/** Where a listener may be bound, and nobody can connect to. */
const UNSPECIFIED = new Set(['0.0.0.0', '[::]']);

/** IPv6 addresses stand in brackets from here on. */
function bracketed(text: string): string {
  return isIPv6(text) ? `[${text}]` : text;
}

/**
 * The addresses to advertise: what was asked for, else the address that the listeners are bound
 * to, else the first one of this host that is not loopback.
 * @param text `HOST`, `HOST:PORT` or empty
 * @throws CV_ARGUMENT_INVALID
 */
export function advertisedAddresses(text: string, config: DaemonConfig): AdvertisedAddresses {
  const { listenHost, clusterPort, joinPort } = config;
  const isAny = UNSPECIFIED.has(bracketed(listenHost));
  const own = isAny ? (outwardAddress(listenHost === '::') ?? '127.0.0.1') : listenHost;
  const match = FORM.exec(bracketed(text === '' ? own : text));
  const host = match?.[1] ?? '';
  const clusterAddress = `${host}:${Number(match?.[2] ?? clusterPort)}`;
  if (!isAddress(clusterAddress) || UNSPECIFIED.has(host)) {
    throw new ConclaveError('CV_ARGUMENT_INVALID', 'the advertised address must be HOST[:PORT]', {
      hint: 'Name an address of this host that the others can reach.',
    });
  }
  const notes: string[] = [];
  if (text === '') notes.push(`advertised address: ${clusterAddress}, taken from this host`);
  if (LOOPBACK.test(host)) notes.push(`only this host can reach the cluster at ${host}`);
  return { clusterAddress, joinAddress: `${host}:${joinPort}`, notes };
}
