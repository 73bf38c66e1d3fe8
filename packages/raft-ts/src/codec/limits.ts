import { RaftCodecError } from '../errors.js';
import type { Bytes } from '../numbers.js';

/** Limits that hold before anything is allocated for what is decoded. */
export interface DecodeLimits {
  /** Size of the encoded form, default 256 MiB: a snapshot travels in one message. */
  readonly sizeMax?: Bytes;
  /** Number of entries in a message, default 1,048,576. */
  readonly entriesMax?: number;
}

const SIZE_MAX_DEFAULT: Bytes = 256 * 1024 * 1024;
const ENTRIES_MAX_DEFAULT = 1024 * 1024;

/** Nodes in each list of a configuration: far above what a quorum can serve. */
export const NODES_MAX = 10_000;

/** Limits with defaults filled in. */
export function limitsOf(limits: DecodeLimits): Required<DecodeLimits> {
  return {
    sizeMax: limits.sizeMax ?? SIZE_MAX_DEFAULT,
    entriesMax: limits.entriesMax ?? ENTRIES_MAX_DEFAULT,
  };
}

/** Throws unless a size is within its limit. */
export function checkSize(size: Bytes, sizeMax: Bytes): void {
  if (size > sizeMax) throw new RaftCodecError(`${size} bytes are more than ${sizeMax}`);
}
